"""COCO's instances (RLE or polygons in one JSON) and panoptic format (a JSON, and PNGs that hold ids as colours).

https://cocodataset.org/#format-data. We know no classes: everything that is written has the one category "object".
"""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from jaxtyping import Int, UInt8
from PIL import Image

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.files import write_atomically, write_json
from proto_saga_ns.labels.folder import image_size
from proto_saga_ns.labels.formats.base import Flatten, Views, check_shape, load_json
from proto_saga_ns.labels.formats.rle import encode_label_map, from_rle
from proto_saga_ns.labels.formats.sam_json import bounding_box
from proto_saga_ns.labels.label_map import MAX_ID, compact_labels, label_ids
from proto_saga_ns.labels.view_names import match_views, view_name

_CATEGORY = {"id": 1, "name": "object", "supercategory": "object", "isthing": 1}


def read_instances(path: Path, images: Sequence[Path], flatten: Flatten) -> Views:
    """An instances JSON, or a folder that holds one; crowds are left out. Scores, if any, order overlapping masks.

    Raises:
        ProtoSagaError: unreadable, of another form, or sizes differ from the images'.
    """
    file = _json_file(path)
    content = _load(file)
    records = defaultdict(list)
    for record in content["annotations"]:
        if not record.get("iscrowd"):
            records[str(record.get("image_id"))].append(record)
    for image, entry in _matched(content, images, file):
        labels = flatten(*_masks(records[str(entry["id"])], entry, file, image))
        check_shape(file, labels, image)
        yield image, labels


def write_instances(path: Path, views: Views) -> None:
    """``path/instances.json``, or ``path`` if it ends in .json. The field ``label`` keeps the id in the label map."""
    content = _empty()
    for number, (image, labels) in enumerate(views, 1):
        content["images"].append(_image_entry(number, image, labels))
        for label, rle in encode_label_map(labels).items():
            mask = labels == label
            record = {"id": len(content["annotations"]) + 1, "image_id": number, "category_id": 1, "iscrowd": 0}
            record |= {"segmentation": rle, "area": int(mask.sum()), "bbox": bounding_box(mask), "label": label}
            content["annotations"].append(record)
    write_json(path if path.suffix == ".json" else path / "instances.json", content)


def read_panoptic(path: Path, images: Sequence[Path], flatten: Flatten) -> Views:
    """A panoptic JSON, or a folder that holds one; its PNGs lie beside it, in a folder of the JSON's name.

    Ids that fit into 16 bits are kept (they may be consistent); if one does not, the view's are renumbered.

    Raises:
        ProtoSagaError: unreadable, of another form, or sizes differ from the images'.
    """
    del flatten
    file = _json_file(path)
    content = _load(file)
    records = {str(record.get("image_id")): record for record in content["annotations"]}
    for image, entry in _matched(content, images, file):
        record = records.get(str(entry["id"]))
        if record is None:
            continue
        try:
            png = file.with_suffix("") / record["file_name"]
            ids = np.array([segment["id"] for segment in record["segments_info"]], np.int64)
        except (KeyError, TypeError, ValueError) as error:
            raise _other_form(file, error) from error
        labels = _panoptic_labels(png, ids)
        check_shape(png, labels, image)
        yield image, labels


def write_panoptic(path: Path, views: Views) -> None:
    """``path/panoptic.json`` and ``path/panoptic/<image stem>.png``, or with another name if ``path`` ends in .json."""
    file = path if path.suffix == ".json" else path / "panoptic.json"
    content = _empty()
    for number, (image, labels) in enumerate(views, 1):
        content["images"].append(_image_entry(number, image, labels))
        segments = []
        for label in label_ids(labels):
            mask = labels == label
            segment = {"id": int(label), "category_id": 1, "area": int(mask.sum()), "bbox": bounding_box(mask)}
            segments.append({**segment, "iscrowd": 0})
        name = f"{view_name(image)}.png"
        buffer = io.BytesIO()
        Image.fromarray(ids_to_rgb(labels)).save(buffer, format="PNG")
        write_atomically(file.with_suffix("") / name, buffer.getvalue())
        content["annotations"].append({"image_id": number, "file_name": name, "segments_info": segments})
    write_json(file, content)


