"""The reference against finite differences and against gsplat's own torch formulas."""

from __future__ import annotations

import pytest
import torch
from gsplat.cuda import _torch_impl as gsplat_torch

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.rasterize import rasterization, spherical_harmonics
from proto_saga_ns.rasterize.project import Lens, Project
from tests.rasterize.scenes import random_scene


@pytest.mark.parametrize("mode", ["classic", "antialiased"])
def test_gradients_are_those_of_finite_differences(mode: str) -> None:
    scene = {name: value.double() for name, value in random_scene(4, channels=2, size=(5, 4)).items()}
    names = ("means", "quats", "scales", "opacities", "colors", "viewmats")
    scene["scales"] = 0.5 + scene["scales"]

    def render(*leaves: torch.Tensor) -> torch.Tensor:
        arguments = {**scene, **dict(zip(names, leaves, strict=True))}
        image, alpha, _ = rasterization(
            **arguments, width=5, height=4, render_mode="RGB+ED", rasterize_mode=mode, backend="reference"
        )
        return torch.cat([image, alpha], dim=-1)

    leaves = tuple(scene[name].clone().requires_grad_() for name in names)
    assert torch.autograd.gradcheck(render, leaves, eps=1e-7, atol=1e-4)


@pytest.mark.parametrize("reference", [False, True])
def test_projection_is_gsplats(reference: bool) -> None:
    scene = random_scene(200, views=2)
    covariances, _ = gsplat_torch._quat_scale_to_covar_preci(scene["quats"], scene["scales"], True, False)
    theirs = gsplat_torch._fully_fused_projection(
        scene["means"], covariances, scene["viewmats"], scene["Ks"], 37, 29, calc_compensations=True
    )
    radii, means2d, depths, conics, compensations = theirs
    seen = radii > 0
    if reference:
        info = rasterization(**scene, width=37, height=29, backend="reference")[2]
        ours = [info[name] for name in ("means2d", "conics", "depths", "radii")]
    else:
        lens = Lens(37, 29, 0.3, 0.01, 1e10, 0.0)
        arguments = (scene[name] for name in ("means", "quats", "scales", "viewmats", "Ks"))
        *ours, found, radii_found = Project.apply(*arguments, lens)
        ours.append(radii_found)
        torch.testing.assert_close(found[seen], compensations[seen], atol=1e-4, rtol=1e-3)
    assert (ours[3] == radii).float().mean() > 0.995, "radii may differ where rounding decides the ceiling"
    for mine, other in zip(ours[:3], (means2d, conics, depths), strict=True):
        torch.testing.assert_close(mine[seen], other[seen], atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("degree", range(5))
def test_spherical_harmonics_are_gsplats(degree: int, dtype: torch.dtype) -> None:
    """The compiled ones and those in PyTorch."""
    generator = torch.Generator().manual_seed(0)
    directions = torch.randn(50, 3, generator=generator, dtype=dtype).requires_grad_()
    coefficients = torch.randn(50, 25, 3, generator=generator, dtype=dtype).requires_grad_()
    ours = spherical_harmonics(degree, directions, coefficients)
    theirs = gsplat_torch._spherical_harmonics(degree, directions, coefficients)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
    weights = torch.randn(50, 3, generator=generator, dtype=dtype)
    for mine, other in zip(
        torch.autograd.grad((ours * weights).sum(), (directions, coefficients), allow_unused=degree == 0),
        torch.autograd.grad((theirs * weights).sum(), (directions, coefficients), allow_unused=degree == 0),
        strict=True,
    ):
        if other is not None and mine is not None:
            torch.testing.assert_close(mine, other, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("degree", range(5))
def test_coefficients_may_lie_apart_and_some_colours_may_not_matter(degree: int, dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(1)
    given = [torch.randn(50, *shape, 3, generator=generator, dtype=dtype) for shape in ((), (1,), (25,))]
    directions, constant, rest = (tensor.requires_grad_() for tensor in given)
    together = torch.cat([constant, rest], dim=1)
    weights = torch.randn(50, 3, generator=generator, dtype=dtype)
    weights[::3] = 0
    found = []
    for colors in (
        spherical_harmonics(degree, directions, constant, rest),
        spherical_harmonics(degree, directions, together),
    ):
        loss = (colors * weights).sum()
        found.append([colors, *torch.autograd.grad(loss, (directions, constant, rest), materialize_grads=True)])
    for apart, joined in zip(*found, strict=True):
        assert torch.equal(apart, joined)
    assert all(not gradient[::3].any() for gradient in found[0][1:])


def test_spherical_harmonics_are_orthonormal() -> None:
    """Over the sphere the products of two bases integrate to 1 or 0."""
    from proto_saga_ns.rasterize.spherical_harmonics import basis

    count = 20_000
    z = 1 - (2 * torch.arange(count, dtype=torch.float64) + 1) / count
    angle = torch.arange(count) * (torch.pi * (3 - 5**0.5))
    directions = torch.stack([(1 - z**2).sqrt() * angle.cos(), (1 - z**2).sqrt() * angle.sin(), z], dim=-1)
    values = basis(4, directions)
    gram = 4 * torch.pi * values.T @ values / count
    torch.testing.assert_close(gram, torch.eye(25, dtype=torch.float64), atol=2e-3, rtol=0)


def test_a_degree_without_coefficients_is_an_error() -> None:
    with pytest.raises(ProtoSagaError, match="sh_degree 3 needs 16"):
        spherical_harmonics(3, torch.ones(2, 3), torch.ones(2, 9, 3))
