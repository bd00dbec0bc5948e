"""Splats as the compressed PLY of PlayCanvas and SuperSplat: 16 bytes a Gaussian, and one a harmonic coefficient.

Gaussians lie in chunks of 256 neighbours. The element ``chunk`` has the bounds of positions, logarithms of scales and
colours; ``vertex`` four uint32 for each Gaussian, in which the bounds are 0 and 1:

    packed_position, packed_scale   11, 10 and 11 bits for x, y and z, the first highest
    packed_rotation                 2 bits for which of w x y z is the largest, 10 for each other, within 1/sqrt(2)
    packed_color                    8 bits each for red, green, blue and opacity

``sh``, if there, holds a byte for each f_rest_*, from -4 to 4. Older files have no bounds of colours: they are 0 and 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8, UInt32

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.files import atomic_file
from proto_saga_ns.splats.formats import check_degree
from proto_saga_ns.splats.order import morton_order
from proto_saga_ns.splats.ply import comments_say_antialiased
from proto_saga_ns.splats.quaternions import BOUND, from_smallest_three, smallest_three
from proto_saga_ns.splats.splat import Splat, SplatFile, constant_harmonics, logits, plain_colors
from proto_saga_ns.splats.vertices import Header, read_header, read_tables

CHUNK = 256
MAX_DEGREE = 3
PACKED = ("packed_position", "packed_rotation", "packed_scale", "packed_color")
AXIS_BITS = (11, 10, 11)
QUAT_BITS = 10
LARGEST_LOG_SCALE = 20.0
LARGEST_HARMONIC = 4.0
EXPECTED = "a compressed PLY as SuperSplat and splat-transform write it"
_POSITIONS, _SCALES, _COLORS = ("x", "y", "z"), ("scale_x", "scale_y", "scale_z"), ("r", "g", "b")


def is_compressed(header: Header) -> bool:
    """Whether the head of a PLY is that of a compressed splat."""
    return set(PACKED) <= {*header.fields_of("vertex")} and bool(header.fields_of("chunk"))


def write_compressed_ply(path: Path, splat: Splat, comments: Sequence[str] = ()) -> None:
    """Write a splat, atomically; its Gaussians in another order.

    Args:
        path: file to write.
        splat: of at least one Gaussian.
        comments: lines for the header, in ASCII.

    Raises:
        ProtoSagaError: the file cannot be written, or holds no harmonics of such a degree.
    """
    check_degree(splat.degree, "compressed-ply")
    order = torch.from_numpy(morton_order(splat.means.numpy()))
    splat = splat.select(order)
    bounds, codes = zip(
        _packed_axes(splat.means.numpy()),
        _packed_axes(splat.log_scales.clamp(-LARGEST_LOG_SCALE, LARGEST_LOG_SCALE).numpy()),
        _packed_colors(splat),
        strict=True,
    )
    fields = [f"{end}_{name}" for names in (_POSITIONS, _SCALES, _COLORS) for end in ("min", "max") for name in names]
    packed = np.stack([codes[0], _packed_quats(splat), codes[1], codes[2]], axis=1)
    harmonics = _packed_harmonics(splat)
    lines = ["ply", "format binary_little_endian 1.0", *(f"comment {comment}" for comment in comments)]
    lines += [f"element chunk {len(bounds[0])}", *(f"property float {name}" for name in fields)]
    lines += [f"element vertex {len(splat)}", *(f"property uint {name}" for name in PACKED)]
    if harmonics.shape[1] > 0:
        lines += [f"element sh {len(splat)}"]
        lines += [f"property uchar f_rest_{index}" for index in range(harmonics.shape[1])]
    with atomic_file(path) as file:
        file.write("\n".join([*lines, "end_header", ""]).encode("ascii"))
        file.write(np.concatenate(bounds, axis=1).astype("<f4").tobytes())
        file.write(packed.astype("<u4").tobytes())
        file.write(harmonics.tobytes())


def _bounds_and_shares(values: Float[np.ndarray, "N 3"]) -> tuple[Float32[np.ndarray, "C 6"], np.ndarray]:
    """Lowest and highest values of each chunk, and where between them each value lies, from 0 to 1."""
    starts = np.arange(0, len(values), CHUNK)
    low, high = np.minimum.reduceat(values, starts), np.maximum.reduceat(values, starts)
    chunk = np.arange(len(values)) // CHUNK
    span = (high - low)[chunk]
    shares = np.divide(values - low[chunk], span, out=np.zeros(values.shape), where=span > 0)
    return np.concatenate([low, high], axis=1).astype(np.float32), shares


def _join(shares: Float[np.ndarray, "N C"], bits: Sequence[int]) -> UInt32[np.ndarray, " N"]:
    """Numbers from 0 to 1 side by side in some bits each, the first highest."""
    code = np.zeros(len(shares), np.uint32)
    for column, width in zip(shares.T, bits, strict=True):
        code = (code << np.uint32(width)) | np.rint(column.clip(0, 1) * (2**width - 1)).astype(np.uint32)
    return code


def _split(code: UInt32[np.ndarray, " N"], bits: Sequence[int]) -> Float[np.ndarray, "N C"]:
    """What ``_join`` put together."""
    shares = np.empty((len(code), len(bits)))
    shift = sum(bits)
    for index, width in enumerate(bits):
        shift -= width
        shares[:, index] = ((code >> np.uint32(shift)) & np.uint32(2**width - 1)) / (2**width - 1)
    return shares


def _packed_axes(values: Float[np.ndarray, "N 3"]) -> tuple[np.ndarray, np.ndarray]:
    bounds, shares = _bounds_and_shares(values)
    return bounds, _join(shares, AXIS_BITS)


def _packed_colors(splat: Splat) -> tuple[np.ndarray, np.ndarray]:
    bounds, shares = _bounds_and_shares(plain_colors(splat.harmonics[:, 0]).numpy())
    opacities = splat.opacity_logits.sigmoid().numpy()[:, None]
    return bounds, _join(np.concatenate([shares, opacities], axis=1), (8, 8, 8, 8))


def _packed_quats(splat: Splat) -> UInt32[np.ndarray, " N"]:
    largest, others = smallest_three(splat.unit_quats().numpy())
    code = _join(others / (2 * BOUND) + 0.5, (QUAT_BITS,) * 3)
    return (largest.astype(np.uint32) << np.uint32(3 * QUAT_BITS)) | code


def _packed_harmonics(splat: Splat) -> UInt8[np.ndarray, "N R"]:
    """All coefficients of red, then of green, then of blue; each in the middle of one of 256 steps."""
    rest = splat.harmonics[:, 1:].transpose(1, 2).flatten(1).numpy()
    steps = np.floor((rest / (2 * LARGEST_HARMONIC) + 0.5) * 256)
    return steps.clip(0, 255).astype(np.uint8)


def read_compressed_ply(path: Path) -> SplatFile:
    """Read a splat in the order of the file.

    Raises:
        ProtoSagaError: the file is missing, damaged, or no such PLY.
    """
    header = read_header(path)
    names = ["chunk", "vertex", *(["sh"] if header.fields_of("sh") else [])]
    chunks, vertices, *harmonics = read_tables(path, names, EXPECTED)
    count = len(vertices)
    if len(chunks) != -(-count // CHUNK) or (harmonics and len(harmonics[0]) != count):
        raise ProtoSagaError(f"{path} has {len(chunks)} chunks for {count} Gaussians. Expected {EXPECTED}.")
    codes = {name: vertices[name].astype(np.uint32) for name in PACKED}
    quats = _split(codes["packed_rotation"], (2, *(QUAT_BITS,) * 3))
    largest = (codes["packed_rotation"] >> np.uint32(3 * QUAT_BITS)).astype(np.int64)
    colors = _split(codes["packed_color"], (8, 8, 8, 8))
    rgb = _between(chunks, _COLORS, colors[:, :3], path) if "min_r" in header.fields_of("chunk") else colors[:, :3]
    constant = constant_harmonics(_tensor(rgb))[:, None]
    splat = Splat(
        means=_tensor(_between(chunks, _POSITIONS, _split(codes["packed_position"], AXIS_BITS), path)),
        quats=_tensor(from_smallest_three(largest, (quats[:, 1:] - 0.5) * 2 * BOUND)),
        log_scales=_tensor(_between(chunks, _SCALES, _split(codes["packed_scale"], AXIS_BITS), path)),
        opacity_logits=logits(_tensor(colors[:, 3])),
        harmonics=torch.cat([constant, _unpacked_harmonics(harmonics[0], path)], 1) if harmonics else constant,
    )
    return SplatFile(splat, comments_say_antialiased(header.comments))


def _tensor(values: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, np.float32))


def _between(chunks: np.ndarray, names: Sequence[str], shares: np.ndarray, path: Path) -> np.ndarray:
    """Values by their shares between the bounds of their chunks."""
    wanted = [f"{end}_{name}" for end in ("min", "max") for name in names]
    if missing := [name for name in wanted if name not in (chunks.dtype.names or ())]:
        raise ProtoSagaError(f"{path} lacks {', '.join(missing)} of its chunks. Expected {EXPECTED}.")
    bounds = np.stack([chunks[name].astype(np.float64) for name in wanted], axis=1)
    bounds = bounds[np.arange(len(shares)) // CHUNK]
    return bounds[:, :3] * (1 - shares) + bounds[:, 3:] * shares


def _unpacked_harmonics(rest: np.ndarray, path: Path) -> torch.Tensor:
    names = [f"f_rest_{index}" for index in range(len(rest.dtype.names or ()))]
    counts = [3 * (degree + 1) ** 2 - 3 for degree in range(1, MAX_DEGREE + 1)]
    if len(names) not in counts or {*names} != {*(rest.dtype.names or ())}:
        raise ProtoSagaError(f"{path} has {len(names)} harmonics a Gaussian, expected one of {counts}. Make it again.")
    steps = np.stack([rest[name] for name in names], axis=1).astype(np.float32)
    values = np.where(steps == 0, 0, np.where(steps == 255, 1, (steps + 0.5) / 256))
    values = (values - 0.5) * 2 * LARGEST_HARMONIC
    return _tensor(values).reshape(len(rest), 3, len(names) // 3).transpose(1, 2)
