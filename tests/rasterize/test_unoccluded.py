"""What Gaussians paint alone, against rendering each of them alone."""

from __future__ import annotations

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor

from proto_saga_ns.rasterize.contributions import contributions, unoccluded
from tests.rasterize.scenes import geometry_of, random_scene

SIZE = (53, 41)
seeds = st.integers(0, 10**6)


def painted_alone(scene: dict[str, Tensor], antialiased: bool) -> Tensor:
    everywhere = torch.zeros(SIZE[::-1], dtype=torch.int32)
    weights = torch.zeros(len(scene["means"]))
    for row in range(len(weights)):
        alone = geometry_of(scene, antialiased).of(torch.arange(len(weights)) == row)
        found = contributions(alone, scene["viewmats"][0], scene["Ks"][0], everywhere)
        weights[row] = found.weights.sum()
    return weights


def closed_form(scene: dict[str, Tensor], antialiased: bool = False) -> Tensor:
    return unoccluded(geometry_of(scene, antialiased), scene["viewmats"][0], scene["Ks"][0], SIZE)


def in_the_picture(scene: dict[str, Tensor]) -> Tensor:
    """Which centres are shown."""
    points = scene["means"] @ scene["viewmats"][0, :3, :3].T + scene["viewmats"][0, :3, 3]
    pixels = points @ scene["Ks"][0].T
    pixels = pixels[:, :2] / pixels[:, 2:]
    return (points[:, 2] > 0.1) & (pixels > 0).all(1) & (pixels < torch.tensor(SIZE)).all(1)


@settings(max_examples=25)
@given(seeds, st.booleans())
@example(1043, True)
@example(1223, True)
@example(1259, True)
def test_what_a_gaussian_paints_alone(seed: int, antialiased: bool) -> None:
    scene = random_scene(40, size=SIZE, seed=seed)
    scene["scales"] = scene["scales"] / 3
    painted, computed = painted_alone(scene, antialiased), closed_form(scene, antialiased)
    shown = in_the_picture(scene) & (painted > 2)
    torch.testing.assert_close(computed[shown], painted[shown], rtol=0.5, atol=1.0)
    torch.testing.assert_close(computed[shown].sum(), painted[shown].sum(), rtol=0.15, atol=3.0)


@pytest.mark.parametrize("opacity", [0.9, 0.1, 0.02, 0.006, 0.0045, 0.003])
def test_faint_gaussians_are_those_that_are_drawn(opacity: float) -> None:
    scene = upright((0.0, 0.0), 0.1, opacity)
    assert closed_form(scene)[0] == pytest.approx(float(painted_alone(scene, False)[0]), rel=0.05)


def upright(place: tuple[float, float], size: float, opacity: float = 0.8) -> dict[str, Tensor]:
    scene = random_scene(1, size=SIZE)
    scene["viewmats"] = torch.eye(4)[None]
    scene["Ks"] = torch.tensor([[[50.0, 0, SIZE[0] / 2], [0, 50.0, SIZE[1] / 2], [0, 0, 1]]])
    scene["means"], scene["quats"] = torch.tensor([[*place, 1.0]]), torch.tensor([[1.0, 0, 0, 0]])
    scene["scales"], scene["opacities"] = torch.tensor([[size, 0.7 * size, 1e-4]]), torch.tensor([opacity])
    return scene


@pytest.mark.parametrize("place", [(0.0, 0.0), (0.3, 0.0), (-0.45, -0.4), (0.5, 0.0)])
@pytest.mark.parametrize("size", [0.05, 0.3, 3.0])
def test_upright_gaussians_at_borders_and_larger_than_the_picture(place: tuple[float, float], size: float) -> None:
    scene = upright(place, size)
    assert closed_form(scene)[0] == pytest.approx(float(painted_alone(scene, False)[0]), rel=0.1)


@settings(max_examples=25)
@given(seeds, st.booleans())
def test_the_kernels_projection_gives_what_the_reference_gives(seed: int, antialiased: bool) -> None:
    scene = random_scene(60, size=SIZE, seed=seed)
    slow = closed_form({name: value.double() for name, value in scene.items()}, antialiased)
    torch.testing.assert_close(closed_form(scene, antialiased).double(), slow, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_broken_gaussians_paint_nothing_and_break_nothing(dtype: torch.dtype) -> None:
    scene = {name: value.to(dtype) for name, value in random_scene(60, size=SIZE).items()}
    whole = closed_form(scene)
    scene["means"][3, 0], scene["scales"][5, 1], scene["quats"][7], scene["opacities"][9] = (
        torch.nan,
        torch.inf,
        torch.nan,
        torch.nan,
    )
    broken = closed_form(scene)
    assert (broken[[3, 5, 7, 9]] == 0).all()
    kept = torch.ones(60, dtype=torch.bool)
    kept[[3, 5, 7, 9]] = False
    assert torch.equal(broken[kept], whole[kept])


def test_no_gaussians_paint_nothing() -> None:
    assert closed_form(random_scene(0, size=SIZE)).shape == (0,)
