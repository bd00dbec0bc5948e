"""The CPU kernels against the slow reference: values, gradients, and what must not matter."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.kernels.library import ISA_VARIABLE, library, supported_instruction_sets
from proto_saga_ns.rasterize import rasterization
from tests.rasterize.scenes import random_scene

SIZE = (37, 29)
LEAVES = ("means", "quats", "scales", "opacities", "colors", "viewmats")


def render_with_gradients(
    scene: dict[str, Tensor], size: tuple[int, int], **options: Any
) -> tuple[Tensor, Tensor, dict[str, Tensor], dict[str, Any]]:
    """Image, alpha, gradients of a fixed random function of both, and info."""
    leaves = {name: value.clone().requires_grad_(name in LEAVES) for name, value in scene.items()}
    image, alpha, info = rasterization(**leaves, width=size[0], height=size[1], **options)
    generator = torch.Generator().manual_seed(1)
    weights = [torch.randn(part.shape, generator=generator).to(part) for part in (image, alpha)]
    if info["means2d"].requires_grad:
        info["means2d"].retain_grad()
    ((image * weights[0]).sum() + (alpha * weights[1]).sum()).backward()
    gradients = {name: leaves[name].grad for name in LEAVES}
    return image.detach(), alpha.detach(), {k: g for k, g in gradients.items() if g is not None}, info


def assert_agrees(scene: dict[str, Tensor], size: tuple[int, int] = SIZE, **options: Any) -> None:
    fast = render_with_gradients(scene, size, **options)
    doubles = {name: value.double() for name, value in scene.items()}
    if "backgrounds" in options:
        options["backgrounds"] = options["backgrounds"].double()
    slow = render_with_gradients(doubles, size, backend="reference", **options)
    for ours, theirs in zip(fast[:2], slow[:2], strict=True):
        torch.testing.assert_close(ours.double(), theirs, atol=2e-5, rtol=2e-5)
    assert fast[2].keys() == slow[2].keys()
    for name, theirs in slow[2].items():
        error = (fast[2][name].double() - theirs).abs().max() / theirs.abs().max().clamp_min(1e-9)
        assert error < 2e-4, f"gradient of {name} is off by {error:.1e} of the largest"


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5, 16, 17, 19, 20, 21, 32, 33, 70])
def test_any_number_of_channels(channels: int) -> None:
    assert_agrees(random_scene(channels=channels))


@pytest.mark.parametrize("mode", ["RGB", "D", "ED", "RGB+D", "RGB+ED"])
@pytest.mark.parametrize("antialiased", [False, True])
def test_render_modes_with_background_and_several_cameras(mode: str, antialiased: bool) -> None:
    background = torch.rand(3, 3, generator=torch.Generator().manual_seed(2))
    options = {"rasterize_mode": "antialiased" if antialiased else "classic", "backgrounds": background}
    assert_agrees(random_scene(views=3), render_mode=mode, **options)


@pytest.mark.parametrize("degree", [0, 1, 2, 3, 4])
def test_spherical_harmonics_as_colours(degree: int) -> None:
    scene = random_scene(views=2)
    scene["colors"] = torch.randn(60, 25, 3, generator=torch.Generator().manual_seed(3))
    assert_agrees(scene, sh_degree=degree)


def test_colours_of_their_own_for_every_view() -> None:
    scene = random_scene(views=2)
    scene["colors"] = torch.rand(2, 60, 5, generator=torch.Generator().manual_seed(4))
    assert_agrees(scene)


@settings(max_examples=25)
@given(
    st.integers(0, 10**6),
    st.integers(1, 70),
    st.integers(1, 50),
    st.integers(1, 50),
    st.floats(0.0, 0.5),
)
def test_random_scenes(seed: int, count: int, width: int, height: int, near: float) -> None:
    assert_agrees(random_scene(count, size=(width, height), seed=seed), (width, height), near_plane=0.2 + near)


def test_opaque_transparent_huge_and_coinciding_gaussians() -> None:
    scene = random_scene(40)
    scene["opacities"][:10], scene["opacities"][10:15] = 1.0, 0.0
    scene["scales"][15:18] = 3.0
    scene["means"][20:30] = scene["means"][20]
    image = rasterization(**scene, width=37, height=29)[0]
    doubles = {name: value.double() for name, value in scene.items()}
    reference = rasterization(**doubles, width=37, height=29, backend="reference")[0]
    torch.testing.assert_close(image.double(), reference, atol=2e-5, rtol=2e-5)


@pytest.mark.parametrize("antialiased", [False, True])
def test_long_thin_gaussians_keep_their_digits(antialiased: bool) -> None:
    """A needle's covariance has a determinant that float32 cannot find from its entries."""
    scene = random_scene()
    scene["scales"][:] = torch.tensor([20.0, 1e-3, 1e-3])
    fast, slow = (
        render_with_gradients({name: value.to(kind) for name, value in scene.items()}, SIZE, **options)
        for kind, options in ((torch.float32, {}), (torch.float64, {"backend": "reference"}))
    )
    for ours, theirs in zip(fast[:2], slow[:2], strict=True):
        torch.testing.assert_close(ours.double(), theirs, atol=2e-3, rtol=0)
    for name, theirs in slow[2].items():
        assert (fast[2][name].double() - theirs).abs().max() < 5e-3 * theirs.abs().max(), name


