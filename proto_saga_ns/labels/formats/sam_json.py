"""JSON of Segment Anything's automatic masks, ``<image stem>.json`` an image.

Either the list that ``amg.py --convert-to-rle`` of https://github.com/facebookresearch/segment-anything writes, or an
object with that list under ``annotations``, as in the SA-1B data set. Masks overlap; their score is ``predicted_iou``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.files import write_json
from proto_saga_ns.labels.flatten import MaskPatch
from proto_saga_ns.labels.folder import image_size
from proto_saga_ns.labels.formats.base import Flatten, Views, by_image, check_shape, find_files, load_json
from proto_saga_ns.labels.formats.rle import encode_label_map, from_rle, patch_to_rle
from proto_saga_ns.labels.view_names import view_name

_EXPECTED = "a list of masks, each with a segmentation in COCO's RLE, as SAM's amg.py --convert-to-rle writes"


def read_sam_json(path: Path, images: Sequence[Path], flatten: Flatten) -> Views:
    """One JSON an image in ``path``.

    Raises:
        ProtoSagaError: a file is unreadable or of another form, or masks have another size than their image.
    """
    folder, files = find_files(path, images, (".json",))
    for image, file in by_image(files, images, folder, "a JSON an image, such as {stem}.json"):
        labels = flatten(*_masks(file, image))
        check_shape(file, labels, image)
        yield image, labels


def write_sam_json(path: Path, views: Views) -> None:
    """One JSON an image in ``path``, a mask a label; scores are 1."""
    for image, labels in views:
        records = [
            {
                "segmentation": rle,
                "area": int((labels == label).sum()),
                "bbox": bounding_box(labels == label),
                "predicted_iou": 1.0,
                "stability_score": 1.0,
            }
            for label, rle in encode_label_map(labels).items()
        ]
        write_json(path / f"{view_name(image)}.json", records)


def write_patches(path: Path, image: Path, patches: Sequence[MaskPatch], height: int, width: int, **about: Any) -> None:
    """Overlapping masks of one image to a JSON as in the SA-1B data set.

    Args:
        about: more to say about the image, as JSON values.
    """
    records = [
        {
            "segmentation": patch_to_rle(patch, height, width),
            "area": patch.area,
            "bbox": [patch.left, patch.top, patch.pixels.shape[1], patch.pixels.shape[0]],
            "predicted_iou": patch.score,
        }
        for patch in patches
    ]
    about = {"file_name": image.name, "height": height, "width": width, **about}
    write_json(path, {"image": about, "annotations": records})


def read_about(path: Path) -> dict[str, Any]:
    """What ``write_patches`` was told about the image; empty if there is no such file that can be read."""
    try:
        return dict(json.loads(path.read_text(encoding="utf-8"))["image"])
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def bounding_box(mask: np.ndarray) -> list[int]:
    """COCO's [x, y, width, height] of a mask, in pixels; all 0 for an empty one."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return [0, 0, 0, 0]
    return [int(columns[0]), int(rows[0]), int(columns[-1] - columns[0] + 1), int(rows[-1] - rows[0] + 1)]


def _masks(file: Path, image: Path) -> tuple[np.ndarray, np.ndarray]:
    """Masks (M, H, W) and scores (M,)."""
    content: Any = load_json(file, _EXPECTED)
    records: Any = content.get("annotations") if isinstance(content, dict) else content
    width, height = image_size(image)
    try:
        masks = [from_rle(record["segmentation"], height, width) for record in records]
        scores = [float(record.get("predicted_iou", 1.0)) for record in records]
        return (np.stack(masks) if masks else np.zeros((0, height, width), bool)), np.array(scores)
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise ProtoSagaError(f"{file} is of another form: {error}. Expected {_EXPECTED}.") from error
