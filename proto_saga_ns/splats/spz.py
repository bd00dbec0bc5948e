"""Splats as Niantic's SPZ: about 20 bytes a Gaussian with harmonics. Versions 2 to 4 are read, 3 is written.

A header, then one attribute after the other for all Gaussians: positions (24-bit fixed point, little-endian), then a
byte each for opacities, colours (0.15 times the coefficients of degree 0, plus 0.5), scales (16 (logarithm + 10)),
rotations and harmonics (128 times the coefficient, plus 128; red, green and blue of one coefficient side by side).
Rotations are x y z as bytes (version 2), or two bits for which of x y z w is the largest, and of each other a sign and
9 bits. All of it is one gzip stream (versions 2 and 3), or the header is plain and each attribute a zstandard stream
(version 4).

Axes. The documentation has right, up, back (RUB), for which the y and z of a PLY would change sign. The converters that
make most files (Niantic's ply_to_spz, splat-transform, gsply) change no number, and viewers that turn a PLY upright
turn an SPZ in the same way. So a file may be either. What is written here has the numbers of the PLY, and says so in
the record ``SPZ_ADOBE_coordinate_system`` (right, down, front), which programs that know it heed and others skip.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.files import atomic_file
from proto_saga_ns.kernels.memory import check_fits
from proto_saga_ns.splats.quaternions import BOUND, from_smallest_three, smallest_three
from proto_saga_ns.splats.splat import Splat, SplatFile, logits
from proto_saga_ns.splats.transform import Similarity, transform_splat

MAGIC = b"NGSP"
WRITTEN_VERSION, FIRST_VERSION, ZSTANDARD_VERSION = 3, 2, 4
MAX_DEGREE = 4
EXPECTED = "an SPZ of version 2, 3 or 4"
HEADER = struct.Struct("<4sIIBBBB")
"""Magic number, version, Gaussians, degree, fractional bits, flags, and in version 4 the number of streams."""
ZSTANDARD_HEADER_BYTES = 32
ANTIALIASED, HAS_RECORDS = 1, 2
"""Flags."""
COORDINATE_SYSTEM = 0xADBE0003
SYSTEMS = [
    "-",
    "LDB",
    "RDB",
    "LUB",
    "RUB",
    "LDF",
    "RDF",
    "LUF",
    "RUF",
    "LFD",
    "RFD",
    "LFU",
    "RFU",
    "LBD",
    "RBD",
    "LBU",
    "RBU",
]
"""By the number in that record: where x, y and z point. RDF is what a PLY has."""
DIRECTIONS = {"R": (1, 0, 0), "L": (-1, 0, 0), "D": (0, 1, 0), "U": (0, -1, 0), "F": (0, 0, 1), "B": (0, 0, -1)}
COLOR_SCALE = 0.15
FEWEST_BITS = 12
"""Of a coordinate behind the point, as Niantic's library has; more where Gaussians are small."""
STEPS_PER_SIZE = 8
LARGEST_FIXED = 2**23 - 1
HARMONIC_STEPS = (8, 16, 16, 16)
"""By the degree from 1 on, of 256: those of Niantic's library, which compress well."""


@dataclass(frozen=True)
class _Head:
    """What the header says."""

    version: int
    count: int
    degree: int
    fractional_bits: int
    flags: int
    streams: int

    @property
    def sizes(self) -> list[int]:
        """Bytes of positions, opacities, colours, scales, rotations and harmonics."""
        rotation = 3 if self.version == FIRST_VERSION else 4
        return [self.count * size for size in (9, 1, 3, 3, rotation, 3 * (self.degree + 1) ** 2 - 3)]


def write_spz(path: Path, splat: Splat, antialiased: bool) -> None:
    """Write a splat in its order, atomically.

    Args:
        path: file to write.
        splat: of at least one Gaussian.
        antialiased: whether it is to be shown with antialiasing.

    Raises:
        ProtoSagaError: the file cannot be written, or cannot hold coordinates as large.
    """
    bits = _fractional_bits(splat, path)
    flags = HAS_RECORDS | (ANTIALIASED if antialiased else 0)
    rgb = COLOR_SCALE * splat.harmonics[:, 0] + 0.5
    parts = [
        HEADER.pack(MAGIC, WRITTEN_VERSION, len(splat), splat.degree, bits, flags, 0),
        _packed_positions(splat.means.double().numpy() * 2.0**bits),
        _bytes(255 * splat.opacity_logits.sigmoid().numpy()),
        _bytes(255 * rgb.numpy()),
        _bytes(16 * (splat.log_scales.numpy() + 10)),
        _packed_quats(splat.unit_quats().numpy()),
        _packed_harmonics(splat),
        struct.pack("<III", COORDINATE_SYSTEM, 4, SYSTEMS.index("RDF")),
    ]
    with (
        atomic_file(path) as file,
        gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0, compresslevel=6) as out,
    ):
        for part in parts:
            out.write(part)


