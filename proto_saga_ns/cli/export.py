"""``proto-saga export``: objects as files of their own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from proto_saga_ns.cli.printing import say
from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.labels.view_names import view_name
from proto_saga_ns.plugin.run import Split
from proto_saga_ns.recognition.granularity import OBJECTS, LevelName, granularity_of, level_in_words

if TYPE_CHECKING:
    import numpy as np

    from proto_saga_ns.export.boxes import ObjectBoxes
    from proto_saga_ns.export.frame import ExportFrame
    from proto_saga_ns.export.parts import LabelledSplat
    from proto_saga_ns.export.transform import Similarity
    from proto_saga_ns.plugin.run import Run
    from proto_saga_ns.recognition.gaussian_instances import GaussianInstances
    from proto_saga_ns.scene import SegmentedScene

What = Literal["instances", "rest", "labelled", "colors", "boxes"]
GENERATOR = "Made by proto-saga export"


@dataclass
class Export:
    """Take a segmented scene apart: a splat (PLY) of each instance, of the rest, and of the scene without some.

    The PLYs are plain ones that open in SuperSplat and other viewers. OUTPUT-DIR/instances.json, written last, says
    which instance is in which file; transform.json says where the coordinates come from.

        proto-saga export --load-config C --output-dir OUT                              everything
        proto-saga export --load-config C --output-dir OUT --instances 3 --what instances    one object
        proto-saga export --load-config C --output-dir OUT --remove 3 7 --what          the scene without two
        proto-saga export --load-config C --output-dir OUT --granularity part           the parts of objects
    """

    load_config: Path
    """config.yml of a training run"""
    output_dir: Path
    """folder for the files; made if it is not there"""
    instances: tuple[int, ...] = ()
    """ids of the instances to write files of; all by default. proto-saga info lists them"""
    remove: tuple[int, ...] = ()
    """also write the scene without these instances, as scene_without_<ids>.ply"""
    what: tuple[What, ...] = ("instances", "rest", "labelled", "boxes")
    """files to write: instances (instance_0001.ply and so on), rest (Gaussians of no instance or hardly seen,
    rest.ply), labelled (all Gaussians with the extra fields instance_id and confidence, labelled.ply), colors
    (all Gaussians in the colours of their instances, instance_colors.ply), boxes (boxes.json). Nothing after
    --what: only what other options ask for"""
    frame: Literal["world", "training"] = "world"
    """coordinates of the files: world (those of the input data) or training (those of ns-viewer)"""
    label_maps: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """also write label_maps/<image stem>.png, as proto-saga segment does"""
    coco: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """also write coco.json, the same label maps as COCO's run-length encoded instances; its field label is the id"""
    split: Split = "all"
    """views of the label maps"""
    granularity: LevelName | float = "object"
    """what is written as one instance, with an id of its own: group, object, part, or a number from 0 (coarsest) to 1
    (finest), of which 0.5 is object; the ids of --instances and --remove are of that level. A group has the id of its
    largest object, the largest part of an object that of the object. Needs the strategy consensus"""
    data: Path | None = None
    """where the data lies now, if it has moved since training"""

    def run(self) -> None:
        from proto_saga_ns.export.frame import ExportFrame
        from proto_saga_ns.export.parts import check_ids, instances_table
        from proto_saga_ns.files import check_output_folder, remove_file, write_json
        from proto_saga_ns.plugin.run import load_run
        from proto_saga_ns.scene.shown import at_granularity, table_at_level

        check_output_folder(self.output_dir)
        granularity = granularity_of(self.granularity)
        run = load_run(self.load_config, self.data)
        scene = at_granularity(run.scene, granularity, run.model.num_points)
        instances = _gaussian_instances(run, scene)
        table = table_at_level(scene, instances.ids)
        names = {instance["id"]: instance["name"] for instance in table["instances"]}
        check_ids(self.instances, names, "--instances", granularity)
        check_ids(self.remove, names, "--remove", granularity)
        views = self._views(run)
        frame = ExportFrame(self.frame, _world_to_training(run, self.load_config))
        labelled = _labelled_splat(run, instances, {0, *names}, frame)
        remove_file(self.output_dir / "instances.json")
        write_json(self.output_dir / "transform.json", frame.to_json())
        comments = self._comments(run)
        files = self._write_parts(labelled, sorted(set(self.instances or names)), comments)
        self._write_whole(labelled, comments)
        boxes = self._write_boxes(names, labelled, frame)
        self._write_views(run, views, granularity)
        write_json(self.output_dir / "instances.json", instances_table(table, labelled, files, boxes, frame))
        self._report(run, names, labelled, files)

    def _write_parts(self, labelled: LabelledSplat, wanted: list[int], comments: tuple[str, ...]) -> dict[int, str]:
        """One file an instance, and the rest; returns the names of those that were written."""
        from rich.progress import track

        from proto_saga_ns.export.parts import instance_file
        from proto_saga_ns.export.ply import write_ply

        parts = [0] if "rest" in self.what else []
        parts += wanted if "instances" in self.what else []
        files = {}
        for number in track(parts, "Writing parts", disable=not parts):
            splat = labelled.instance(number)
            if len(splat) > 0:  # viewers refuse an empty PLY
                files[number] = instance_file(number) if number else "rest.ply"
                write_ply(self.output_dir / files[number], splat, comments)
        return files

    def _write_whole(self, labelled: LabelledSplat, comments: tuple[str, ...]) -> None:
        """Files that hold the whole scene, or nearly all of it."""
        from proto_saga_ns.export.parts import removal_file
        from proto_saga_ns.export.ply import write_labelled_ply, write_ply

        if "labelled" in self.what:
            write_labelled_ply(self.output_dir / "labelled.ply", labelled.splat, labelled.instances, comments)
        if "colors" in self.what:
            write_ply(self.output_dir / "instance_colors.ply", labelled.in_instance_colors(), comments)
        if self.remove:
            left = labelled.without(self.remove)
            if len(left) == 0:
                raise ProtoSagaError("--remove: nothing is left of the scene without these instances. Give fewer ids.")
            write_ply(self.output_dir / removal_file(self.remove), left, comments)

    def _comments(self, run: Run) -> tuple[str, ...]:
        """For the head of a PLY."""
        from proto_saga_ns.export.ply import RENDER_MODE

        mode = "mip" if run.model.config.rasterize_mode == "antialiased" else "default"
        granularity = granularity_of(self.granularity)
        level = () if granularity == OBJECTS else (f"Level: {level_in_words(granularity)}",)
        return (GENERATOR, f"Frame: {self.frame}", f"{RENDER_MODE} {mode}", *level)

    def _write_boxes(
        self, names: Mapping[int, str], labelled: LabelledSplat, frame: ExportFrame
    ) -> dict[int, ObjectBoxes]:
        """Boxes of all instances that have Gaussians."""
        from rich.progress import track

        from proto_saga_ns.export.boxes import object_boxes
        from proto_saga_ns.export.parts import boxes_table
        from proto_saga_ns.files import write_json

        if "boxes" not in self.what:
            return {}
        parts = ((number, labelled.instance(number)) for number in track(sorted(names), "Measuring boxes"))
        boxes = {number: object_boxes(splat, frame.up) for number, splat in parts if len(splat) > 0}
        write_json(self.output_dir / "boxes.json", boxes_table(boxes, names, frame))
        return boxes

    def _views(self, run: Run) -> list:
        """Image, camera and photo of the views of the label maps; none if no label maps are asked for."""
        return run.named_cameras(self.split) if self.label_maps or self.coco else []

    def _write_views(self, run: Run, views: list, granularity: float) -> None:
        """Label maps of the views, as PNGs, as one COCO file, or both."""
        from proto_saga_ns.labels.formats.coco import write_instances

        if not views:
            return
        labels = self._segmented(run, views, granularity)
        if self.coco:
            write_instances(self.output_dir / "coco.json", labels)
        for _ in labels:
            pass

    def _segmented(self, run: Run, views: list, granularity: float) -> Iterator[tuple[Path, np.ndarray]]:
        from rich.progress import track

        from proto_saga_ns.labels import write_label_map
        from proto_saga_ns.plugin.model.views import segment_view

        for image, camera, _ in track(views, "Segmenting views"):
            labels = segment_view(run.model, run.scene, camera, granularity).labels
            if self.label_maps:
                write_label_map(self.output_dir / "label_maps" / f"{view_name(image)}.png", labels)
            yield image, labels

    def _report(self, run: Run, names: Mapping[int, str], labelled: LabelledSplat, files: Mapping[int, str]) -> None:
        from proto_saga_ns.export.parts import as_ranges

        empty = [number for number in names if labelled.count(number) == 0]
        if empty:
            say(f"The training views see no Gaussian of instance {as_ranges(empty)}: no file, no box.")
        if "rest" in self.what and 0 not in files:
            say("Every Gaussian belongs to an instance: there is no rest.ply.")
        there = (path.name for pattern in ("instance_[0-9]*.ply", "rest.ply") for path in self.output_dir.glob(pattern))
        old = sorted(set(there) - set(files.values()))
        if old:
            say(f"Of an earlier export: {', '.join(old[:5])}{' ...' if len(old) > 5 else ''}; instances.json is new.")
        if run.model.config.rasterize_mode == "antialiased":
            say(
                "The scene was trained with rasterize_mode antialiased. The PLYs say so in a comment (SplatRenderMode: "
                "mip), which few viewers heed: switch it on there (mip-splatting, antialias), or small Gaussians look "
                "too bold."
            )
        granularity, n_instances = granularity_of(self.granularity), len(files) - (0 in files)
        level = "" if granularity == OBJECTS else f", {level_in_words(granularity)}"
        written = f"{len(labelled.splat)} Gaussians, {n_instances} instance files{level}"
        say(f"{written} in {self.output_dir} ({self.frame} frame)")


