"""Splats as PlayCanvas's SOG (version 2; 1 is read too): pictures in lossless WebP and a meta.json, zipped or not.

A pixel is a Gaussian. Of red, green and blue, ``means_l`` and ``means_u`` hold the low and the high byte of the
position, whose sign(x) log(|x| + 1) lies between ``mins`` and ``maxs``; ``quats`` the three smallest components of
w x y z, and as alpha 252 plus which is the largest; ``scales`` and ``sh0`` which of the 256 numbers in ``codebook``
each logarithm of a scale and each coefficient of degree 0 is, and alpha of ``sh0`` the opacity. ``shN_labels`` names
for each Gaussian a row of harmonics in ``shN_centroids``, where 64 rows lie side by side, again by a codebook.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.files import atomic_file
from proto_saga_ns.kernels.memory import check_fits
from proto_saga_ns.splats.codebook import nearest_number, number_codes, row_codes
from proto_saga_ns.splats.formats import check_degree
from proto_saga_ns.splats.order import morton_order
from proto_saga_ns.splats.quaternions import BOUND, from_smallest_three, smallest_three
from proto_saga_ns.splats.splat import Splat, SplatFile, logits

META = "meta.json"
EXPECTED = "a SOG as SuperSplat and splat-transform write it"
LARGEST_ID, LARGEST_SIDE = 65535, 16383
"""A picture in WebP has no longer side."""
FIRST_QUAT_TAG = 252
ROWS_SIDE_BY_SIDE = 64
EXACT = 1024
"""Gaussians up to which each keeps harmonics of its own."""
BYTES_WHEN_READ = 500
"""Memory that a Gaussian takes on the way, at the least."""
Image = UInt8[np.ndarray, "N 4"]


def write_sog(path: Path, splat: Splat, antialiased: bool, generator: str) -> None:
    """Write a splat as one zipped file, atomically; its Gaussians in another order.

    Args:
        path: file to write.
        splat: of at least one Gaussian.
        antialiased: whether it is to be shown with antialiasing.
        generator: what made it, for people.

    Raises:
        ProtoSagaError: the file cannot be written, or holds neither harmonics of such a degree nor so many Gaussians.
    """
    check_degree(splat.degree, "sog")
    if len(splat) > LARGEST_SIDE**2:
        raise ProtoSagaError(f"A SOG holds {LARGEST_SIDE**2:,} Gaussians at most, this scene has {len(splat):,}.")
    splat = splat.select(torch.from_numpy(morton_order(splat.means.numpy())))
    meta: dict[str, Any] = {"version": 2, "asset": {"generator": generator}, "count": len(splat)}
    meta |= {"model": "antialiased"} if antialiased else {}
    images: dict[str, UInt8[np.ndarray, "H W 4"]] = {}
    for name, (entry, pictures) in _attributes(splat).items():
        meta[name] = {**entry, "files": [f"{picture}.webp" for picture in pictures]}
        images |= pictures
    with atomic_file(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, image in images.items():
            archive.writestr(zipfile.ZipInfo(f"{name}.webp"), _webp(image))
        archive.writestr(zipfile.ZipInfo(META), json.dumps(meta))


def _attributes(splat: Splat) -> dict[str, tuple[dict[str, Any], dict[str, np.ndarray]]]:
    """For each entry of meta.json, what it says besides the names of its pictures, and these."""
    logarithms = np.sign(splat.means.double().numpy()) * np.log1p(np.abs(splat.means.double().numpy()))
    low, high = logarithms.min(axis=0), logarithms.max(axis=0)
    shares = (logarithms - low) / np.where(high > low, high - low, 1)
    steps = np.rint(65535 * shares).astype(np.uint16)
    scales, colors = splat.log_scales.numpy(), splat.harmonics[:, 0].numpy()
    scale_codes, color_codes = number_codes(scales), number_codes(colors)
    opacities = np.rint(255 * splat.opacity_logits.sigmoid().numpy()).astype(np.uint8)
    found = {
        "means": (
            {"mins": low.tolist(), "maxs": high.tolist()},
            {"means_l": _picture(steps & 255), "means_u": _picture(steps >> 8)},
        ),
        "scales": ({"codebook": scale_codes.tolist()}, {"scales": _picture(nearest_number(scales, scale_codes))}),
        "quats": ({}, {"quats": _packed_quats(splat)}),
        "sh0": (
            {"codebook": color_codes.tolist()},
            {"sh0": _picture(nearest_number(colors, color_codes), opacities)},
        ),
    }
    return found if splat.degree == 0 else {**found, "shN": _packed_harmonics(splat)}


def _picture(rgb: np.ndarray, alpha: np.ndarray | int = 255) -> UInt8[np.ndarray, "H W 4"]:
    """Rows of three bytes as pixels, in the size that this format has for so many."""
    width = -(-int(np.ceil(np.sqrt(len(rgb)))) // 4) * 4
    height = -(-len(rgb) // (4 * width)) * 4
    pixels = np.zeros((height * width, 4), np.uint8)
    pixels[: len(rgb), :3], pixels[: len(rgb), 3] = rgb, alpha
    return pixels.reshape(height, width, 4)


def _packed_quats(splat: Splat) -> UInt8[np.ndarray, "H W 4"]:
    largest, others = smallest_three(splat.unit_quats().numpy())
    return _picture(np.rint(255 * (others / (2 * BOUND) + 0.5)).clip(0, 255), largest + FIRST_QUAT_TAG)


def _packed_harmonics(splat: Splat) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    rest = splat.harmonics[:, 1:].flatten(1)
    size = len(splat) if len(splat) <= EXACT else min(1 << (len(splat).bit_length() - 1), LARGEST_ID + 1)
    centroids, labels = row_codes(rest, size)
    codes = number_codes(centroids.numpy())
    rows = -(-len(centroids) // ROWS_SIDE_BY_SIDE)
    coefficients = splat.harmonics.shape[1] - 1
    pixels = np.zeros((rows * ROWS_SIDE_BY_SIDE, coefficients, 4), np.uint8)
    pixels[: len(centroids), :, :3] = nearest_number(centroids.numpy(), codes).reshape(-1, coefficients, 3)
    pixels[..., 3] = 255
    named = np.stack([labels.numpy() & 255, labels.numpy() >> 8, np.zeros(len(labels), np.int64)], axis=1)
    entry = {"count": len(centroids), "bands": splat.degree, "codebook": codes.tolist()}
    palette = pixels.reshape(rows, ROWS_SIDE_BY_SIDE * coefficients, 4)
    return entry, {"shN_centroids": palette, "shN_labels": _picture(named)}


def _webp(image: UInt8[np.ndarray, "H W 4"]) -> bytes:
    from PIL import Image

    content = io.BytesIO()
    # exact: colours stay where alpha is 0.
    Image.fromarray(image, "RGBA").save(content, "WEBP", lossless=True, exact=True)
    return content.getvalue()


def read_sog(path: Path) -> SplatFile:
    """Read a splat in the order of the file.

    Args:
        path: the zipped file, the folder, or the meta.json in it.

    Raises:
        ProtoSagaError: something is missing or damaged, or of another version.
    """
    try:
        with ExitStack() as stack:
            if path.is_dir() or path.suffix == ".json":
                return _read(_in_folder(path if path.is_dir() else path.parent), path)
            return _read(_in_archive(stack.enter_context(zipfile.ZipFile(path))), path)
    except (OSError, ValueError, KeyError, IndexError, TypeError, zipfile.BadZipFile, SyntaxError) as error:
        what = f"it lacks {error}" if isinstance(error, KeyError) else getattr(error, "strerror", None) or error
        raise ProtoSagaError(f"Cannot read {path}: {what}. Expected {EXPECTED}.") from error


def _in_folder(folder: Path) -> Callable[[str], bytes]:
    """The content of a file in a folder, and of none elsewhere."""
    return lambda name: (folder / Path(name).name).read_bytes()


def _in_archive(archive: zipfile.ZipFile) -> Callable[[str], bytes]:
    """The content of a file beside the meta.json, which may lie in a folder."""
    places = [name for name in archive.namelist() if Path(name).name == META]
    if not places:
        raise ValueError(f"it is a ZIP archive without a {META}, which every SOG has")
    folder = min(places, key=len)[: -len(META)]
    return lambda name: archive.read(folder + name)


def _read(content: Callable[[str], bytes], path: Path) -> SplatFile:
    meta = json.loads(content(META))
    if meta.get("version", 1) not in (1, 2):
        raise ValueError(f"it is of version {meta['version']}, and 1 and 2 are read")
    count = int(meta["count"] if "version" in meta else meta["means"]["shape"][0])
    check_fits(BYTES_WHEN_READ * count, f"Reading {count:,} Gaussians of {path}", "Take a smaller one.")

    def pixels(entry: str, index: int = 0) -> Image:
        return _pixels(content(meta[entry]["files"][index]), count, meta[entry]["files"][index])

    steps = pixels("means", 0)[:, :3] + 256.0 * pixels("means", 1)[:, :3]
    logarithms = _between(meta["means"], steps / 65535)
    quats, sh0 = pixels("quats"), pixels("sh0")
    scales = _decoded(meta["scales"], pixels("scales")[:, :3])
    colors = _decoded(meta["sh0"], sh0 if "codebook" not in meta["sh0"] else sh0[:, :3])
    has_logits = colors.shape[1] == 4
    harmonics = [_tensor(colors[:, None, :3])]
    if meta.get("shN"):
        harmonics.append(_harmonics(meta["shN"], content, pixels("shN", 1)))
    splat = Splat(
        means=_tensor(np.sign(logarithms) * np.expm1(np.abs(logarithms))),
        quats=_tensor(_unpacked_quats(quats)),
        log_scales=_tensor(scales),
        opacity_logits=_tensor(colors[:, 3]) if has_logits else logits(_tensor(sh0[:, 3] / 255)),
        harmonics=torch.cat(harmonics, dim=1),
    )
    return SplatFile(splat, {"antialiased": True, "default": False}.get(meta.get("model", "")))


def _pixels(webp: bytes, count: int | None, name: str) -> Image:
    """The first pixels of a picture, row by row; None: all."""
    from PIL import Image

    with Image.open(io.BytesIO(webp)) as image:
        pixels = np.asarray(image.convert("RGBA")).reshape(-1, 4)
    if count is not None and len(pixels) < count:
        raise ValueError(f"{name} has {len(pixels):,} pixels for {count:,} Gaussians")
    return pixels[:count]


def _between(entry: dict[str, Any], shares: np.ndarray) -> np.ndarray:
    low, high = np.array(entry["mins"], np.float64), np.array(entry["maxs"], np.float64)
    return low + (high - low) * shares


def _decoded(entry: dict[str, Any], bytes_: np.ndarray) -> np.ndarray:
    """Numbers by a codebook; of version 1 between bounds."""
    if "codebook" not in entry:
        return _between(entry, bytes_ / 255)
    return np.array(entry["codebook"], np.float32)[bytes_]


def _harmonics(entry: dict[str, Any], content: Callable[[str], bytes], labels: Image) -> Float[torch.Tensor, "N R 3"]:
    from PIL import Image

    with Image.open(io.BytesIO(content(entry["files"][0]))) as image:
        palette = np.asarray(image.convert("RGBA"))[..., :3]
    coefficients = palette.shape[1] // ROWS_SIDE_BY_SIDE
    if palette.shape[1] % ROWS_SIDE_BY_SIDE or coefficients not in (3, 8, 15):
        raise ValueError(f"{entry['files'][0]} is {palette.shape[1]} pixels wide, expected 192, 512 or 960")
    rows = palette.reshape(-1, coefficients, 3)
    chosen = labels[:, 0].astype(np.int64) + 256 * labels[:, 1].astype(np.int64)
    if chosen.max(initial=0) >= len(rows):
        raise ValueError(f"{entry['files'][1]} names row {chosen.max()} of {len(rows)}")
    return _tensor(_decoded(entry, rows)[chosen])


def _unpacked_quats(pixels: Image) -> Float[np.ndarray, "N 4"]:
    largest = pixels[:, 3].astype(np.int64) - FIRST_QUAT_TAG
    quats = from_smallest_three(largest.clip(0, 3), (pixels[:, :3] / 255 - 0.5) * 2 * BOUND)
    quats[largest < 0] = (1, 0, 0, 0)
    return quats


def _tensor(values: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, np.float32))