def _fractional_bits(splat: Splat, path: Path) -> int:
    """So many that a step is small beside Gaussians, as far as the largest coordinate leaves room."""
    largest = max(float(splat.means.abs().max()), 2.0**-40)
    room = math.floor(math.log2(LARGEST_FIXED / largest))
    if room < 0:
        raise ProtoSagaError(
            f"{path} would need coordinates up to {largest:,.0f}, and an SPZ holds {LARGEST_FIXED:,} at most. Choose "
            "another format, or --frame training."
        )
    size = float(splat.log_scales.amax(dim=1).mean()) / math.log(2)
    wanted = math.ceil(math.log2(STEPS_PER_SIZE) - size)
    return min(max(wanted, FEWEST_BITS), room, 23)


def _bytes(values: np.ndarray) -> bytes:
    return np.rint(values).clip(0, 255).astype(np.uint8).tobytes()


def _packed_positions(fixed: Float[np.ndarray, "N 3"]) -> bytes:
    numbers = np.rint(fixed).clip(-LARGEST_FIXED, LARGEST_FIXED).astype("<i4")
    return np.ascontiguousarray(numbers[..., None].view(np.uint8)[..., :3]).tobytes()


def _packed_quats(quats: Float[np.ndarray, "N 4"]) -> bytes:
    largest, others = smallest_three(np.roll(quats, -1, axis=1))  # x y z w
    code = largest.astype(np.uint32)
    for column in others.T:
        size = np.rint(511 * np.abs(column) / BOUND).clip(0, 511).astype(np.uint32)
        code = (code << np.uint32(10)) | ((column < 0).astype(np.uint32) << np.uint32(9)) | size
    return code.astype("<u4").tobytes()


def _packed_harmonics(splat: Splat) -> bytes:
    steps = np.repeat(HARMONIC_STEPS, [2 * degree + 1 for degree in range(1, MAX_DEGREE + 1)])
    steps = steps[: splat.harmonics.shape[1] - 1, None].astype(np.float32)
    exact = 128 * splat.harmonics[:, 1:].numpy() / steps
    return (128 + np.rint(exact) * steps).clip(0, 255).astype(np.uint8).tobytes()


