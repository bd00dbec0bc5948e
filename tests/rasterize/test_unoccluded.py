"""What Gaussians paint alone, against rendering each of them alone."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from proto_saga_ns.rasterize.contributions import contributions
from proto_saga_ns.rasterize.unoccluded import unoccluded
from tests.rasterize.scenes import random_scene

SIZE = (53, 41)
GEOMETRY = ("means", "quats", "scales", "opacities")
seeds = st.integers(0, 10**6)


def painted_alone(scene: dict[str, Tensor], antialiased: bool) -> Tensor:
    everywhere = torch.zeros(SIZE[::-1], dtype=torch.int32)
    weights = torch.zeros(len(scene["means"]))
    for row in range(len(weights)):
        alone = [scene[name][row : row + 1] for name in GEOMETRY]
        found = contributions(*alone, scene["viewmats"][0], scene["Ks"][0], everywhere, antialiased)
        weights[row] = found.weights.sum()
    return weights


def closed_form(scene: dict[str, Tensor], antialiased: bool = False) -> Tensor:
    return unoccluded(*(scene[name] for name in GEOMETRY), scene["viewmats"][0], scene["Ks"][0], SIZE, antialiased)


@settings(deadline=None, max_examples=25)
@given(seeds, st.booleans())
def test_what_a_gaussian_paints_alone(seed: int, antialiased: bool) -> None:
    """Where the borders are far, the sum is the integral, less alphas that are too small to be drawn."""
    scene = random_scene(40, size=SIZE, seed=seed)
    scene["scales"] = scene["scales"] / 3
    painted, computed = painted_alone(scene, antialiased), closed_form(scene, antialiased)
    assert torch.equal(computed > 0, painted > 0) or ((computed > 0) != (painted > 0)).sum() <= 8  # all too faint
    drawn = scene["opacities"] * (computed > 3) > 0.3
    ratio = painted[drawn] / computed[drawn]
    assert ratio.median() > 0.85 and ((ratio > 0.5) & (ratio < 1.5)).float().mean() > 0.9
    assert (ratio > 0.1).all()


@pytest.mark.parametrize("place", [(0.0, 0.0), (0.3, 0.0), (-0.45, -0.4), (0.5, 0.0)])
@pytest.mark.parametrize("size", [0.05, 0.3, 3.0])
def test_upright_gaussians_at_borders_and_larger_than_the_picture(place: tuple[float, float], size: float) -> None:
    scene = random_scene(1, size=SIZE)
    scene["viewmats"] = torch.eye(4)[None]
    scene["Ks"] = torch.tensor([[[50.0, 0, SIZE[0] / 2], [0, 50.0, SIZE[1] / 2], [0, 0, 1]]])
    scene["means"], scene["quats"] = torch.tensor([[*place, 1.0]]), torch.tensor([[1.0, 0, 0, 0]])
    scene["scales"], scene["opacities"] = torch.tensor([[size, 0.7 * size, 1e-4]]), torch.tensor([0.8])
    assert closed_form(scene)[0] == pytest.approx(float(painted_alone(scene, False)[0]), rel=0.1)


@settings(deadline=None, max_examples=25)
@given(seeds, st.booleans())
def test_the_kernels_projection_gives_what_the_reference_gives(seed: int, antialiased: bool) -> None:
    scene = random_scene(60, size=SIZE, seed=seed)
    slow = closed_form({name: value.double() for name, value in scene.items()}, antialiased)
    torch.testing.assert_close(closed_form(scene, antialiased).double(), slow, rtol=1e-3, atol=1e-3)


def test_no_gaussians_paint_nothing() -> None:
    assert closed_form(random_scene(0, size=SIZE)).shape == (0,)
