"""Putting a changed scene into a checkpoint that training has left."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from proto_saga_ns.files import atomic_file, atomic_path

PREVIOUS_FOLDER = "nerfstudio_models_before_change"


def rewrite_checkpoint(checkpoint: Path, pipeline_state: Mapping[str, Any]) -> Path:
    """Replace the model in a checkpoint in one step; optimizers and step stay.

    Returns:
        Where the checkpoint that was there is kept.

    Raises:
        ProtoSagaError: it cannot be written; the old one stays.
    """
    content = torch.load(checkpoint, map_location="cpu", weights_only=True)
    kept = checkpoint.parent.parent / PREVIOUS_FOLDER / checkpoint.name
    with atomic_path(kept) as copy:
        shutil.copy2(checkpoint, copy)
    with atomic_file(checkpoint) as file:
        try:
            torch.save({**content, "pipeline": pipeline_state}, file)
        except RuntimeError as error:  # what torch makes of a write that fails
            raise OSError(str(error)) from error
    return kept
