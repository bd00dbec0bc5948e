"""Which views of a splat to make: of many that could be, those that together show most of it, from several sides."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from proto_saga_ns.association.consensus.survey import cells_of
from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.export.videos.turntable import PinholeLens
from proto_saga_ns.progress import Progress, unseen
from proto_saga_ns.rasterize.contributions import contributions
from proto_saga_ns.rasterize.geometry import Geometry
from proto_saga_ns.viewpoints.scan import Scan, across

CANDIDATES_PER_VIEW = 8
CLEARANCE = 0.04
"""Of the diagonal: how far a camera stands from what is solid."""
TOO_NEAR = 0.25
"""Share of a picture that may be nearer than half of that."""
LEAST_SHOWN = 0.5
"""Share of a picture that has to show something, inside; outside there is sky."""
LEAST_SHOWN_OUTSIDE = 0.02
COARSE_WIDTH = 96
"""Of the pictures that candidates are judged by, pixels."""
PITCHES = np.deg2rad([0.0, -15.0, -32.0])
ELEVATIONS = np.deg2rad([8.0, 20.0, 35.0, 55.0])
DISTANCES = (1.1, 1.6, 2.4)
"""Of a walk around, from the middle, in parts of the reach of what is fine."""
HANDY_DIAGONAL = 20.0
WELL_SEEN = 3
"""Views, from which on masks can contradict each other."""


@dataclass(frozen=True)
class Plan:
    """Views, best first.

    Attributes:
        poses: camera to world, OpenCV axes.
        inside: whether they look from within the scene.
        well_seen: share of what any candidate shows that ``WELL_SEEN`` of the views show.
    """

    poses: list[Float[np.ndarray, "4 4"]]
    inside: bool
    well_seen: float


@torch.no_grad()
def plan_views(
    geometry: Geometry, scanned: Scan, lens: PinholeLens, count: int, seed: int = 0, progress: Progress = unseen
) -> Plan:
    """Choose views of a splat.

    Candidates stand where there is room at eye height, if the scene encloses such places, and look around; else they
    stand around the scene and look at it. Those with something right before the lens, or with little in sight, are left
    out. Of the others that is taken next which shows most of what few have shown so far.

    Args:
        geometry: of the Gaussians, on the CPU or a GPU.
        scanned: the same as voxels.
        lens: of the views.
        count: how many.
        seed: of the candidates.
        progress: of the candidates.

    Raises:
        ProtoSagaError: no candidate shows anything.
    """
    rng = np.random.default_rng(seed)
    number = CANDIDATES_PER_VIEW * count
    least, places = _places(scanned)
    inside = len(places) > 0
    poses = list(_looking_around(places, scanned.up, number, rng) if inside else _around(scanned, number, rng))
    cells = cells_of(geometry.means.cpu().numpy())
    near, least_shown = (least / 2, LEAST_SHOWN) if inside else (CLEARANCE * scanned.reach, LEAST_SHOWN_OUTSIDE)
    judge = _Judge(geometry, handy_scale(scanned.diagonal), cells, _coarse(lens), near, least_shown)
    shown = {
        index: seen
        for index, pose in enumerate(progress(poses, "Looking for views", len(poses)))
        if (seen := judge.cells_shown(pose)) is not None
    }
    if not shown:
        raise ProtoSagaError(
            f"No view of this splat shows anything from near enough: {len(poses)} were tried "
            f"{'inside' if inside else 'around'} a box of {scanned.diagonal:.3g} from corner to corner. Is it a whole "
            "scene? Give the photos and poses that it was trained on with --data, or a cameras.json with "
            "--cameras."
        )
    chosen, well_seen = _most_shown(list(shown.values()), count)
    kept = list(shown)
    return Plan([poses[kept[index]] for index in chosen], inside, well_seen)


def _places(scanned: Scan) -> tuple[float, Float[np.ndarray, "P 3"]]:
    """A clearance, and where there is that much: less and less of it is asked for, as rooms may be narrow."""
    for share in (CLEARANCE, CLEARANCE / 2):
        places = scanned.places(share * scanned.diagonal)
        if len(places) >= 20:
            return share * scanned.diagonal, places
    return CLEARANCE * scanned.diagonal, np.zeros((0, 3))


def _coarse(lens: PinholeLens) -> PinholeLens:
    """The same view in few pixels."""
    scale = min(1.0, COARSE_WIDTH / lens.width)
    return PinholeLens(max(round(lens.width * scale), 1), max(round(lens.height * scale), 1), lens.focal * scale)


class _Judge:
    """What a view shows, in few pixels."""

    def __init__(
        self,
        geometry: Geometry,
        scale: float,
        cells: Int[np.ndarray, " N"],
        lens: PinholeLens,
        near: float,
        least_shown: float,
    ) -> None:
        self._geometry, self._scale, self._cells = scaled(geometry, scale), scale, cells
        self._near, self._least = near * scale, least_shown
        self._count = int(cells.max(initial=-1)) + 1
        device = geometry.means.device
        self._K = torch.tensor(lens.matrix, dtype=torch.float32, device=device)
        self._blank = torch.zeros(lens.height, lens.width, dtype=torch.int32, device=device)

    def cells_shown(self, pose: Float[np.ndarray, "4 4"]) -> Int[np.ndarray, " C"] | None:
        """Cells with a pixel or more; None for a view that nobody would take."""
        viewmat = viewmat_of(pose, self._scale).to(self._blank.device)
        found = contributions(self._geometry, viewmat, self._K, self._blank)
        rows = found.gaussians.long()
        depths = (self._geometry.means[rows] @ viewmat[2, :3] + viewmat[2, 3]).cpu().numpy()
        weights = found.weights.cpu().numpy().astype(np.float64)
        pixels, near = self._blank.numel(), weights[depths < self._near].sum()
        if weights.sum() < self._least * pixels or near > TOO_NEAR * pixels:
            return None
        of_cells = np.bincount(self._cells[rows.cpu().numpy()], weights, self._count)
        return np.flatnonzero(of_cells >= 1)


def handy_scale(diagonal: float) -> float:
    """What makes a scene ``HANDY_DIAGONAL`` across: the rasterizer shows nothing that is nearer than 0.01."""
    return HANDY_DIAGONAL / diagonal


def scaled(geometry: Geometry, scale: float) -> Geometry:
    """The same scene in another unit."""
    return replace(geometry, means=geometry.means * scale, scales=geometry.scales * scale)


def viewmat_of(pose: Float[np.ndarray, "4 4"], scale: float) -> Float[Tensor, "4 4"]:
    """World to camera of a ``scaled`` scene; the pose is that of the scene as it was."""
    viewmat = np.linalg.inv(pose)
    viewmat[:3, 3] *= scale
    return torch.tensor(viewmat, dtype=torch.float32)


def _most_shown(shown: Sequence[Int[np.ndarray, " _C"]], count: int) -> tuple[list[int], float]:
    """Views one after another: a cell that n views have shown already counts 1 / (1 + n).

    Returns:
        Their indices, and the share of all cells in sight that are ``WELL_SEEN``.
    """
    times = np.zeros(1 + max((int(cells.max(initial=-1)) for cells in shown), default=-1), dtype=np.int64)
    in_sight = np.zeros(len(times), dtype=bool)
    for cells in shown:
        in_sight[cells] = True
    left, chosen = dict(enumerate(shown)), []
    while left and len(chosen) < count:
        gains = {index: (1 / (1 + times[cells])).sum() for index, cells in left.items()}
        best = max(gains, key=lambda index: (gains[index], -index))
        times[left.pop(best)] += 1
        chosen.append(best)
    return chosen, float((times[in_sight] >= WELL_SEEN).mean()) if in_sight.any() else 0.0


def _looking_around(
    places: Float[np.ndarray, "P 3"], up: Float[np.ndarray, " 3"], count: int, rng: np.random.Generator
) -> Iterator[Float[np.ndarray, "4 4"]]:
    """Poses at random places, in all directions alike, level or a little down."""
    for index in range(count):
        position = places[rng.integers(len(places))]
        yaw = 2 * np.pi * (index + rng.uniform()) / 12
        yield look_along(position, _direction(up, yaw, PITCHES[index % len(PITCHES)]), up)


def _around(scanned: Scan, count: int, rng: np.random.Generator) -> Iterator[Float[np.ndarray, "4 4"]]:
    """Poses on circles around the middle of what is fine, that look at a place near it."""
    for index in range(count):
        elevation, distance = ELEVATIONS[index % len(ELEVATIONS)], DISTANCES[index // len(ELEVATIONS) % len(DISTANCES)]
        away = _direction(scanned.up, 2 * np.pi * (index + rng.uniform()) / 24, elevation)
        position = scanned.middle + distance * scanned.reach * away
        aim = scanned.middle + 0.4 * scanned.reach * rng.uniform(-1, 1, 3)
        yield look_along(position, aim - position, scanned.up)


def _direction(up: Float[np.ndarray, " 3"], yaw: float, pitch: float) -> Float[np.ndarray, " 3"]:
    one = across(up)
    level = np.cos(yaw) * one + np.sin(yaw) * np.cross(up, one)
    return np.cos(pitch) * level + np.sin(pitch) * up


def look_along(
    position: Float[np.ndarray, " 3"], direction: Float[np.ndarray, " 3"], up: Float[np.ndarray, " 3"]
) -> Float[np.ndarray, "4 4"]:
    """The upright pose at a place that looks in a direction, which is not straight up or down."""
    forward = direction / np.linalg.norm(direction)
    right = np.cross(forward, up)
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3] = np.stack([right, np.cross(forward, right), forward, position], axis=1)
    return pose