def read_spz(path: Path) -> SplatFile:
    """Read a splat in the order of the file, with the coordinates of a PLY if the file says which it has.

    Raises:
        ProtoSagaError: the file is missing, damaged, or of another version.
    """
    try:
        with path.open("rb") as file:
            is_plain = file.read(len(MAGIC)) == MAGIC
        head, parts, records = _read_streams(path) if is_plain else _read_gzip(path)
    except (OSError, EOFError, zlib.error, ValueError, struct.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise ProtoSagaError(f"Cannot read {path}: {reason}. Expected {EXPECTED}. Make it again.") from error
    splat = _splat(head, [np.frombuffer(part, np.uint8) for part in parts])
    system = _coordinate_system(records) if head.flags & HAS_RECORDS else None
    if system is not None:
        splat = transform_splat(splat, _to_ply(system)) if system != "RDF" else splat
    return SplatFile(splat, bool(head.flags & ANTIALIASED), may_be_turned=system is None)


def _read_gzip(path: Path) -> tuple[_Head, list[bytes], bytes]:
    """Header, attributes and records of versions 2 and 3."""
    with gzip.open(path) as file:
        head = _head(file.read(HEADER.size), path)
        parts = [file.read(size) for size in head.sizes]
        if [len(part) for part in parts] != head.sizes:
            raise ValueError(f"it is cut off: {sum(map(len, parts)):,} of {sum(head.sizes):,} bytes are there")
        return head, parts, file.read(1 << 16)


def _read_streams(path: Path) -> tuple[_Head, list[bytes], bytes]:
    """The same of version 4."""
    import zstandard

    content = path.read_bytes()
    head = _head(content[: HEADER.size], path)
    (table,) = struct.unpack_from("<I", content, HEADER.size)
    sizes = [size for size in head.sizes if size > 0]
    if head.streams != len(sizes) or table < ZSTANDARD_HEADER_BYTES:
        raise ValueError(f"it has {head.streams} streams, expected {len(sizes)}")
    parts, start = [], table + 16 * head.streams
    for index, size in enumerate(sizes):
        packed, unpacked = struct.unpack_from("<QQ", content, table + 16 * index)
        if unpacked != size or start + packed > len(content):
            raise ValueError(f"it is cut off or damaged at byte {start:,} of {len(content):,}")
        try:
            parts.append(zstandard.ZstdDecompressor().decompress(content[start : start + packed], max_output_size=size))
        except zstandard.ZstdError as error:
            raise ValueError(str(error)) from error
        start += packed
    if [len(part) for part in parts] != sizes:
        raise ValueError("its streams are shorter than they say")
    return head, [*parts, b""][: len(head.sizes)], content[ZSTANDARD_HEADER_BYTES:table]


def _head(content: bytes, path: Path) -> _Head:
    if len(content) < HEADER.size or not content.startswith(MAGIC):
        raise ValueError("it is no SPZ file")
    head = _Head(*HEADER.unpack(content)[1:])
    if not FIRST_VERSION <= head.version <= ZSTANDARD_VERSION:
        raise ValueError(f"it is of version {head.version}")
    if head.degree > MAX_DEGREE or head.fractional_bits > 24 or head.count == 0:
        raise ValueError(
            f"its header has {head.count} Gaussians, harmonics of degree {head.degree} and {head.fractional_bits} "
            "fractional bits"
        )
    check_fits(6 * sum(head.sizes), f"Reading {head.count:,} Gaussians of {path}", "Take a smaller one.")
    return head


def _splat(head: _Head, parts: list[UInt8[np.ndarray, " _bytes"]]) -> Splat:
    positions, opacities, colors, scales, rotations, harmonics = parts
    numbers = positions.reshape(-1, 3).astype(np.int32)
    fixed = numbers[:, 0] | numbers[:, 1] << 8 | numbers[:, 2] << 16
    fixed -= (fixed & 0x800000) << 1  # the sign
    constant = (_floats(colors) / 255 - 0.5) / COLOR_SCALE
    rest = (_floats(harmonics) - 128) / 128
    return Splat(
        means=(torch.from_numpy(fixed) * 2.0**-head.fractional_bits).reshape(-1, 3),
        quats=torch.from_numpy(_unpacked_quats(rotations, head)),
        log_scales=(_floats(scales) / 16 - 10).reshape(-1, 3),
        opacity_logits=logits(_floats(opacities) / 255),
        harmonics=torch.cat([constant.reshape(-1, 1, 3), rest.reshape(head.count, -1, 3)], dim=1),
    )


def _floats(values: UInt8[np.ndarray, " _bytes"]) -> Float[torch.Tensor, " _bytes"]:
    return torch.from_numpy(values.astype(np.float32))


def _unpacked_quats(rotations: UInt8[np.ndarray, " _bytes"], head: _Head) -> Float[np.ndarray, "N 4"]:
    """w x y z."""
    if head.version == FIRST_VERSION:
        xyz = rotations.reshape(-1, 3).astype(np.float32) / 127.5 - 1
        return from_smallest_three(np.zeros(head.count, np.int64), xyz)
    code: Int[np.ndarray, " N"] = rotations.view("<u4").astype(np.int64)
    fields = np.stack([code >> 20, code >> 10, code], axis=1)
    sizes = ((fields & 511) * (BOUND / 511)).astype(np.float32)
    signs = np.where(fields & 512, np.float32(-1), np.float32(1))
    return np.ascontiguousarray(np.roll(from_smallest_three(code >> 30, signs * sizes), 1, axis=1))


def _coordinate_system(records: bytes) -> str | None:
    """Where x, y and z point, if the records of a file say so."""
    start = 0
    while start + 8 <= len(records):
        kind, size = struct.unpack_from("<II", records, start)
        if kind == COORDINATE_SYSTEM and size == 4 and start + 12 <= len(records):
            (number,) = struct.unpack_from("<I", records, start + 8)
            return SYSTEMS[number] if 0 < number < len(SYSTEMS) else None
        start += 8 + size
    return None


def _to_ply(system: str) -> Similarity:
    """From axes that point somewhere to right, down, front."""
    return Similarity(1.0, np.array([DIRECTIONS[axis] for axis in system], np.float64).T, np.zeros(3))


HALF_TURN = _to_ply("RUB")
"""From the axes that the documentation of SPZ has to those of a PLY, and back."""
