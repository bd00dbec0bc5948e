"""``proto-saga associate``: association and prototypes again, with other settings."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from proto_saga_ns.association import GAGA, PAPER, AssociationOptions
from proto_saga_ns.model.options import SceneOptions


@dataclass
class Associate:
    """Associate the masks of a trained scene again and rewrite its checkpoint.

    The checkpoint that was there is kept in nerfstudio_models_before_change/.
    """

    load_config: Path
    """config.yml of a training run"""
    preset: Literal["none", "paper", "gaga"] = "none"
    """in place of the association options: the paper's way (all instances stay), or Gaga's published one (depth within
    grid cells, disjoint growth)"""
    association: AssociationOptions = field(default_factory=AssociationOptions)
    scene: SceneOptions = field(default_factory=SceneOptions)
    data: Path | None = None
    """where the data lies now, if it has moved since training"""

    def run(self) -> None:
        from rich.console import Console

        from proto_saga_ns.cli.run import load_run
        from proto_saga_ns.model.association import segment_scene
        from proto_saga_ns.model.saving import rewrite_checkpoint

        run = load_run(self.load_config, self.data)
        association = {"none": self.association, "paper": PAPER, "gaga": GAGA}[self.preset]
        scene = segment_scene(run.model, run.pipeline.datamanager, association, self.scene)
        run.model.scene = scene
        kept = rewrite_checkpoint(run.checkpoint, run.pipeline.state_dict())
        Console().print(f"{len(scene.instances)} instances; the checkpoint before is {kept}")
