"""PSNR of cases with known answers."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from proto_saga_ns.plugin.model.image_quality import psnr


@pytest.mark.parametrize(("error", "expected"), [(1.0, 0.0), (0.1, 20.0), (0.01, 40.0)])
def test_psnr_of_a_constant_error(error: float, expected: float) -> None:
    image = torch.zeros(4, 5, 3)
    assert psnr(image, image + error) == pytest.approx(expected, abs=1e-5)


def test_equal_images_have_no_noise() -> None:
    assert psnr(np.ones((2, 2)), np.ones((2, 2))) == math.inf


@pytest.mark.usefixtures("unchecked_shapes")
def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match="shapes"):
        psnr(np.zeros((2, 2, 3)), np.zeros((2, 2)))
