"""Contributions to labels against the gradient of rendering, which is what they are."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.kernels.library import ISA_VARIABLE, library, supported_instruction_sets
from proto_saga_ns.rasterize import rasterization
from proto_saga_ns.rasterize.contributions import Contributions, contributions
from tests.rasterize.scenes import geometry_of, random_scene

SIZE = (37, 29)


def contribute(scene: dict[str, Tensor], label_map: Tensor, antialiased: bool = False, **options: Any) -> Contributions:
    view = (scene["viewmats"][0], scene["Ks"][0], label_map)
    return contributions(geometry_of(scene, antialiased), *view, **options)


def random_labels(size: tuple[int, int], count: int, patch: int = 1, seed: int = 0) -> Tensor:
    """Labels 0..count in patches of so many pixels."""
    generator = torch.Generator().manual_seed(seed)
    width, height = size
    coarse = torch.randint(count + 1, (-(-height // patch), -(-width // patch)), generator=generator)
    return coarse.repeat_interleave(patch, 0).repeat_interleave(patch, 1)[:height, :width]


def dense(found: Contributions, shape: tuple[int, int]) -> Tensor:
    matrix = torch.zeros(shape, dtype=torch.float64)
    matrix[found.gaussians.long(), found.labels.long()] = found.weights.double()
    return matrix


def assert_canonical(found: Contributions) -> None:
    keys = found.gaussians.long() * 2**31 + found.labels
    assert (keys.diff() > 0).all() and (found.weights > 0).all()


def assert_agrees(scene: dict[str, Tensor], label_map: Tensor, antialiased: bool = False) -> None:
    shape = (len(scene["means"]), int(label_map.max()) + 1)
    doubles = {name: value.double() for name, value in scene.items()}
    found = contribute(scene, label_map, antialiased)
    gradient = contribute(scene, label_map, antialiased, backend="gradient")
    slow = contribute(doubles, label_map, antialiased, backend="reference")
    for result in (found, gradient, slow):
        assert_canonical(result)
    expected = dense(slow, shape)
    for result in (found, gradient):
        difference = (dense(result, shape) - expected).abs()
        # An alpha at the limit of 1/255 may count in one precision and not in the other: of one pixel at most.
        assert (difference <= 5e-5 + 1e-4 * expected).all() or difference.sum() < 1.1 / 255


@settings(max_examples=25)
@example(8, 69, 30, 8, 0, 1, False)
@given(
    *(st.integers(0, 10**6), st.integers(1, 70), st.integers(1, 50), st.integers(1, 50)),
    *(st.integers(0, 40), st.integers(1, 20), st.booleans()),
)
def test_contributions_are_the_gradient_of_rendered_labels(
    seed: int, count: int, width: int, height: int, labels: int, patch: int, antialiased: bool
) -> None:
    scene = random_scene(count, size=(width, height), seed=seed)
    assert_agrees(scene, random_labels((width, height), labels, patch, seed), antialiased)


def test_more_labels_than_a_byte_holds_and_ids_with_gaps() -> None:
    labels = random_labels(SIZE, 700)
    assert len(labels.unique()) > 255
    assert_agrees(random_scene(), labels)
    assert_agrees(random_scene(), labels % 3 * 30_000)


@pytest.mark.parametrize("antialiased", [False, True])
def test_sums_over_labels_and_over_everything(antialiased: bool) -> None:
    scene = random_scene(400, size=(80, 60))
    scene["opacities"][:100] = 1.0  # many pixels are full before the last Gaussian
    colors = scene["colors"].requires_grad_()
    options: dict[str, Any] = {"rasterize_mode": "antialiased" if antialiased else "classic"}
    image, alpha, _ = rasterization(**scene, width=80, height=60, **options)
    image[..., 0].sum().backward()
    found = contribute(scene, random_labels((80, 60), 9, 7), antialiased)
    per_gaussian = torch.zeros(400).index_add_(0, found.gaussians, found.weights)
    assert colors.grad is not None
    torch.testing.assert_close(per_gaussian, colors.grad[:, 0], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(found.weights.double().sum(), alpha.double().sum(), atol=0, rtol=1e-5)


def test_permuting_labels_permutes_columns() -> None:
    scene, labels = random_scene(300, size=(80, 60)), random_labels((80, 60), 12, 5)
    order = torch.randperm(13, generator=torch.Generator().manual_seed(1))
    found = dense(contribute(scene, labels), (300, 13))
    permuted = dense(contribute(scene, order[labels]), (300, 13))
    assert torch.equal(permuted[:, order], found)


def test_the_same_bits_whatever_the_number_of_threads() -> None:
    scene, labels = random_scene(2000, size=(161, 93)), random_labels((161, 93), 50, 6)
    before = torch.get_num_threads()
    try:
        results = []
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            results.append(contribute(scene, labels))
    finally:
        torch.set_num_threads(before)
    for other in results[1:]:
        assert all(torch.equal(getattr(other, name), value) for name, value in vars(results[0]).items())


@pytest.mark.parametrize("name", supported_instruction_sets())
def test_every_instruction_set_agrees_with_the_reference(name: str, fresh_library: pytest.MonkeyPatch) -> None:
    fresh_library.setenv(ISA_VARIABLE, name)
    assert_agrees(random_scene(), random_labels(SIZE, 6, 3), antialiased=True)
    assert f"kernels_{name}.so" in library()._name


@pytest.mark.parametrize("backend", ["auto", "gradient", "reference"])
def test_nothing_to_see_contributes_nothing(backend: Any) -> None:
    scene, labels = random_scene(), random_labels(SIZE, 3)
    behind = {**scene, "means": scene["means"] - torch.tensor([0.0, 0.0, 50.0])}
    nobody = {name: v if name in ("viewmats", "Ks") else v[:0] for name, v in scene.items()}
    for empty in (behind, nobody):
        assert len(contribute(empty, labels, backend=backend).weights) == 0


@pytest.mark.usefixtures("unchecked_shapes")
def test_what_does_not_fit_is_refused() -> None:
    scene, labels = random_scene(), random_labels(SIZE, 3)
    with pytest.raises(ProtoSagaError, match="label_map"):
        contribute(scene, labels[None])
    with pytest.raises(ProtoSagaError, match="label_map"):
        contribute(scene, labels - 1)
    with pytest.raises(ProtoSagaError, match="float32"):
        contribute({name: value.double() for name, value in scene.items()}, labels)
    scene["opacities"][0] = float("nan")
    with pytest.raises(ProtoSagaError, match="opacities"):
        contribute(scene, labels)
