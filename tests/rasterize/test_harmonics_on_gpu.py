"""Spherical harmonics of tensors on a GPU: gsplat's one kernel, given what ours is given."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest
import torch
from gsplat.cuda._torch_impl import _spherical_harmonics
from torch import Tensor

from proto_saga_ns.rasterize import spherical_harmonics
from tests.kernels.triton.tile_lists import OnGpu


@pytest.mark.parametrize("degree", [0, 1, 2, 3, 4])
def test_gsplat_computes_the_same_with_more_coefficients_than_are_in_use(
    degree: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gsplat(degree: int, directions: Tensor, coefficients: Tensor) -> Tensor:
        return _spherical_harmonics(degree, directions.as_subclass(Tensor), coefficients)

    module = sys.modules["proto_saga_ns.rasterize.spherical_harmonics"]  # the package calls the function so
    monkeypatch.setattr(module, "load_gsplat", lambda: SimpleNamespace(spherical_harmonics=gsplat))
    directions, coefficients = torch.randn(9, 3), torch.randn(9, 25, 3)
    found = spherical_harmonics(degree, OnGpu(directions), coefficients)
    torch.testing.assert_close(found, spherical_harmonics(degree, directions, coefficients), atol=1e-5, rtol=1e-5)
