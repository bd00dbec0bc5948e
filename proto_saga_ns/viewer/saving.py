"""Where the panel saves: into the run's checkpoint, by the trainer if there is one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.model.saving import rewrite_checkpoint

if TYPE_CHECKING:
    from nerfstudio.viewer.viewer import Viewer

    from proto_saga_ns.model.pipeline import ProtoSagaPipeline

MODEL_FOLDER = "nerfstudio_models"


class Saver:
    """Saves the scene of a pipeline that a viewer shows."""

    def __init__(self, viewer: Viewer, pipeline: ProtoSagaPipeline) -> None:
        self._viewer = viewer
        self._pipeline = pipeline

    def save(self) -> None:
        """Write the checkpoint that was loaded anew, or while training one of the current step.

        Raises:
            ProtoSagaError: it cannot be written, or is no more where it was loaded from.
        """
        trainer = self._viewer.trainer
        if trainer is not None:
            trainer.save_checkpoint(trainer.step)
            return
        checkpoint = self._checkpoint()
        if not checkpoint.is_file():
            raise ProtoSagaError(f"{checkpoint}, which this scene was loaded from, is gone; nothing was saved.")
        rewrite_checkpoint(checkpoint, self._pipeline.state_dict())

    def _checkpoint(self) -> Path:
        """Where nerfstudio's own commands find it, beside the viewer's log."""
        return self._viewer.log_filename.parent / MODEL_FOLDER / f"step-{self._pipeline.loaded_step:09d}.ckpt"
