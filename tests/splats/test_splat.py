"""A splat holds what splatfacto's parameters mean."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
import torch

from proto_saga_ns.plugin.model.render import CameraView, Gaussians, render
from proto_saga_ns.splats.splat import Splat
from tests.rasterize.scenes import random_scene
from tests.splats.splats import gaussians, parameters, picture, random_splat


def view() -> CameraView:
    scene = random_scene(1)
    return CameraView(scene["viewmats"], scene["Ks"], 37, 29)


@pytest.mark.parametrize("degree", [1, 2, 3, 4])
def test_parameters_keep_their_picture(degree: int) -> None:
    splat = random_splat(degree=degree)
    again = Splat.from_parameters(parameters(splat))
    assert again.degree == degree
    shown = render(gaussians(splat), view(), sh_degree=degree, with_depth=False)[0]
    torch.testing.assert_close(picture(again)[..., :3], shown.rgb)


def test_plain_colours_become_harmonics_of_degree_0() -> None:
    given = {**parameters(random_splat()), "features_rest": torch.zeros(40, 0, 3)}
    shown = render(Gaussians.from_parameters(given), view(), sh_degree=None, with_depth=False)[0]
    splat = Splat.from_parameters(given)
    assert splat.degree == 0
    torch.testing.assert_close(picture(splat)[..., :3], shown.rgb)


@pytest.mark.parametrize("degree", [0, 1, 2, 3, 4])
def test_parameters_are_what_a_splat_came_from(degree: int) -> None:
    splat = random_splat(degree=degree)
    if degree == 0:
        splat = replace(splat, harmonics=splat.harmonics.clamp(-1.7, 1.7))  # colours between 0 and 1
    given = splat.to_parameters()
    again = Splat.from_parameters(given)
    for field in fields(Splat):
        torch.testing.assert_close(getattr(again, field.name), getattr(splat, field.name), rtol=1e-4, atol=1e-5)
    shown = render(
        Gaussians.from_parameters({**given, "embeddings": torch.zeros(40, 2)}),
        view(),
        sh_degree=degree or None,
        with_depth=False,
    )[0]
    torch.testing.assert_close(picture(splat)[..., :3], shown.rgb, rtol=1e-4, atol=1e-5)


def test_colours_beyond_0_and_1_need_another_degree() -> None:
    splat = random_splat(degree=0)
    assert replace(splat, harmonics=splat.harmonics.clamp(-1.7, 1.7)).has_plain_colors()
    bright = replace(splat, harmonics=splat.harmonics + 2)
    assert not bright.has_plain_colors()
    padded = bright.padded(1)
    assert padded.degree == 1
    torch.testing.assert_close(picture(padded), picture(bright))
    assert random_splat(degree=3).padded(1).degree == 3


def test_selecting_keeps_the_order() -> None:
    splat = random_splat()
    mask = splat.means[:, 0] > 0
    chosen = splat.select(mask)
    assert len(chosen) == int(mask.sum()) > 0
    assert torch.equal(chosen.harmonics, splat.harmonics[mask])
    assert len(splat.select(torch.zeros(40, dtype=torch.bool))) == 0


def test_broken_gaussians_are_found() -> None:
    splat = random_splat(6)
    splat.means[0, 1] = torch.nan
    splat.harmonics[2, 3, 1] = torch.inf
    splat.opacity_logits[5] = -torch.inf
    assert splat.is_finite().tolist() == [False, True, False, True, True, False]


def test_a_quaternion_without_direction_is_the_identity() -> None:
    splat = replace(random_splat(2), quats=torch.tensor([[0.0, 0, 0, 0], [0.0, 3, 4, 0]]))
    torch.testing.assert_close(splat.unit_quats(), torch.tensor([[1.0, 0, 0, 0], [0, 0.6, 0.8, 0]]))


@pytest.mark.parametrize(
    "wrong",
    [{"means": torch.zeros(3, 3)}, {"opacity_logits": torch.zeros(4, 1)}, {"harmonics": torch.zeros(4, 5, 3)}],
)
@pytest.mark.usefixtures("unchecked_shapes")
def test_shapes_are_checked(wrong: dict[str, torch.Tensor]) -> None:
    with pytest.raises(ValueError, match="harmonics"):
        replace(random_splat(4), **wrong)
