"""A splat taken apart: its instances, the rest, and the scene without some of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Bool, Int64
from scipy.spatial.transform import Rotation
from torch import Tensor

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.export.boxes import Box, ObjectBoxes
from proto_saga_ns.export.frame import ExportFrame
from proto_saga_ns.labels.colors import color_table
from proto_saga_ns.recognition.gaussian_instances import GaussianInstances
from proto_saga_ns.recognition.granularity import OBJECTS, level_in_words
from proto_saga_ns.splats.splat import Splat, constant_harmonics

MAX_IDS_IN_NAME = 8


@dataclass(frozen=True)
class LabelledSplat:
    """A splat and the instance of each of its Gaussians."""

    splat: Splat
    instances: GaussianInstances

    def __post_init__(self) -> None:
        if len(self.splat) != len(self.instances.ids):
            raise ValueError(f"{len(self.instances.ids)} instances for {len(self.splat)} Gaussians")

    def select(self, mask: Bool[Tensor, " N"]) -> LabelledSplat:
        """The Gaussians where ``mask`` is true."""
        chosen = GaussianInstances(self.instances.ids[mask], self.instances.confidence[mask])
        return LabelledSplat(self.splat.select(mask), chosen)

    @cached_property
    def _of_instance(self) -> dict[int, Int64[Tensor, " _n"]]:
        """Which Gaussians are seen of each instance, in their order; looked for once, not once for each instance."""
        order = self.instances.seen_ids.argsort(stable=True)
        ids, counts = self.instances.seen_ids[order].unique_consecutive(return_counts=True)
        return dict(zip(ids.tolist(), order.split(counts.tolist()), strict=True))

    def instance(self, instance_id: int) -> Splat:
        """The Gaussians of one instance that are seen; of none, and all that are hardly seen, if the id is 0."""
        return self.splat.select(self._of_instance.get(instance_id, torch.zeros(0, dtype=torch.int64)))

    def rest(self) -> Splat:
        """The Gaussians that no instance consists of."""
        return self.instance(0)

    def without(self, instance_ids: Iterable[int]) -> Splat:
        """The scene after some instances were taken away, with what is hardly seen of them."""
        taken = torch.tensor(list(instance_ids), dtype=self.instances.ids.dtype)
        return self.splat.select(~torch.isin(self.instances.ids, taken))

    def in_instance_colors(self) -> Splat:
        """The scene painted in the colours of its instances, black where there is none."""
        ids = self.instances.ids
        table = torch.from_numpy(color_table(ids.numpy())).to(self.splat.means) / 255
        return replace(self.splat, harmonics=constant_harmonics(table[ids.long()])[:, None, :])

    def count(self, instance_id: int) -> int:
        """Number of Gaussians of an instance that are seen; as many as ``instance`` gives."""
        return len(self._of_instance.get(instance_id, ()))


def part_file(instance_id: int) -> str:
    """Name of the file of one instance, or of the rest (0), without the suffix of its format."""
    return f"instance_{instance_id:04d}" if instance_id else "rest"


def removal_file(instance_ids: Iterable[int]) -> str:
    """Name of the file of a scene without some instances, without suffix; the first few ids stand for many."""
    ids = sorted(set(instance_ids))
    shown = "_".join(f"{number:04d}" for number in ids[:MAX_IDS_IN_NAME])
    more = f"_and_{len(ids) - MAX_IDS_IN_NAME}_more" if len(ids) > MAX_IDS_IN_NAME else ""
    return f"scene_without_{shown}{more}"


def check_ids(wanted: Collection[int], known: Collection[int], option: str, granularity: float = OBJECTS) -> None:
    """Every wanted instance is there, at the level that has a granularity.

    Raises:
        ProtoSagaError: one is not; it lists those that are.
    """
    unknown = sorted(set(wanted) - set(known))
    if not unknown:
        return
    level, where = "", "proto-saga info shows them with names and colours"
    if granularity != OBJECTS:
        level = f" at the level of {level_in_words(granularity)}"
        where = "instances.json of `proto-saga segment` at that level says what they are"
    raise ProtoSagaError(
        f"{option}: the scene has no instance {', '.join(map(str, unknown))}{level}. It has "
        f"{as_ranges(known) or 'none at all'}; {where}."
    )


def as_ranges(ids: Iterable[int]) -> str:
    """Sorted ids for people: 1-4, 7, 9-10."""
    runs: list[list[int]] = []
    for number in sorted(set(ids)):
        if runs and number == runs[-1][-1] + 1:
            runs[-1] = [runs[-1][0], number]
        else:
            runs.append([number])
    return ", ".join("-".join(map(str, run)) for run in runs)


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
    files: Mapping[int, Mapping[str, str]],
    boxes: Mapping[int, ObjectBoxes],
    frame: ExportFrame,
) -> dict[str, Any]:
    """Content of ``instances.json``: that of the scene, and of each instance its file, Gaussians and boxes.

    Args:
        scene: ``SegmentedScene.to_json()``, or the same of another level (``scene/shown_instances.py``).
        labelled: the exported splat.
        files: names of the files that were written, by instance id, 0 being the rest, and by format.
        boxes: by instance id.
        frame: that of the export.
    """

    def written(number: int) -> dict[str, Any]:
        names = files.get(number, {})
        return {"file": next(iter(names.values()), None), "files": names, "n_exported": labelled.count(number)}

    def box(number: int) -> dict[str, Any] | None:
        return None if number not in boxes else box_entry(boxes[number])

    numbers = [instance["id"] for instance in scene["instances"]]
    instances = [
        {**instance, **written(number), "box": box(number)}
        for number, instance in zip(numbers, scene["instances"], strict=True)
    ]
    rest = written(0)
    return {**scene, "instances": instances, "rest": rest, "frame": frame.name, "units": frame.units}
