"""Splats as the .splat of antimatter15's viewer: 32 bytes a Gaussian, without a header and without harmonics.

Per Gaussian, little-endian: position and scales as float32, red, green, blue and opacity as bytes, and the quaternion
w x y z as bytes, 128 being zero.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.files import atomic_file
from proto_saga_ns.kernels.memory import check_fits
from proto_saga_ns.splats.splat import Splat, SplatFile, constant_harmonics, logits, plain_colors

RECORD = np.dtype([("mean", "<f4", 3), ("scale", "<f4", 3), ("rgba", "u1", 4), ("quat", "u1", 4)])
TRIED = 1000
"""Gaussians that are looked at to tell whether a file without a magic number may be such a splat."""
LARGEST = 1e8
"""Of a position or a scale that is one."""
UNIT_LENGTH = 0.05
"""How far a quaternion in bytes may be from it."""


def write_dot_splat(path: Path, splat: Splat) -> None:
    """Write a splat in its order, atomically; of its harmonics only those of degree 0.

    Raises:
        ProtoSagaError: the file cannot be written.
    """
    records = np.empty(len(splat), RECORD)
    records["mean"] = splat.means.numpy()
    records["scale"] = splat.log_scales.exp().numpy()
    opacities = splat.opacity_logits.sigmoid()[:, None]
    records["rgba"] = _bytes(255 * torch.cat([plain_colors(splat.harmonics[:, 0]), opacities], dim=1).numpy())
    quats = splat.unit_quats().numpy()
    # q and -q turn alike; with its largest component below zero none reaches +1, which 256 would be.
    largest = np.take_along_axis(quats, np.abs(quats).argmax(axis=1)[:, None], axis=1)
    records["quat"] = _bytes(128 - 128 * quats * np.sign(largest))
    with atomic_file(path) as file:
        file.write(records.tobytes())


def _bytes(values: np.ndarray) -> UInt8[np.ndarray, "N 4"]:
    return np.rint(values).clip(0, 255).astype(np.uint8)


def looks_like_dot_splat(path: Path) -> bool:
    """Whether the length of a file, and its first numbers, are those of such a splat."""
    size = path.stat().st_size
    if size == 0 or size % RECORD.itemsize != 0:
        return False
    records = np.fromfile(path, RECORD, count=min(size // RECORD.itemsize, TRIED))
    numbers = np.concatenate([records["mean"], records["scale"]], axis=1)
    lengths = np.linalg.norm((records["quat"].astype(np.float32) - 128) / 128, axis=1)
    with np.errstate(invalid="ignore"):
        good = (np.abs(numbers) < LARGEST).all(axis=1) & (records["scale"] >= 0).all(axis=1)
    return bool((good & (np.abs(lengths - 1) < UNIT_LENGTH)).mean() > 0.5)


def read_dot_splat(path: Path) -> SplatFile:
    """Read a splat in the order of the file.

    Raises:
        ProtoSagaError: the file cannot be read, or is cut off.
    """
    try:
        size = path.stat().st_size
        check_fits(4 * size, f"Reading {path} of {size:,} bytes, as a file and as numbers,", "Take a smaller one.")
        content = path.read_bytes()
    except OSError as error:
        raise ProtoSagaError(f"Cannot read {path}: {error.strerror or error}.") from error
    count, left = divmod(len(content), RECORD.itemsize)
    if left or not count:
        raise ProtoSagaError(
            f"{path} is cut off or no .splat: it has {len(content)} bytes, expected a multiple of {RECORD.itemsize}. "
            "Make it again."
        )
    records = np.frombuffer(content, RECORD)
    rgba = torch.from_numpy(records["rgba"].astype(np.float32) / 255)
    with np.errstate(divide="ignore", invalid="ignore"):
        log_scales = np.log(records["scale"])
    splat = Splat(
        means=torch.from_numpy(records["mean"].astype(np.float32)),
        quats=torch.from_numpy((records["quat"].astype(np.float32) - 128) / 128),
        log_scales=torch.from_numpy(log_scales.astype(np.float32)),
        opacity_logits=logits(rgba[:, 3]),
        harmonics=constant_harmonics(rgba[:, None, :3]),
    )
    return SplatFile(splat)