def _labelled_splat(run: Run, instances: GaussianInstances, known: set[int], frame: ExportFrame) -> LabelledSplat:
    """The scene in the frame of the export, without Gaussians that are NaN or infinite."""
    from proto_saga_ns.export.parts import LabelledSplat
    from proto_saga_ns.export.splat import Splat
    from proto_saga_ns.export.transform import transform_splat

    splat = Splat.from_parameters(dict(run.model.gauss_params.items()))
    if len(instances.ids) != len(splat) or not known.issuperset(instances.ids.unique().tolist()):
        raise ProtoSagaError(
            f"The instances of the Gaussians in {run.checkpoint} do not fit its Gaussians. Run proto-saga associate "
            f"--load-config {run.checkpoint.parent.parent / 'config.yml'}, then export again."
        )
    whole = splat.is_finite()
    if not whole.all():
        say(f"{int((~whole).sum())} Gaussians are NaN or infinite and left out.")
    labelled = LabelledSplat(splat, instances).select(whole)
    return LabelledSplat(transform_splat(labelled.splat, frame.to_training.inverse()), labelled.instances)


def _gaussian_instances(run: Run, scene: SegmentedScene) -> GaussianInstances:
    """The instance of each Gaussian: the scene's, or else that of the prototype nearest to its own embedding."""
    from proto_saga_ns.scene.shown import instances_at_level

    if scene.gaussians is None:
        say("The scene does not say which Gaussian belongs to which instance; each gets that of the nearest prototype.")
    return instances_at_level(scene, run.model.embeddings, run.model.means)


def _world_to_training(run: Run, load_config: Path) -> Similarity:
    """What nerfstudio's data parser did to the coordinates when the run was trained."""
    from proto_saga_ns.export.transform import DATAPARSER_FILE, Similarity
    from proto_saga_ns.plugin.adopt.fit import training_frame

    file = load_config.parent / DATAPARSER_FILE
    try:
        if file.is_file():
            return Similarity.from_file(file)
        say(f"{file} is missing; the coordinates are those that the data parser finds now.")
        return training_frame(run.pipeline.datamanager)
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise ProtoSagaError(
            f"The coordinates of {load_config.parent} cannot be told ({file.name}: {error!r}). Restore the file "
            "that ns-train wrote, or delete it: then the coordinates are those that the data parser finds now."
        ) from error
