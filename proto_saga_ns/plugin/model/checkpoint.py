"""Reading a checkpoint, and fitting a model to it: other numbers of Gaussians, plain splats, other methods.

Nerfstudio's scheduler states hold a numpy scalar, which ``torch.load(weights_only=True)`` refuses unless told that it
is safe. Its constructor has another name in a checkpoint of numpy 1 than in one of numpy 2; both are allowed, so that
either numpy opens the checkpoints of the other.
"""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import Parameter

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.files import atomic_file, atomic_path

FORMAT = 1
"""Of what the model adds to its parameters."""
GAUSSIAN_PREFIX = "gauss_params."
EMBEDDINGS = f"{GAUSSIAN_PREFIX}embeddings"
SPLAT_PARAMETERS = ("means", "scales", "quats", "features_dc", "features_rest", "opacities")
PREVIOUS_FOLDER = "nerfstudio_models_before_change"
CONSTRUCTOR_MODULES = ("numpy.core.multiarray", "numpy._core.multiarray")
"""Where numpy 1 and numpy 2 say that the constructor ``scalar`` is."""


def find_checkpoint(load_dir: Path | None, load_step: int | None, load_checkpoint: Path | None) -> Path | None:
    """The file that --load-dir, --load-step and --load-checkpoint name; None if they name none.

    Raises:
        ProtoSagaError: there is no such file, or only a part of one.
    """
    file = load_checkpoint
    if load_dir is not None:
        file = _last_of(load_dir) if load_step is None else load_dir / f"step-{load_step:09d}.ckpt"
    if file is not None and not file.is_file():
        raise ProtoSagaError(f"There is no checkpoint {file}. Runs keep them in nerfstudio_models/, as step-*.ckpt.")
    if file is not None:
        check_whole(file)
    return file


def _last_of(folder: Path) -> Path:
    found = sorted(folder.glob("step-*.ckpt"))
    if not found:
        below = next((file.parent for file in sorted(folder.glob("*/step-*.ckpt"))), None)
        there = "" if below is None else f" There are some in {below}: give that."
        raise ProtoSagaError(f"--load-dir {folder} holds no checkpoint (step-*.ckpt).{there}")
    return found[-1]


def check_whole(file: Path) -> None:
    """Raise a ``ProtoSagaError`` for what is cut off: it has lost the end of the archive, which lists its files."""
    if not zipfile.is_zipfile(file):
        raise ProtoSagaError(
            f"{file} is damaged or cut off. Delete it if there are other checkpoints beside it, put the one from "
            "nerfstudio_models_before_change/ in its place if there is that folder, or train again."
        )


def check_format(found: object) -> None:
    """Raise a ``ProtoSagaError`` if another version wrote the checkpoint."""
    if found != FORMAT:
        raise ProtoSagaError(
            f"The checkpoint has model format {found}, this version reads {FORMAT}. "
            "Install the proto_saga_ns that wrote it."
        )


def is_plain_splat(state: Mapping[str, Any]) -> bool:
    """Whether a model state has Gaussians but no embeddings: a splatfacto checkpoint."""
    return f"{GAUSSIAN_PREFIX}means" in state and EMBEDDINGS not in state


def check_is_splat(state: Mapping[str, Any]) -> None:
    """Raise a ``ProtoSagaError`` if a model state holds no Gaussians at all."""
    missing = [name for name in SPLAT_PARAMETERS if f"{GAUSSIAN_PREFIX}{name}" not in state]
    if missing:
        raise ProtoSagaError(
            f"The checkpoint holds no Gaussians (missing: {', '.join(missing)}); it was written by another method. "
            "Load one of proto-saga, proto-saga-lite or splatfacto."
        )


def check_shapes(parameters: nn.ParameterDict, state: Mapping[str, Tensor]) -> None:
    """Raise a ``ProtoSagaError`` if a Gaussian of the checkpoint carries other numbers than the model's."""
    for name, parameter in parameters.items():
        found, expected = state[f"{GAUSSIAN_PREFIX}{name}"].shape[1:], parameter.shape[1:]
        if found != expected:
            raise ProtoSagaError(
                f"The checkpoint has {name} of shape {tuple(found)} per Gaussian, this configuration expects "
                f"{tuple(expected)}. Train or load with the sh-degree and embedding-dim that wrote the checkpoint."
            )


def check_classifiers(state: Mapping[str, Any], expected: str) -> None:
    """Raise a ``ProtoSagaError`` if the checkpoint was trained with classifiers of the other kind."""
    found = "shared" if "view_classifiers.counts" in state else "per-view"
    if found != expected:
        raise ProtoSagaError(
            f"The checkpoint was trained with --pipeline.model.classifiers {found}, this configuration has {expected}. "
            f"Give --pipeline.model.classifiers {found}, or train anew without --load-dir."
        )


@torch.no_grad()
def restart(embeddings: Float[Parameter, "N D"], scale: float) -> None:
    """Random embeddings of this standard deviation, in place. Zero ones (scale 0) have no direction to train from."""
    embeddings.copy_(scale * torch.randn_like(embeddings))


@torch.no_grad()
def resize_gaussians(parameters: nn.ParameterDict, count: int) -> None:
    """Make room for ``count`` Gaussians without replacing the parameters.

    Optimizers hold on to the parameter objects: a new object would be loaded and shown, and never trained.
    """
    for parameter in parameters.values():
        parameter.data = parameter.data.new_zeros(count, *parameter.shape[1:])
        parameter.grad = None


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


def allow_numpy_scalars() -> None:
    """Let ``torch.load(weights_only=True)`` read numbers of type float64, whichever numpy wrote them."""
    constructors = [_constructor_in(module) for module in CONSTRUCTOR_MODULES]
    torch.serialization.add_safe_globals([*constructors, np.dtype, type(np.dtype(np.float64))])


def _constructor_in(module: str) -> Callable[..., Any]:
    """numpy's ``scalar`` under the name that it has in ``module``, by which torch looks it up."""
    numpy_scalar: Any = np.float64().__reduce__()[0]

    def scalar(*arguments: Any) -> Any:
        return numpy_scalar(*arguments)

    scalar.__module__, scalar.__qualname__ = module, "scalar"
    return scalar
