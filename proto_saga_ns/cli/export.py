"""``proto-saga export``: objects as files of their own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.files import check_output_folder
from proto_saga_ns.recognition.granularity import LevelName, granularity_of
from proto_saga_ns.splats.formats import Format

What = Literal["instances", "rest", "labelled", "colors", "boxes", "web"]


@dataclass
class Export:
    """Take a segmented scene apart: a splat of each instance, of the rest, and of the scene without some.

    The files are PLYs that open in SuperSplat and other viewers, or smaller ones (--format).
    OUTPUT-DIR/instances.json, written last, says which instance is in which file; transform.json says where the
    coordinates come from.

        proto-saga export --load-config C --output-dir OUT                              everything
        proto-saga export --load-config C --output-dir OUT --instances 3 --what instances    one object
        proto-saga export --load-config C --output-dir OUT --remove 3 7 --what          the scene without two
        proto-saga export --load-config C --output-dir OUT --granularity part           the parts of objects
        proto-saga export --load-config C --output-dir OUT --format sog                 small files for the web
        proto-saga export --load-config C --output-dir OUT --what web                   a page for any browser
    """

    load_config: Path
    """config.yml of a training run"""
    output_dir: Path
    """folder for the files; made if it is not there"""
    instances: tuple[int, ...] = ()
    """ids of the instances to write files of; all by default. proto-saga info lists them"""
    remove: tuple[int, ...] = ()
    """also write the scene without these instances, as scene_without_<ids>.ply"""
    format: tuple[Format, ...] = ("ply",)
    """of the splats; each is written in all that are named. ply loses nothing. glb (glTF, KHR_gaussian_splatting) is as
    large. compressed-ply (SuperSplat) and spz (Niantic, version 3) take about a quarter and a tenth, sog (PlayCanvas)
    less, splat 32 bytes a Gaussian without view-dependent colours. Only ply and glb hold the id of each Gaussian"""
    what: tuple[What, ...] = ("instances", "rest", "labelled", "boxes")
    """files to write: instances (instance_0001.ply and so on), rest (Gaussians of no instance or hardly seen,
    rest.ply), labelled (all Gaussians with the extra fields instance_id and confidence, labelled.ply; scene.spz and
    so on, without these, where a format has no room for them), colors (all Gaussians in the colours of their instances,
    instance_colors.ply), boxes (boxes.json), web (scene.html, a page that shows the scene in any browser, offline).
    Nothing after --what: only what other options ask for"""
    frame: Literal["world", "training"] = "world"
    """coordinates of the files: world (those of the input data) or training (those of ns-viewer)"""
    label_maps: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """also write label_maps/<image stem>.png, as proto-saga segment does"""
    coco: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """also write coco.json, the same label maps as COCO's run-length encoded instances; its field label is the id"""
    split: Literal["train", "test", "all"] = "all"
    """views of the label maps"""
    granularity: LevelName | float = "object"
    """what is written as one instance, with an id of its own: group, object, part, or a number from 0 (coarsest) to 1
    (finest), of which 0.5 is object; the ids of --instances and --remove are of that level. A group has the id of its
    largest object, the largest part of an object that of the object. Needs the strategy consensus"""
    max_gaussians: int | None = None
    """of scene.html: keep so many, those that the training views see most of; all by default, up to a million"""
    data: Path | None = None
    """where the data lies now, if it has moved since training"""

    def run(self) -> None:
        check_output_folder(self.output_dir)
        granularity = granularity_of(self.granularity)
        if not self.format:
            raise ProtoSagaError("--format: no format is named. Name one or several, such as --format ply spz.")
        if self.max_gaussians is not None and self.max_gaussians < 1:
            raise ProtoSagaError(f"--max-gaussians is {self.max_gaussians}. Expected how many to keep, at least one.")

        from proto_saga_ns.cli.work.export import Wanted, export

        wanted = Wanted(
            what=self.what,
            formats=tuple(dict.fromkeys(self.format)),
            instances=self.instances,
            remove=self.remove,
            frame=self.frame,
            granularity=granularity,
            split=self.split,
            label_maps=self.label_maps,
            coco=self.coco,
            max_gaussians=self.max_gaussians,
        )
        export(self.load_config, self.data, wanted, self.output_dir)
