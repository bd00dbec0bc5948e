"""The numpy scalars of a checkpoint, which ``torch.load(weights_only=True)`` refuses unless told that they are safe.

Nerfstudio's scheduler states hold one. Its constructor has another name in a checkpoint of numpy 1 than in one of
numpy 2; both are allowed, so that either numpy opens the checkpoints of the other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

CONSTRUCTOR_MODULES = ("numpy.core.multiarray", "numpy._core.multiarray")
"""Where numpy 1 and numpy 2 say that the constructor ``scalar`` is."""


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
