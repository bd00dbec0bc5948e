"""``proto-saga associate``: association and prototypes again, with other settings; and of splats without training."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from proto_saga_ns.association import GAGA, PAPER, AssociationOptions
from proto_saga_ns.cli.printing import say
from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.plugin.adopt.options import NewRunOptions, PlyOptions
from proto_saga_ns.plugin.model.options import SceneOptions

if TYPE_CHECKING:
    from nerfstudio.engine.trainer import TrainerConfig

    from proto_saga_ns.plugin.adopt.plain_splat import PlainSplat


@dataclass
class Associate:
    """Associate the masks of a scene again and rewrite its checkpoint; or segment a splat that knows no masks yet.

    The checkpoint of a proto-saga run that was there is kept in nerfstudio_models_before_change/.

    A splat that was trained without masks is segmented by the votes of the masks alone, without any training, as a new
    run of proto-saga; it stays as it is. Give the config.yml of a splatfacto run, or any PLY of 3D Gaussian Splatting
    with the images, poses and masks that belong to it:

        proto-saga associate --load-config outputs/SCENE/splatfacto/DATE/config.yml
        proto-saga associate --ply point_cloud.ply --data DIR
    """

    load_config: Path | None = None
    """config.yml of a training run, of proto-saga or of splatfacto"""
    ply: Path | None = None
    """splat of any program, in place of a training run; needs --data"""
    preset: Literal["none", "paper", "gaga"] = "none"
    """in place of the association options: the paper's way (all instances stay), or Gaga's published one (depth within
    grid cells, disjoint growth)"""
    association: AssociationOptions = field(default_factory=AssociationOptions)
    scene: SceneOptions = field(default_factory=SceneOptions)
    data: Path | None = None
    """where the data lies now, if it has moved since training; with --ply: images, poses and masks"""
    data_parser: str | None = None
    """for splats without masks: data parser and its options, in quotes, as they stand after ns-train's, such as
    "colmap --images-path images_4 --mask-source sam". With a splatfacto run only its mask options count. None takes
    the run's, or for --ply what fits the files in the folder"""
    place: NewRunOptions = field(default_factory=NewRunOptions)
    splat: PlyOptions = field(default_factory=PlyOptions)

    def run(self) -> None:
        from proto_saga_ns.plugin.run import is_ours, read_config

        self._check_arguments()
        if self.load_config is None:
            self._adopt(self._run_of_ply())
            return
        config = read_config(self.load_config)
        if is_ours(config):
            self._associate_again(self.load_config)
        else:
            self._adopt(self._run_of_splatfacto(config, self.load_config))

    def _check_arguments(self) -> None:
        if (self.load_config is None) == (self.ply is None):
            raise ProtoSagaError("Give either --load-config (a training run) or --ply (a splat of any program).")
        if self.ply is not None and self.data is None:
            raise ProtoSagaError("--ply needs --data: the folder of images, poses and masks that the splat belongs to.")
        if self.preset != "none" and self.association != AssociationOptions():
            raise ProtoSagaError(
                f"--preset {self.preset} stands for all options of association, and some are given beside it. Leave "
                "out one or the other."
            )
        if self.ply is None and self.splat != PlyOptions():
            raise ProtoSagaError("--frame, --rasterize-mode and --background-color are for --ply: a run knows its own.")

    @property
    def _options(self) -> AssociationOptions:
        return {"none": self.association, "paper": PAPER, "gaga": GAGA}[self.preset]

    def _associate_again(self, load_config: Path) -> None:
        from proto_saga_ns.plugin.model.associate import segment_scene
        from proto_saga_ns.plugin.model.checkpoint import rewrite_checkpoint
        from proto_saga_ns.plugin.run import load_run

        if self.data_parser is not None or self.place != NewRunOptions():
            raise ProtoSagaError(
                f"{load_config} is a run of proto-saga: it knows its data parser, and its checkpoint is rewritten "
                "where it lies. --data-parser, --output-dir, --experiment-name and --timestamp are for other splats."
            )
        run = load_run(load_config, self.data)
        scene = segment_scene(run.model, run.pipeline.datamanager, self._options, self.scene)
        run.model.scene = scene
        kept = rewrite_checkpoint(run.checkpoint, run.pipeline.state_dict())
        say(f"{len(scene.instances)} instances; the checkpoint before is {kept}")

    def _run_of_ply(self) -> PlainSplat:
        from proto_saga_ns.plugin.adopt.from_ply import run_of_ply
        from proto_saga_ns.plugin.adopt.parsers import find_parser, parse_choice

        assert self.ply is not None and self.data is not None, "checked before"
        parser = find_parser(self.data) if self.data_parser is None else parse_choice(self.data_parser)
        return run_of_ply(self.ply, self.data, parser, self.splat, self.place)

    def _run_of_splatfacto(self, config: TrainerConfig, load_config: Path) -> PlainSplat:
        from proto_saga_ns.plugin.adopt.from_splatfacto import is_splatfacto, run_of_splatfacto
        from proto_saga_ns.plugin.adopt.parsers import parse_choice
        from proto_saga_ns.plugin.run import check_is_ours, last_checkpoint

        if not is_splatfacto(config):
            check_is_ours(config, load_config)
        choice = None if self.data_parser is None else parse_choice(self.data_parser)
        return run_of_splatfacto(config, last_checkpoint(config, load_config), choice, self.data, self.place)

    def _adopt(self, splat: PlainSplat) -> None:
        from proto_saga_ns.plugin.adopt.adopt import adopt
        from proto_saga_ns.plugin.trainer import next_commands

        config, count = adopt(splat, self._options, self.scene)
        say(
            f"{count} instances by the votes of the masks, in a new run of proto-saga. Nothing was trained, and "
            f"{splat.source} is as it was. Go on with:\n{next_commands(config)}"
        )
