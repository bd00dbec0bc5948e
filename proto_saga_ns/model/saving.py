"""Putting a changed scene into a checkpoint that training has left."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from proto_saga_ns.files import atomic_file

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
    kept.parent.mkdir(exist_ok=True)
    shutil.copy2(checkpoint, kept)
    with atomic_file(checkpoint) as file:
        torch.save({**content, "pipeline": pipeline_state}, file)
    return kept
