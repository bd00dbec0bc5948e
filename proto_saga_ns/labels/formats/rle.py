"""COCO's run-length encoding of masks (pycocotools), in the form that goes into JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Int, Int32

from proto_saga_ns.labels.flatten import MaskPatch
from proto_saga_ns.labels.label_map import label_ids


def to_rle(mask: Bool[np.ndarray, "H W"]) -> dict[str, Any]:
    """``{"size": [H, W], "counts": text}``, compressed."""
    from pycocotools import mask as coco

    rle: Any = coco.encode(np.asfortranarray(mask, dtype=np.uint8))
    return {"size": [int(edge) for edge in rle["size"]], "counts": rle["counts"].decode("ascii")}


def patch_to_rle(patch: MaskPatch, height: int, width: int) -> dict[str, Any]:
    """``to_rle`` of a mask that was cut out of an image of this height and width, without the whole mask."""
    from pycocotools import mask as coco

    padded = np.pad(patch.pixels.T.astype(np.int8), ((0, 0), (1, 1)))
    columns, rows = np.nonzero(np.diff(padded, axis=1))
    edges = (patch.left + columns) * height + patch.top + rows
    # Where a run ends and the next begins with the next column, there is no edge.
    goes_on = np.flatnonzero(edges[:-1] == edges[1:])
    edges = np.delete(edges, np.concatenate([goes_on, goes_on + 1]))
    counts = np.diff(edges, prepend=0, append=height * width)
    runs: Any = {"size": [height, width], "counts": counts[: len(counts) - (counts[-1] == 0)].tolist()}
    rle: Any = coco.frPyObjects(runs, height, width)
    return {"size": [height, width], "counts": rle["counts"].decode("ascii")}


def from_rle(segmentation: Any, height: int, width: int) -> Bool[np.ndarray, "H W"]:
    """The mask of a COCO segmentation: compressed or uncompressed RLE, polygons (x, y pixels), or rows of pixels.

    Polygons of fewer than three points have no area and are left out, as annotation tools leave them behind.

    Args:
        segmentation: one of these; rows are height lists of width zeros and ones, or of true and false.
        height: of the image, which polygons do not say.
        width: the same.

    Raises:
        ValueError: it is none of these, or an RLE does not fill its size.
    """
    from pycocotools import mask as coco

    if isinstance(segmentation, Mapping):
        return _decode(segmentation)
    if isinstance(segmentation, Sequence) and all(_is_list(part) for part in segmentation):
        if _are_rows(segmentation, height, width):
            return np.array(segmentation, bool)
        if all(len(polygon) % 2 == 0 for polygon in segmentation):
            polygons = [list(polygon) for polygon in segmentation if len(polygon) >= 6]
            if not polygons:
                return np.zeros((height, width), bool)
            return coco.decode(coco.merge(coco.frPyObjects(polygons, height, width))).astype(bool)
    raise ValueError(f"a segmentation is neither RLE nor polygons nor rows of pixels: {str(segmentation)[:60]}")


def _is_list(part: Any) -> bool:
    return isinstance(part, Sequence) and not isinstance(part, str)


def _are_rows(segmentation: Sequence[Sequence[Any]], height: int, width: int) -> bool:
    """Whether it is a whole mask, as ``numpy.ndarray.tolist`` writes it."""
    if len(segmentation) != height or any(len(row) != width for row in segmentation):
        return False
    return all(value in (0, 1) for row in segmentation for value in row)


def encode_label_map(labels: Int[np.ndarray, "H W"]) -> dict[int, dict[str, Any]]:
    """RLE of every mask of a label map, by id."""
    return {int(label): to_rle(labels == label) for label in label_ids(labels)}


def decode_label_map(masks: Mapping[int, Mapping[str, Any]], height: int, width: int) -> Int32[np.ndarray, "H W"]:
    """The label map of masks that do not overlap; where they do, the later one wins. Inverse of encoding."""
    labels = np.zeros((height, width), np.int32)
    for label, rle in masks.items():
        labels[_decode(rle)] = label
    return labels


def _decode(rle: Mapping[str, Any]) -> Bool[np.ndarray, "H W"]:
    from pycocotools import mask as coco

    try:
        height, width = (int(edge) for edge in rle["size"])
        counts = rle["counts"]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"an RLE needs size [H, W] and counts, got {str(rle)[:60]}") from error
    if isinstance(counts, str | bytes):
        counts = _decompress(counts.encode("ascii") if isinstance(counts, str) else counts)
    # pycocotools trusts its input: runs beyond the image would be written beyond its memory.
    if sum(counts) != height * width or min(counts, default=0) < 0:
        raise ValueError(f"an RLE has runs of {sum(counts)} pixels, but its size is {height}x{width}")
    runs: Any = {"size": [height, width], "counts": list(counts)}
    return coco.decode(coco.frPyObjects(runs, height, width)).astype(bool)


def _decompress(text: bytes) -> list[int]:
    """Run lengths of COCO's compressed counts: 6-bit characters from 48 on, 5 bits of a number in each, lowest first,
    bit 6 = more follow; signed; from the fourth on, the difference to the run two before."""
    counts: list[int] = []
    position = 0
    while position < len(text):
        value, shift, more = 0, 0, True
        while more:
            if position >= len(text) or not 48 <= text[position] < 112:
                raise ValueError("the compressed counts of an RLE are damaged")
            digit = text[position] - 48
            value |= (digit & 31) << shift
            more = bool(digit & 32)
            position, shift = position + 1, shift + 5
            if not more and digit & 16:
                value -= 1 << shift
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
    return counts
