"""Warnings of libraries that reach users who can do nothing about them, and are therefore not shown.

Each is named by what it says, its category and the module that it is of: no other warning is hidden. What a user asks
for with ``-W`` or PYTHONWARNINGS goes first.
"""

from __future__ import annotations

import re
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path

NERFSTUDIO = "ns-"
"""What the names of nerfstudio's commands begin with."""


@dataclass(frozen=True)
class Silenced:
    """A warning that is not shown.

    Attributes:
        message: how it begins.
        module: that Python says it is of.
    """

    message: str
    category: type[Warning]
    module: str


SILENCED = (
    # nerfstudio 1.1.5 compiles a function of its cameras with torch.jit as it is imported.
    Silenced("`torch.jit.script` is deprecated", FutureWarning, "torch.jit._script"),
    # It takes mixed precision from where torch had it once: as it is imported, ...
    Silenced("`torch.cuda.amp.custom_fwd", FutureWarning, "nerfstudio.field_components.activations"),
    Silenced("`torch.cuda.amp.custom_bwd", FutureWarning, "nerfstudio.field_components.activations"),
    # ... and when training begins.
    Silenced("`torch.cuda.amp.GradScaler", FutureWarning, "nerfstudio.engine.trainer"),
    # It copies poses of a path with torch.tensor, which ns-render interpolate shows.
    Silenced("To copy construct from a tensor", UserWarning, "nerfstudio.cameras.camera_utils"),
    # It steps the schedulers of all optimizers, also of those that have nothing to do, as with --freeze-geometry.
    Silenced("Detected call of `lr_scheduler.step()` before", UserWarning, "nerfstudio.engine.optimizers"),
    # It loads checkpoints by torch's default, of which torch 2.4 and 2.5 warn: when a run is opened, and resumed.
    Silenced("You are using `torch.load` with", FutureWarning, "nerfstudio.utils.eval_utils"),
    Silenced("You are using `torch.load` with", FutureWarning, "nerfstudio.engine.trainer"),
    # Pillow warns of photos above 89 megapixels, and reads them; above 178 it does not, which is an error of ours.
    Silenced("Image size (", RuntimeWarning, "PIL.Image"),
    # The SSIM of nerfstudio says of pictures below 11 pixels that it does not blur them.
    Silenced("Skipping Gaussian Smoothing", UserWarning, "pytorch_msssim.ssim"),
    # Its writer of event files takes losses as they are, with their gradients.
    Silenced("Converting a tensor with requires_grad=True to a scalar", UserWarning, "nerfstudio.utils.writer"),
)


def silence() -> None:
    """Hide them from now on in this process."""
    for each in SILENCED:
        # At the end of the list: filters of the user, and Python's own, stand before them.
        warnings.filterwarnings("ignore", re.escape(each.message), each.category, re.escape(each.module), append=True)


def silence_in_nerfstudio() -> None:
    """Hide them if this process is a command of nerfstudio.

    torch calls it at the end of its import, as every entry point of the group ``torch.backends`` (torch 2.5 or newer).
    Some of these warnings come while nerfstudio is imported, before it looks for plugins; nothing else of ours runs so
    early in its commands.
    """
    if sys.argv and Path(sys.argv[0]).name.startswith(NERFSTUDIO):
        silence()
