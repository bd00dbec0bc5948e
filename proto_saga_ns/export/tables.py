"""What stands in ``instances.json`` and ``boxes.json``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scipy.spatial.transform import Rotation

from proto_saga_ns.export.boxes import Box, ObjectBoxes
from proto_saga_ns.export.frame import ExportFrame
from proto_saga_ns.export.parts import LabelledSplat


def boxes_table(boxes: Mapping[int, ObjectBoxes], names: Mapping[int, str], frame: ExportFrame) -> dict[str, Any]:
    """Content of ``boxes.json``, with words for every number.

    Args:
        boxes: of the instances that have Gaussians, by id.
        names: of the instances, by id.
        frame: that of the boxes.
    """
    return {
        "frame": frame.name,
        "units": frame.units,
        "up": frame.up.tolist(),
        "meaning": {
            "aligned": "box along the axes of the frame: center and edge lengths",
            "upright": "box whose third axis is up and whose footprint is the smallest: center, edge lengths, axes as "
            "the columns of rotation (a list of rows), and the same rotation as a quaternion w x y z",
            "share": "of the object's opacity, the linked part that the boxes surround; the rest are stray Gaussians "
            "or separate parts",
        },
        "boxes": [{"id": number, "name": names[number], **box_entry(found)} for number, found in boxes.items()],
    }


def box_entry(boxes: ObjectBoxes) -> dict[str, Any]:
    """The boxes of one instance as JSON."""
    x, y, z, w = (float(value) for value in Rotation.from_matrix(boxes.upright.rotation).as_quat())
    turned = {"rotation": boxes.upright.rotation.tolist(), "quaternion_wxyz": [w, x, y, z]}
    return {"aligned": _extent(boxes.aligned), "upright": {**_extent(boxes.upright), **turned}, "share": boxes.share}


def _extent(box: Box) -> dict[str, Any]:
    return {"center": box.center.tolist(), "size": box.size.tolist()}


def instances_table(
    scene: Mapping[str, Any],
    labelled: LabelledSplat,
    files: Mapping[int, str],
    boxes: Mapping[int, ObjectBoxes],
    frame: ExportFrame,
) -> dict[str, Any]:
    """Content of ``instances.json``: that of the scene, and of each instance its file, Gaussians and boxes.

    Args:
        scene: ``SegmentedScene.to_json()``, or the same of another level (``scene/shown_things.py``).
        labelled: the exported splat.
        files: names of the files that were written, by instance id; 0 is the rest.
        boxes: by instance id.
        frame: that of the export.
    """

    def entry(number: int) -> dict[str, Any]:
        found = boxes.get(number)
        return {
            "file": files.get(number),
            "n_exported": labelled.count(number),
            "box": None if found is None else box_entry(found),
        }

    instances = [{**instance, **entry(instance["id"])} for instance in scene["instances"]]
    rest = {"file": files.get(0), "n_exported": labelled.count(0)}
    return {**scene, "instances": instances, "rest": rest, "frame": frame.name, "units": frame.units}
