"""Checkpoints are read whichever numpy wrote them."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from proto_saga_ns.plugin.model.checkpoint import CONSTRUCTOR_MODULES, allow_numpy_scalars


def save_as(module: str, content: object, path: Path) -> None:
    """``torch.save`` as a numpy writes it that has the constructor of its scalars in ``module``."""
    torch.save(content, path.with_suffix(".here"))
    with zipfile.ZipFile(path.with_suffix(".here")) as here, zipfile.ZipFile(path, "w") as there:
        for name in here.namelist():
            data = here.read(name)
            for other in CONSTRUCTOR_MODULES:
                data = data.replace(f"c{other}\nscalar\n".encode(), f"c{module}\nscalar\n".encode())
            there.writestr(name, data)


@pytest.mark.parametrize("module", CONSTRUCTOR_MODULES)
def test_a_scalar_of_either_numpy_is_read(module: str, tmp_path: Path) -> None:
    allow_numpy_scalars()
    path = tmp_path / "state.ckpt"
    save_as(module, {"last_lr": [np.float64(0.1)]}, path)
    assert f"c{module}\nscalar\n".encode() in path.read_bytes()
    assert torch.load(path, weights_only=True) == {"last_lr": [0.1]}
