"""A segmented scene is taken apart into files."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from proto_saga_ns.cli.work.printing import say
from proto_saga_ns.cli.work.web_page import write_web_page
from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.export.boxes import ObjectBoxes, object_boxes
from proto_saga_ns.export.frame import ExportFrame
from proto_saga_ns.export.parts import (
    LabelledSplat,
    as_ranges,
    boxes_table,
    check_ids,
    instances_table,
    part_file,
    removal_file,
)
from proto_saga_ns.files import remove_file, write_json
from proto_saga_ns.labels import write_label_map
from proto_saga_ns.labels.formats.coco import write_instances
from proto_saga_ns.labels.view_names import view_name
from proto_saga_ns.plugin.adopt.fit import training_frame
from proto_saga_ns.plugin.model.views import segment_view
from proto_saga_ns.plugin.run import Run, Split, load_run
from proto_saga_ns.progress import progress_bar
from proto_saga_ns.recognition.granularity import OBJECTS, level_in_words
from proto_saga_ns.scene.shown import at_granularity, instances_at_level, table_at_level
from proto_saga_ns.splats.formats import SUFFIXES, WITH_IDS, Format, check_degree
from proto_saga_ns.splats.splat import Splat
from proto_saga_ns.splats.transform import DATAPARSER_FILE, Similarity, transform_splat
from proto_saga_ns.splats.write import Origin, write_splat

if TYPE_CHECKING:
    from nerfstudio.cameras.cameras import Cameras
    from torch import Tensor

    from proto_saga_ns.recognition.gaussian_instances import GaussianInstances
    from proto_saga_ns.scene import SegmentedScene

View = tuple[Path, "Cameras", "Tensor"]
"""Image, camera and photo."""
GENERATOR = "Made by proto-saga export"


@dataclass(frozen=True)
class Wanted:
    """What shall be written.

    Attributes:
        what: kinds of files, as the command calls them.
        formats: of the splats; each is written in all of them.
        instances: that have files of their own; empty: all.
        remove: without which the scene is written; empty: it is not.
        frame: coordinates of the files.
        granularity: the level of the ids, 0 (coarsest) to 1 (finest).
        split: views of the label maps.
        label_maps: as PNGs.
        coco: as one file.
        max_gaussians: of the page for browsers; None: all.
    """

    what: Collection[str]
    formats: Sequence[Format]
    instances: Sequence[int]
    remove: tuple[int, ...]
    frame: Literal["world", "training"]
    granularity: float
    split: Split
    label_maps: bool
    coco: bool
    max_gaussians: int | None = None

    @property
    def level(self) -> str | None:
        """In words; None: that of objects, which goes without saying."""
        return None if self.granularity == OBJECTS else level_in_words(self.granularity)


def export(load_config: Path, data: Path | None, wanted: Wanted, output: Path) -> None:
    """Write the files of a run, instances.json last.

    Args:
        load_config: config.yml of the run.
        data: where its data lies now, if it has moved.
        output: folder for the files.

    Raises:
        ProtoSagaError: there is no such instance, the instances do not fit the Gaussians, or nothing is left.
    """
    run = load_run(load_config, data)
    scene = at_granularity(run.scene, wanted.granularity, run.model.num_points)
    instances = _gaussian_instances(run, scene)
    table = table_at_level(scene, instances.ids)
    names = {instance["id"]: instance["name"] for instance in table["instances"]}
    check_ids(wanted.instances, names, "--instances", wanted.granularity)
    check_ids(wanted.remove, names, "--remove", wanted.granularity)
    views = run.named_cameras(wanted.split) if wanted.label_maps or wanted.coco else []
    frame = ExportFrame(wanted.frame, _world_to_training(run, load_config))
    labelled = _labelled_splat(run, instances, {0, *names}, frame)
    for kind in wanted.formats:
        check_degree(labelled.splat.degree, kind)
    remove_file(output / "instances.json")
    write_json(output / "transform.json", frame.to_json())
    origin = _origin(run, wanted)
    files = _write_parts(labelled, wanted, sorted(names), origin, output)
    _write_whole(labelled, wanted, origin, output)
    boxes = _write_boxes(names, labelled, frame, output) if "boxes" in wanted.what else {}
    _write_views(run, views, wanted, output)
    if "web" in wanted.what:
        write_web_page(run, wanted.granularity, wanted.max_gaussians, output)
    write_json(output / "instances.json", instances_table(table, labelled, files, boxes, frame))
    _report(run, names, labelled, files, wanted, output)


def _write_parts(
    labelled: LabelledSplat, wanted: Wanted, numbers: Sequence[int], origin: Origin, output: Path
) -> dict[int, dict[str, str]]:
    """One file an instance and format, and the rest; returns the names of those that were written."""
    parts = [0] if "rest" in wanted.what else []
    parts += sorted(set(wanted.instances or numbers)) if "instances" in wanted.what else []
    files = {}
    for number in progress_bar(parts, "Writing parts"):
        splat = labelled.instance(number)
        if len(splat) > 0:  # viewers refuse an empty PLY
            files[number] = _write(splat, part_file(number), wanted, origin, output)
    return files


def _write(splat: Splat, name: str, wanted: Wanted, origin: Origin, output: Path) -> dict[str, str]:
    """A splat in all formats; returns the names of the files."""
    names: dict[str, str] = {}
    for kind in wanted.formats:
        names[kind] = f"{name}{SUFFIXES[kind]}"
        write_splat(output / names[kind], splat, kind, origin)
    return names


def _write_whole(labelled: LabelledSplat, wanted: Wanted, origin: Origin, output: Path) -> None:
    """Files that hold the whole scene, or nearly all of it."""
    if "labelled" in wanted.what:
        for kind in wanted.formats:
            name, instances = ("labelled", labelled.instances) if kind in WITH_IDS else ("scene", None)
            write_splat(output / f"{name}{SUFFIXES[kind]}", labelled.splat, kind, origin, instances)
    if "colors" in wanted.what:
        _write(labelled.in_instance_colors(), "instance_colors", wanted, origin, output)
    if wanted.remove:
        left = labelled.without(wanted.remove)
        if len(left) == 0:
            raise ProtoSagaError("--remove: nothing is left of the scene without these instances. Give fewer ids.")
        _write(left, removal_file(wanted.remove), wanted, origin, output)


def _origin(run: Run, wanted: Wanted) -> Origin:
    """For the heads of files."""
    level = () if wanted.level is None else (f"Level: {wanted.level}",)
    is_antialiased = run.model.config.rasterize_mode == "antialiased"
    return Origin(GENERATOR, is_antialiased, (f"Frame: {wanted.frame}", *level))


def _write_boxes(
    names: Mapping[int, str], labelled: LabelledSplat, frame: ExportFrame, output: Path
) -> dict[int, ObjectBoxes]:
    """Boxes of all instances that have Gaussians."""
    parts = ((number, labelled.instance(number)) for number in progress_bar(sorted(names), "Measuring boxes"))
    boxes = {number: object_boxes(splat, frame.up) for number, splat in parts if len(splat) > 0}
    write_json(output / "boxes.json", boxes_table(boxes, names, frame))
    return boxes


def _write_views(run: Run, views: Sequence[View], wanted: Wanted, output: Path) -> None:
    """Label maps of the views, as PNGs, as one COCO file, or both."""
    if not views:
        return
    labels = _segmented(run, views, wanted.granularity, output / "label_maps" if wanted.label_maps else None)
    if wanted.coco:
        write_instances(output / "coco.json", labels)
    for _ in labels:
        pass


def _segmented(
    run: Run, views: Sequence[View], granularity: float, folder: Path | None
) -> Iterator[tuple[Path, np.ndarray]]:
    """Images and label maps, which are written into the folder, if there is one, on their way."""
    for image, camera, _ in progress_bar(views, "Segmenting views"):
        labels = segment_view(run.model, run.scene, camera, granularity).labels
        if folder is not None:
            write_label_map(folder / f"{view_name(image)}.png", labels)
        yield image, labels


def _report(
    run: Run,
    names: Mapping[int, str],
    labelled: LabelledSplat,
    files: Mapping[int, Mapping[str, str]],
    wanted: Wanted,
    output: Path,
) -> None:
    empty = [number for number in names if labelled.count(number) == 0]
    if empty:
        say(f"The training views see no Gaussian of instance {as_ranges(empty)}: no file, no box.")
    if "rest" in wanted.what and 0 not in files:
        say(f"Every Gaussian belongs to an instance: there is no rest{SUFFIXES[wanted.formats[0]]}.")
    patterns = (f"{stem}{suffix}" for stem in ("instance_[0-9]*", "rest") for suffix in SUFFIXES.values())
    there = {path.name for pattern in patterns for path in output.glob(pattern)}
    old = sorted(there.difference(*(names.values() for names in files.values())))
    if old:
        say(f"Of an earlier export: {', '.join(old[:5])}{' ...' if len(old) > 5 else ''}; instances.json is new.")
    if run.model.config.rasterize_mode == "antialiased":
        say(
            "The scene was trained with rasterize_mode antialiased. The files say so (a PLY in the comment "
            "SplatRenderMode: mip; .splat has no room for it), which few viewers heed: switch it on there "
            "(mip-splatting, antialias), or small Gaussians look too bold."
        )
    level = "" if wanted.level is None else f", {wanted.level}"
    written = f"{len(labelled.splat)} Gaussians, {len(files) - (0 in files)} instance files{level}"
    say(f"{written} in {output} ({wanted.frame} frame)")


def _labelled_splat(run: Run, instances: GaussianInstances, known: set[int], frame: ExportFrame) -> LabelledSplat:
    """The scene in the frame of the export, without Gaussians that are NaN or infinite."""
    splat = Splat.from_parameters(dict(run.model.gauss_params.items()))
    if len(instances.ids) != len(splat) or not known.issuperset(instances.ids.unique().tolist()):
        raise ProtoSagaError(
            f"The instances of the Gaussians in {run.checkpoint} do not fit its Gaussians. Run proto-saga associate "
            f"--load-config {run.checkpoint.parent.parent / 'config.yml'}, then export again."
        )
    whole = splat.is_finite()
    labelled = LabelledSplat(splat, instances)
    if not whole.all():
        say(f"{int((~whole).sum())} Gaussians are NaN or infinite and left out.")
        labelled = labelled.select(whole)
    return LabelledSplat(transform_splat(labelled.splat, frame.to_training.inverse()), labelled.instances)


def _gaussian_instances(run: Run, scene: SegmentedScene) -> GaussianInstances:
    """The instance of each Gaussian: the scene's, or else that of the prototype nearest to its own embedding."""
    if scene.gaussians is None:
        say("The scene does not say which Gaussian belongs to which instance; each gets that of the nearest prototype.")
    return instances_at_level(scene, run.model.embeddings, run.model.means)


def _world_to_training(run: Run, load_config: Path) -> Similarity:
    """What nerfstudio's data parser did to the coordinates when the run was trained."""
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
