"""Sparse channels blended by the CPU kernels against a channel for each label."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.kernels.library import ISA_VARIABLE, supported_instruction_sets
from proto_saga_ns.rasterize import rasterization
from proto_saga_ns.rasterize.rasterization import rasterization_with_sparse
from proto_saga_ns.rasterize.sparse_channels import BlendedChannels, SparseChannels, TiledChannels, strongest_own
from tests.rasterize.scenes import random_scene

SIZE = (37, 29)


def random_channels(gaussians: int, labels: int, slots: int = 4, seed: int = 0) -> SparseChannels:
    """Different labels for each Gaussian, none in some slots."""
    generator = torch.Generator().manual_seed(seed)
    slots = min(slots, labels)
    rows = torch.rand(gaussians, labels, generator=generator).argsort(dim=1)[:, :slots].int()
    shares = torch.rand(gaussians, slots, generator=generator)
    return SparseChannels(rows.masked_fill(shares < 0.3, -1), shares, labels)


def blended(
    scene: dict[str, Tensor], sparse: SparseChannels, size: tuple[int, int] = SIZE, **options: Any
) -> tuple[Tensor, BlendedChannels]:
    image, *_, found = rasterization_with_sparse(sparse, **scene, width=size[0], height=size[1], **options)
    assert found is not None and found.shape == (size[1], size[0], sparse.count)
    return image, found


def by_kernels(scene: dict[str, Tensor], sparse: SparseChannels, size: tuple[int, int] = SIZE) -> TiledChannels:
    found = blended(scene, sparse, size)[1]
    assert isinstance(found, TiledChannels)
    return found


@settings(max_examples=40)
@given(
    *(st.integers(0, 10**6), st.integers(0, 70), st.integers(0, 9)),
    *(st.integers(1, 50), st.integers(1, 50), st.integers(1, 5)),
)
def test_sparse_channels_are_what_a_channel_for_each_label_would_be(
    seed: int, count: int, labels: int, width: int, height: int, slots: int
) -> None:
    scene = random_scene(count, size=(width, height), seed=seed)
    sparse = random_channels(count, labels, slots, seed)
    found = by_kernels(scene, sparse, (width, height))
    expected = rasterization(**{**scene, "colors": sparse.dense()}, width=width, height=height)[0][0]
    torch.testing.assert_close(found.dense(), expected, atol=2e-6, rtol=2e-6)


@pytest.mark.parametrize("channels", [0, 1, 3, 16, 19, 33, 70])
@pytest.mark.parametrize("mode", ["RGB", "RGB+ED"])
def test_the_other_channels_and_their_gradients_are_the_same_with_sparse(channels: int, mode: Any) -> None:
    scene = random_scene(channels=channels)
    results = []
    for sparse in (None, random_channels(60, 5)):
        leaves = {name: value.clone().requires_grad_() for name, value in scene.items()}
        image, alpha, info, found = rasterization_with_sparse(sparse, **leaves, width=37, height=29, render_mode=mode)
        (image.square().sum() + alpha.sum()).backward()
        results.append(((image, alpha, info["means2d"]), [leaves[name].grad for name in ("means", "colors")]))
        assert (found is None) == (sparse is None) == ("sparse" not in info)
    (without, gradients), (with_sparse, others) = results
    assert all(map(torch.equal, without, with_sparse))
    for gradient, other in zip(gradients, others, strict=True):
        # Threads add up gradients in the order in which they come.
        torch.testing.assert_close(gradient, other, rtol=1e-5, atol=1e-5)


def test_the_channels_of_several_views_are_those_of_each() -> None:
    scene, sparse = random_scene(views=3), random_channels(60, 4)
    together = rasterization(**scene, width=37, height=29, sparse=sparse)[2]["sparse"]
    for view, found in enumerate(together):
        alone = {**scene, "viewmats": scene["viewmats"][view, None], "Ks": scene["Ks"][view, None]}
        torch.testing.assert_close(found.dense(), by_kernels(alone, sparse).dense(), rtol=0, atol=0)


def test_a_pixel_of_the_map_is_what_the_dense_map_has_there() -> None:
    found = by_kernels(random_scene(), random_channels(60, 7))
    dense = found.dense()
    for row in range(29):
        for column in range(37):
            assert torch.equal(found[row, column], dense[row, column])


def test_only_labels_that_occur_in_a_tile_are_kept() -> None:
    sparse = random_channels(60, 400)
    found = by_kernels(random_scene(), sparse)
    numbers = found.starts.diff()
    assert len(found.labels) == numbers.sum() and len(found.values) == 256 * len(found.labels)
    assert int(numbers.max()) < 240  # of 60 Gaussians with 4 channels, of which a third are none
    for own in found.labels.split(numbers.tolist()):
        assert len(own.unique()) == len(own) and torch.isin(own, sparse.labels).all()


def test_what_nobody_sees_or_has_a_channel_of_is_zero() -> None:
    scene = random_scene()
    nobody = SparseChannels(torch.full((60, 4), -1, dtype=torch.int32), torch.rand(60, 4), 3)
    assert not by_kernels(scene, nobody).dense().any()
    behind = {**scene, "means": scene["means"] - torch.tensor([0.0, 0.0, 50.0])}
    found = by_kernels(behind, random_channels(60, 3))
    assert not found.dense().any() and not found[28, 36].any()


def test_a_scene_of_one_label_for_which_all_vote_is_the_opacity() -> None:
    scene = random_scene()
    everything = SparseChannels(torch.zeros(60, 1, dtype=torch.int32), torch.ones(60, 1), 1)
    alpha = rasterization(**scene, width=37, height=29)[1][0]
    torch.testing.assert_close(by_kernels(scene, everything).dense(), alpha)


def test_the_number_of_threads_does_not_matter() -> None:
    scene, sparse = random_scene(300, size=(150, 90)), random_channels(300, 9)
    before = torch.get_num_threads()
    maps = []
    for threads in (1, 3):
        torch.set_num_threads(threads)
        maps.append(by_kernels(scene, sparse, (150, 90)))
    torch.set_num_threads(before)
    for name in ("starts", "labels", "values"):
        assert torch.equal(getattr(maps[0], name), getattr(maps[1], name))


@pytest.mark.parametrize("name", supported_instruction_sets())
def test_every_instruction_set_blends_the_same(name: str, fresh_library: pytest.MonkeyPatch) -> None:
    fresh_library.setenv(ISA_VARIABLE, name)
    scene, sparse = random_scene(channels=16), random_channels(60, 9)
    expected = blended(scene, sparse, backend="reference")[1]
    assert isinstance(expected, Tensor)
    torch.testing.assert_close(by_kernels(scene, sparse).dense(), expected, atol=2e-5, rtol=2e-5)


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.integers(0, 70), st.integers(1, 9), st.integers(1, 50), st.integers(1, 50))
def test_the_strongest_label_of_a_pixels_own_group_is_that_of_a_channel_for_each(
    seed: int, count: int, labels: int, width: int, height: int
) -> None:
    scene = random_scene(count, size=(width, height), seed=seed)
    found = by_kernels(scene, random_channels(count, labels, 2, seed), (width, height))
    generator = torch.Generator().manual_seed(seed)
    group_of_label = torch.randint(3, (labels,), generator=generator)
    groups = torch.randint(4, (height, width), generator=generator)
    strongest = strongest_own(found, group_of_label, groups)
    assert torch.equal(strongest, strongest_own(found.dense(), group_of_label, groups))
    own = found.dense().where(group_of_label == groups[..., None], 0.0)
    chosen = own.gather(-1, strongest.clamp_min(0)[..., None])[..., 0]
    assert torch.equal(chosen, own.amax(dim=-1)) and torch.equal(strongest < 0, chosen == 0)


def test_the_strongest_is_the_smallest_among_equals() -> None:
    equal = SparseChannels(torch.tensor([[2, 1]], dtype=torch.int32).expand(60, 2), torch.ones(60, 2), 4)
    found, nobody = by_kernels(random_scene(), equal), torch.zeros(SIZE[::-1], dtype=torch.int64)
    for channels in (found, found.dense()):
        strongest = strongest_own(channels, torch.zeros(4, dtype=torch.int64), nobody)
        assert torch.equal(strongest, torch.where(found.dense()[..., 1] > 0, 1, -1))


def test_some_gaussians_keep_their_channels() -> None:
    sparse = random_channels(20, 5)
    keep = torch.arange(20) % 3 == 0
    assert torch.equal(sparse[keep].dense(), sparse.dense()[keep])


@pytest.mark.usefixtures("unchecked_shapes")
def test_channels_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ProtoSagaError, match="sparse of 59 Gaussians, means of 60"):
        blended(random_scene(), random_channels(59, 3))
    with pytest.raises(ValueError, match=r"labels are \(60, 4\), values \(60, 3\)"):
        SparseChannels(torch.zeros(60, 4, dtype=torch.int32), torch.zeros(60, 3), 2)
    with pytest.raises(ProtoSagaError, match="only the CPU kernels take sparse channels"):
        rasterization(**random_scene(), width=37, height=29, sparse=random_channels(60, 3), backend="reference")
