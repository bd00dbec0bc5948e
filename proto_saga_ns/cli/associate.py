"""``proto-saga associate``: association and prototypes again, with other settings; and of splats without training."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from proto_saga_ns.association import GAGA, PAPER, PAPER_AS_RUN, AssociationOptions
from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.plugin.adopt.options import NewRunOptions, SplatFileOptions, ViewOptions
from proto_saga_ns.plugin.model.options import SceneOptions

PRESETS = {"paper": PAPER, "paper-as-run": PAPER_AS_RUN, "gaga": GAGA}


@dataclass
class Associate:
    """Associate the masks of a scene again and rewrite its checkpoint; or segment a splat that knows no masks yet.

    The checkpoint of a proto-saga run that was there is kept in nerfstudio_models_before_change/.

    A splat that was trained without masks is segmented by the votes of the masks alone, without any training, as a new
    run of proto-saga; it stays as it is. Give the config.yml of a splatfacto run, or the file of any 3D Gaussian
    Splatting program (PLY, compressed PLY, SPZ, .splat, SOG, GLB) with the images, poses and masks that belong to it:

        proto-saga associate --load-config outputs/SCENE/splatfacto/DATE/config.yml
        proto-saga associate --ply point_cloud.ply --data DIR

    Without --data views of the splat are made, and masks of these:

        proto-saga associate --ply scene.ply --data-parser "nerfstudio-data --mask-source sam"
    """

    load_config: Path | None = None
    """config.yml of a training run, of proto-saga or of splatfacto"""
    ply: Path | None = None
    """splat of any program, in place of a training run: a PLY, compressed PLY, SPZ, .splat, SOG or GLB; with --data, or
    of pictures that are made of it"""
    preset: Literal["none", "paper", "paper-as-run", "gaga"] = "none"
    """in place of the association options: the paper's equations (all instances stay); its two criteria by Gaga's
    rules, as its own runs very likely were; or Gaga's published code (depth within grid cells, disjoint growth)"""
    association: AssociationOptions = field(default_factory=AssociationOptions)
    scene: SceneOptions = field(default_factory=SceneOptions)
    data: Path | None = None
    """where the data lies now, if it has moved since training; with --ply: images, poses and masks"""
    data_parser: str | None = None
    """for splats without masks: data parser and its options, in quotes, as they stand after ns-train's, such as
    "colmap --images-path images_4 --mask-source sam". With a splatfacto run only its mask options count. None takes
    the run's, or for --ply what fits the files in the folder"""
    place: NewRunOptions = field(default_factory=NewRunOptions)
    splat: SplatFileOptions = field(default_factory=SplatFileOptions)
    views: ViewOptions = field(default_factory=ViewOptions)

    def run(self) -> None:
        self._check_arguments()

        from proto_saga_ns.cli.work.associate import adopt_file, associate_run

        association = PRESETS.get(self.preset, self.association)
        if self.load_config is not None:
            associate_run(self.load_config, self.data, self.data_parser, self.place, association, self.scene)
            return
        assert self.ply is not None, "checked before"
        splat, views = self.splat, self.views
        adopt_file(self.ply, self.data, self.data_parser, splat, views, self.place, association, self.scene)

    def _check_arguments(self) -> None:
        if (self.load_config is None) == (self.ply is None):
            raise ProtoSagaError("Give either --load-config (a training run) or --ply (a splat of any program).")
        if (self.ply is None or self.data is not None) and self.views != ViewOptions():
            raise ProtoSagaError(
                "--num-views, --cameras, --up and the like are for --ply without --data: other splats have photos."
            )
        if self.preset != "none" and self.association != AssociationOptions():
            raise ProtoSagaError(
                f"--preset {self.preset} stands for all options of association, and some are given beside it. Leave "
                "out one or the other."
            )
        if self.ply is None and self.splat != SplatFileOptions():
            raise ProtoSagaError(
                "--frame, --rasterize-mode, --background-color and --spz-axes are for --ply: a run knows its own."
            )