def ids_to_rgb(ids: Int[np.ndarray, "H W"]) -> UInt8[np.ndarray, "H W 3"]:
    """id = R + 256 G + 65536 B."""
    return np.stack([ids & 255, ids >> 8 & 255, ids >> 16 & 255], -1).astype(np.uint8)


def rgb_to_ids(rgb: UInt8[np.ndarray, "H W 3"]) -> Int[np.ndarray, "H W"]:
    """Inverse of ``ids_to_rgb``."""
    return rgb.astype(np.int64) @ np.array([1, 256, 65536])


def _panoptic_labels(png: Path, ids: Int[np.ndarray, " S"]) -> np.ndarray:
    try:
        with Image.open(png) as image:
            if image.mode not in ("RGB", "RGBA"):
                raise ValueError(f"its mode is {image.mode}, not RGB")
            pixels = rgb_to_ids(np.asarray(image.convert("RGB")))
    except (OSError, ValueError, SyntaxError) as error:
        raise ProtoSagaError(f"Cannot read the panoptic PNG {png}: {error}. Restore it beside its JSON.") from error
    labels = np.where(np.isin(pixels, ids), pixels, 0)
    return compact_labels(labels)[0] if labels.max(initial=0) > MAX_ID else labels.astype(np.int32)


def _masks(
    records: Sequence[dict[str, Any]], entry: dict[str, Any], file: Path, image: Path
) -> tuple[np.ndarray, np.ndarray]:
    """Masks (M, H, W) of the size that the file gives the image, if it does, and scores (M,)."""
    try:
        width, height = (
            int(entry.get(name) or size) for name, size in zip(("width", "height"), image_size(image), strict=True)
        )
        masks = [from_rle(record["segmentation"], height, width) for record in records]
        scores = [float(record.get("score", 1.0)) for record in records]
        return (np.stack(masks) if masks else np.zeros((0, height, width), bool)), np.array(scores)
    except (KeyError, TypeError, ValueError) as error:
        raise _other_form(file, error, f" in a mask of {image.name}") from error


def _matched(content: dict[str, Any], images: Sequence[Path], file: Path) -> list[tuple[Path, dict[str, Any]]]:
    try:
        entries = {_name(entry["file_name"]): entry for entry in content["images"] if "id" in entry}
    except (KeyError, TypeError, AttributeError) as error:
        raise _other_form(file, error) from error
    matched = zip(images, match_views(entries, images), strict=True)
    found = [(image, entry) for image, entry in matched if entry is not None]
    if not found:
        raise ProtoSagaError(
            f"None of the {len(images)} images is in {file}, which lists {len(entries)}. Expected the images' "
            f"names, such as {images[0].name if images else 'a.jpg'}, as file_name under images."
        )
    return found


def _name(file_name: str) -> str:
    """Of an image, as it is told with the folders of whoever wrote the file, without its suffix."""
    return PurePosixPath(file_name.replace("\\", "/")).with_suffix("").as_posix()


def _load(file: Path) -> dict[str, Any]:
    content = load_json(file, "COCO's object of images and annotations")
    for key in ("images", "annotations"):
        if not isinstance(content, dict) or not isinstance(content.get(key), list):
            raise _other_form(file, ValueError(f"it has no list {key!r}"))
        if not all(isinstance(entry, dict) for entry in content[key]):
            raise _other_form(file, ValueError(f"an entry of {key!r} is no object"))
    return content


def _json_file(path: Path) -> Path:
    if not path.is_dir():
        return path
    files = sorted(path.glob("*.json"))
    if len(files) != 1:
        raise ProtoSagaError(f"{path} holds {len(files)} JSON files. Give the path of the one to read.")
    return files[0]


def _other_form(file: Path, error: Exception, where: str = "") -> ProtoSagaError:
    return ProtoSagaError(
        f"{file} is of another form{where}: {error!r}. Expected COCO's object of images and annotations."
    )


def _empty() -> dict[str, Any]:
    return {
        "info": {"description": "proto-saga label maps"},
        "images": [],
        "annotations": [],
        "categories": [_CATEGORY],
    }


def _image_entry(number: int, image: Path, labels: np.ndarray) -> dict[str, Any]:
    height, width = labels.shape
    return {"id": number, "file_name": f"{view_name(image)}{image.suffix}", "height": height, "width": width}
