"""Small scenes as pages take them, and the Gaussians that a page unpacks, by numpy."""

from __future__ import annotations

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from proto_saga_ns.export.web.pack import CHUNK, PageGaussians
from proto_saga_ns.export.web.page import StartView, Thing, WebScene
from proto_saga_ns.labels.colors import instance_colors
from proto_saga_ns.rasterize.geometry import Geometry

NASTY = "</script><img src=x onerror='window.hacked=1'><!-- \"&amp; \u2028 " + 150 * "x"
SIZE = (760, 440)
FOCAL = 520.0
ROWS = ((0, 1), (1, 1), (2, 1), (3, 0), (3, 1), (4, 1), (9, 1))
"""Unit and whether it is seen, of each row of the table."""
OBJECTS = {1: (1,), 2: (2, 9), 3: (3,), 4: (4,), 5: (5,)}
"""Units of each object; the fifth has no Gaussian."""
GROUPS = {1: (1, 4), 2: (2,), 3: (3,), 5: (5,)}
"""Objects of each group."""


def random_gaussians(count: int, seed: int = 0, rows: int = len(ROWS)) -> PageGaussians:
    """Gaussians around the origin, those of a row in one place."""
    random = np.random.default_rng(seed)
    row = np.sort(random.integers(0, rows, count))
    places = np.random.default_rng(7).uniform(-1, 1, (rows, 3))
    return PageGaussians(
        means=(places[row] + 0.2 * random.standard_normal((count, 3))).astype(np.float32),
        quats=Rotation.random(count, random_state=seed).as_quat().astype(np.float32),
        log_scales=(0.7 * random.standard_normal((count, 3)) - 2.7).astype(np.float32),
        opacities=random.uniform(0.3, 1, count).astype(np.float32),
        colors=random.uniform(0, 1, (count, 3)).astype(np.float32),
        rows=row,
    )


def geometry_of(gaussians: PageGaussians, antialiased: bool = False) -> Geometry:
    """For our rasterizer."""
    columns = (gaussians.means, gaussians.quats, np.exp(gaussians.log_scales), gaussians.opacities)
    return Geometry(*(torch.from_numpy(np.ascontiguousarray(column)) for column in columns), antialiased=antialiased)


def view_from(angle: float) -> StartView:
    """From four units away, turned about the vertical by an angle; z is up."""
    turn = Rotation.from_euler("z", angle).as_matrix() @ np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0.0]])
    viewmat = np.eye(4)
    viewmat[:3, :3], viewmat[:3, 3] = turn.T, -turn.T @ (turn @ [0, 0, -4.0])
    return StartView(f"view {angle:g}", viewmat, FOCAL, *SIZE)


def web_scene(antialiased: bool = False, total: int = 400) -> WebScene:
    """Five objects, of which one has two parts, one no Gaussian and one a name that tries to break out."""

    def things(units: dict[int, tuple[int, ...]]) -> list[Thing]:
        colors = {number: instance_colors(np.array([number]))[0].tolist() for number in units}
        names = {number: NASTY if number == 2 else f"thing {number}" for number in units}
        return [Thing(n, names[n], tuple(colors[n]), 10 * n * (n != 5), own) for n, own in units.items()]  # type: ignore

    groups = {head: tuple(unit for o in own for unit in OBJECTS[o]) for head, own in GROUPS.items()}
    parts = {unit: (unit,) for own in OBJECTS.values() for unit in own}
    return WebScene(
        title=NASTY,
        total=total,
        antialiased=antialiased,
        min_alpha=0.5,
        up=(0.0, 0.0, 1.0),
        level="object",
        unit_of_row=[unit for unit, _ in ROWS],
        seen_of_row=[seen for _, seen in ROWS],
        levels={"group": things(groups), "object": things(OBJECTS), "part": things(parts)},
        views=[view_from(0.0), view_from(1.0), view_from(-2.0)],
    )


def unpacked(packed: bytes, count: int) -> PageGaussians:
    """What ``unpack.js`` reads of the bytes."""
    chunks = -(-count // CHUNK)
    sizes = {"bounds": (12 * chunks, "<f4"), "rotations": (count, "<u4"), "means": (3 * count, "<u2")}
    sizes |= {
        "rows": (count, "<u2"),
        "scales": (3 * count, "u1"),
        "colors": (3 * count, "u1"),
        "opacity": (count, "u1"),
    }
    read, at = {}, 0
    for name, (size, kind) in sizes.items():
        read[name] = np.frombuffer(packed, kind, size, at)
        at += size * np.dtype(kind).itemsize
    assert at == len(packed)
    bounds = read["bounds"].reshape(-1, 12).astype(np.float64)[np.arange(count) // CHUNK]
    means = bounds[:, 0:3] + (bounds[:, 3:6] - bounds[:, 0:3]) * read["means"].reshape(-1, 3) / 65535
    scales = bounds[:, 6:9] + (bounds[:, 9:12] - bounds[:, 6:9]) * read["scales"].reshape(-1, 3) / 255
    return PageGaussians(
        means=means,
        quats=unpacked_rotations(read["rotations"]),
        log_scales=scales,
        opacities=read["opacity"] / 255,
        colors=read["colors"].reshape(-1, 3) / 255,
        rows=read["rows"].astype(np.int64),
    )


def unpacked_rotations(packed: np.ndarray) -> np.ndarray:
    """Quaternions w, x, y, z."""
    quats = np.zeros((len(packed), 4))
    for i, word in enumerate(packed.tolist()):
        others = [axis for axis in range(4) if axis != word >> 30]
        quats[i, others] = [((word >> shift & 1023) / 1023 - 0.5) * np.sqrt(2) for shift in (20, 10, 0)]
        quats[i, word >> 30] = np.sqrt(max(1 - (quats[i] ** 2).sum(), 0))
    return quats