def test_culling_limits() -> None:
    for limits in ({"near_plane": 3.0}, {"far_plane": 3.0}, {"radius_clip": 6.0}, {"eps2d": 1.0}):
        assert_agrees(random_scene(), **limits)


def test_nothing_to_see_is_the_background() -> None:
    scene = random_scene()
    behind = {**scene, "means": scene["means"] - torch.tensor([0.0, 0.0, 50.0])}
    nobody = {name: v if name in ("viewmats", "Ks") else v[:0] for name, v in scene.items()}
    for empty in (behind, nobody):
        leaves = {name: value.clone().requires_grad_(name in LEAVES) for name, value in empty.items()}
        background = torch.tensor([[0.1, 0.5, 0.9]])
        image, alpha, info = rasterization(**leaves, width=20, height=10, backgrounds=background, render_mode="RGB+ED")
        assert (image[..., :3] == background).all() and (alpha == 0).all() and (info["radii"] == 0).all()
        (image.sum() + alpha.sum()).backward()
        assert all((leaves[name].grad == 0).all() for name in LEAVES if leaves[name].grad is not None)


def test_absgrad_is_the_sum_of_the_absolute_gradients_of_all_pixels() -> None:
    scene = random_scene(12, size=(9, 7))
    leaves = {name: value.clone().requires_grad_(name in LEAVES) for name, value in scene.items()}
    image, _, info = rasterization(**leaves, width=9, height=7, absgrad=True)
    per_pixel = [
        torch.autograd.grad(image[0, y, x].sum(), info["means2d"], retain_graph=True)[0]
        for y in range(7)
        for x in range(9)
    ]
    info["means2d"].retain_grad()
    image.sum().backward()
    torch.testing.assert_close(info["means2d"].absgrad, torch.stack(per_pixel).abs().sum(0), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(info["means2d"].grad, torch.stack(per_pixel).sum(0), atol=1e-5, rtol=1e-4)


def test_the_order_of_gaussians_does_not_matter() -> None:
    scene = random_scene()
    order = torch.randperm(60, generator=torch.Generator().manual_seed(5))
    shuffled = {name: v if name in ("viewmats", "Ks") else v[order] for name, v in scene.items()}
    ours, theirs = (rasterization(**arguments, width=37, height=29)[0] for arguments in (scene, shuffled))
    torch.testing.assert_close(ours, theirs)


def test_gradients_have_the_same_bits_each_time() -> None:
    """For one number of threads, so that a training gives the same run again."""
    scene = random_scene(2000, channels=19, size=(161, 93), seed=2)
    before = torch.get_num_threads()
    torch.set_num_threads(5)
    try:
        first, *others = (render_with_gradients(scene, (161, 93), absgrad=True) for _ in range(8))
    finally:
        torch.set_num_threads(before)
    for other in others:
        assert all(torch.equal(other[2][name], gradient) for name, gradient in first[2].items())
        assert torch.equal(other[3]["means2d"].absgrad, first[3]["means2d"].absgrad)


def test_threads_that_render_at_once_do_not_disturb_each_other() -> None:
    scenes = [random_scene(400, channels=19, size=(80, 60), seed=seed) for seed in range(4)]
    alone = [render_with_gradients(scene, (80, 60)) for scene in scenes]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda scene: render_with_gradients(scene, (80, 60)), scenes * 3))
    for index, result in enumerate(together):
        assert torch.equal(result[0], alone[index % 4][0])
        assert all(torch.equal(gradient, alone[index % 4][2][name]) for name, gradient in result[2].items())


