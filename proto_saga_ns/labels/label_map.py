"""Label maps on disk: single-channel PNG, 8 or 16 bit in, 16 bit out."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Int, Int32, Shaped
from PIL import Image, PngImagePlugin

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.files import what_it_is_instead, write_atomically

MAX_ID = 65535

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_END = b"\x00\x00\x00\x00IEND\xaeB`\x82"
_GREY, _PALETTE = 0, 3
_COLOR_TYPES = {0: "grey", 2: "RGB", 3: "palette", 4: "grey with alpha", 6: "RGB with alpha"}


def read_label_map(path: Path) -> Int32[np.ndarray, "H W"]:
    """Read a label map; a palette PNG is read by index, not by colour.

    Raises:
        ProtoSagaError: missing, not a PNG, damaged, more than one channel, or fewer than 8 bits.
    """
    _check_format(path)
    try:
        with Image.open(path) as image:
            return np.asarray(image).astype(np.int32)
    except Image.DecompressionBombError as error:
        raise ProtoSagaError(
            f"The label map {path} is too large ({error}). Make it smaller, as the images that belong to it."
        ) from error
    except (OSError, ValueError, SyntaxError) as error:
        raise ProtoSagaError(
            f"The label map {path} is damaged ({error}). Make it again, or remove it to train without it."
        ) from error


def write_label_map(path: Path, labels: Int[np.ndarray, "H W"], text: Mapping[str, str] | None = None) -> None:
    """Write a label map as a 16-bit PNG, atomically.

    Args:
        labels: ids in [0, 65535].
        text: notes for the PNG's text chunks, read again by ``read_text``.

    Raises:
        ProtoSagaError: an id that 16 bits cannot hold, or a file that cannot be written.
    """
    if labels.size and (labels.min() < 0 or labels.max() > MAX_ID):
        raise ProtoSagaError(
            f"Cannot write {path}: its ids run from {labels.min()} to {labels.max()}, but 16-bit PNG holds "
            f"0 to {MAX_ID}. Renumber them first."
        )
    notes = PngImagePlugin.PngInfo()
    for key, value in (text or {}).items():
        notes.add_text(key, value)
    buffer = io.BytesIO()
    Image.fromarray(labels.astype(np.uint16)).save(buffer, format="PNG", pnginfo=notes, compress_level=3)
    write_atomically(path, buffer.getvalue())


def read_text(path: Path) -> dict[str, str]:
    """The text chunks of a PNG; empty if the file is missing or is no PNG. Does not decode the pixels."""
    try:
        with Image.open(path) as image:
            return {key: str(value) for key, value in image.info.items() if isinstance(key, str)}
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return {}


def is_whole(path: Path) -> bool:
    """Whether a file begins and ends as a PNG does; does not decode the pixels."""
    try:
        with path.open("rb") as file:
            begins = file.read(len(_SIGNATURE)) == _SIGNATURE
            file.seek(-len(_END), io.SEEK_END)
            return begins and file.read() == _END
    except OSError:
        return False


def _check_format(path: Path) -> None:
    """Look at the header: PIL would scale 1, 2 and 4 bit grey to 0..255 without a word."""
    try:
        with path.open("rb") as file:
            header = file.read(26)
    except OSError as error:
        raise ProtoSagaError(f"Cannot read the label map {path}: {error.strerror}.") from error
    if header[:8] != _SIGNATURE or len(header) < 26:
        remedy = what_it_is_instead(path) or "Expected a single-channel PNG of 8 or 16 bits."
        raise ProtoSagaError(f"The label map {path} is not a PNG, or is cut off. {remedy}")
    depth, color_type = header[24], header[25]
    if color_type == _PALETTE or (color_type == _GREY and depth in (8, 16)):
        return
    found = f"{_COLOR_TYPES.get(color_type, 'unknown')}, {depth} bits a channel"
    raise ProtoSagaError(
        f"The label map {path} is {found}. Expected one channel of 8 or 16 bits whose value is the mask's id "
        "(0 = unlabelled), not a colour picture: save the ids themselves as a grey or palette PNG."
    )


def resize_label_map(labels: Shaped[np.ndarray, "H W"], height: int, width: int) -> Shaped[np.ndarray, "height width"]:
    """Nearest neighbour between pixel centres: the target's centre (x + 0.5) * W / width lies in its source.

    Ids (or depths) are never mixed; the same size gives the same map.
    """
    if labels.shape == (height, width):
        return labels
    rows = _nearest(labels.shape[0], height)
    columns = _nearest(labels.shape[1], width)
    return labels[rows[:, None], columns[None, :]]


def compact_labels(
    labels: Int[np.ndarray, "H W"],
) -> tuple[Int32[np.ndarray, "H W"], Int32[np.ndarray, " L"]]:
    """Renumber the ids to 1..L without gaps, in ascending order; 0 stays 0.

    Returns:
        The new map, and the old ids: label ``l`` was ``ids[l - 1]``.
    """
    ids = label_ids(labels)
    return renumber(labels, ids), ids


def label_ids(labels: Int[np.ndarray, "H W"]) -> Int32[np.ndarray, " L"]:
    """The ids that occur, ascending, without 0."""
    # Counting is ten times as fast as sorting, and ids are 16-bit.
    counts = np.bincount(labels.reshape(-1))
    counts[:1] = 0
    return np.flatnonzero(counts).astype(np.int32)


def renumber(labels: Int[np.ndarray, "H W"], ids: Int32[np.ndarray, " L"]) -> Int32[np.ndarray, "H W"]:
    """Give ``ids[l - 1]`` the label ``l``; ids that are not listed become 0."""
    table = np.zeros(int(max(labels.max(initial=0), ids.max(initial=0))) + 1, np.int32)
    table[ids] = np.arange(1, len(ids) + 1)
    return table[labels]


def _nearest(source: int, target: int) -> Int[np.ndarray, " target"]:
    """Index of the source pixel under the centre of each target pixel, in exact integer arithmetic."""
    return (2 * np.arange(target) + 1) * source // (2 * target)