@pytest.mark.parametrize("name", supported_instruction_sets())
def test_every_instruction_set_agrees_with_the_reference(name: str, fresh_library: pytest.MonkeyPatch) -> None:
    fresh_library.setenv(ISA_VARIABLE, name)
    assert_agrees(random_scene(channels=20, views=2), render_mode="RGB+ED", rasterize_mode="antialiased")
    assert f"kernels_{name}.so" in library()._name


def test_an_instruction_set_that_is_not_there_is_an_error(fresh_library: pytest.MonkeyPatch) -> None:
    fresh_library.setenv(ISA_VARIABLE, "mmx")
    with pytest.raises(ProtoSagaError, match="PROTO_SAGA_ISA=mmx"):
        rasterization(**random_scene(), width=37, height=29)


def test_kernels_and_torch_share_one_openmp_runtime() -> None:
    """In a process of its own: other libraries bring runtimes that have nothing to do with the kernels."""
    code = """if True:
        from proto_saga_ns.kernels.library import library
        library()
        with open("/proc/self/maps") as maps:
            print(*{line.split()[-1] for line in maps if "libgomp" in line or "libomp" in line}, sep="\\n")
    """
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert len(process.stdout.split()) <= 1, process.stdout


@pytest.mark.parametrize("name", ["means", "quats", "scales", "opacities", "colors", "viewmats", "Ks"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_nan_and_infinity_are_named(name: str, value: float) -> None:
    scene = random_scene()
    scene[name].view(-1)[0] = value
    with pytest.raises(ProtoSagaError, match=name):
        rasterization(**scene, width=37, height=29)


@pytest.mark.parametrize("name", ["means", "quats", "scales", "opacities", "colors", "viewmats", "Ks"])
@pytest.mark.usefixtures("unchecked_shapes")
def test_shapes_that_do_not_fit_are_named(name: str) -> None:
    scene = random_scene()
    scene[name] = scene[name][:, :-1] if scene[name].dim() > 1 and name != "colors" else scene[name][:-1]
    with pytest.raises(ProtoSagaError, match=name):
        rasterization(**scene, width=37, height=29)


def test_what_needs_cuda_is_refused_and_what_nobody_knows_is_an_error() -> None:
    scene = random_scene()
    refused = (
        *({"camera_model": "fisheye"}, {"sparse_grad": True}, {"distributed": True}, {"tile_size": 8}),
        *({"covars": torch.eye(3).expand(60, 3, 3)}, {"render_mode": "depth"}, {"rasterize_mode": "fast"}),
        {"near_plane": -1.0},
    )
    for arguments in refused:
        with pytest.raises(ProtoSagaError, match=next(iter(arguments))):
            rasterization(**scene, width=37, height=29, **arguments)
    with pytest.raises(TypeError, match="colour"):
        rasterization(**scene, width=37, height=29, colour=1)
    with pytest.raises(ProtoSagaError, match="float32"):
        rasterization(**{name: value.double() for name, value in scene.items()}, width=37, height=29)


@pytest.mark.parametrize("name", ["quats", "scales", "opacities", "colors", "viewmats", "Ks"])
def test_types_that_differ_are_named(name: str) -> None:
    scene = random_scene()
    scene[name] = scene[name].double()
    with pytest.raises(ProtoSagaError, match=name):
        rasterization(**scene, width=37, height=29)


@pytest.mark.usefixtures("unchecked_shapes")
def test_backgrounds_and_cameras_are_counted() -> None:
    scene = random_scene()
    with pytest.raises(ProtoSagaError, match="backgrounds"):
        rasterization(**scene, width=37, height=29, backgrounds=torch.zeros(1, 4))
    blind = {**scene, "viewmats": scene["viewmats"][:0], "Ks": scene["Ks"][:0]}
    with pytest.raises(ProtoSagaError, match="at least one camera"):
        rasterization(**blind, width=37, height=29)
