"""A segmented scene survives saving and answers the viewer's questions."""

from __future__ import annotations

import io
import json
from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from proto_saga_ns.colors import colorize
from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.scene import EmbeddingColors, Instance, SegmentedScene


def make_scene(ids: tuple[int, ...] = (1, 2, 3)) -> SegmentedScene:
    embeddings = torch.randn(500, 4, generator=torch.Generator().manual_seed(0))
    return SegmentedScene(
        prototypes=torch.eye(4)[: len(ids)],
        instances=tuple(Instance(id, pixels=10 * id, n_views=2, n_gaussians=5) for id in ids),
        embedding_colors=EmbeddingColors.fit(embeddings),
        options={"criteria": "both", "delta": 0.1},
        mask_instances={"view 0": [0, 2, 1]},
        selected=(2,),
    )


def saved_and_loaded(state: dict) -> dict:
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def test_a_scene_survives_a_checkpoint() -> None:
    scene = make_scene().with_name(3, "red chair")
    loaded = SegmentedScene.from_state(saved_and_loaded(scene.to_state()))
    assert torch.equal(loaded.prototypes, scene.prototypes)
    for f in fields(EmbeddingColors):
        assert torch.equal(getattr(loaded.embedding_colors, f.name), getattr(scene.embedding_colors, f.name))
    for name in ("instances", "tau", "min_alpha", "options", "mask_instances", "selected"):
        assert getattr(loaded, name) == getattr(scene, name)


def test_an_empty_scene_survives_and_labels_nothing() -> None:
    colors = EmbeddingColors.fit(torch.zeros(0, 4))
    scene = SegmentedScene.from_state(SegmentedScene(torch.zeros(0, 4), (), colors).to_state())
    labels, _ = scene.segment(torch.ones(2, 3, 4), torch.ones(2, 3))
    assert not labels.any()
    assert not scene.colorize(labels).any()


def test_a_scene_of_another_version_is_refused() -> None:
    state = make_scene().to_state()
    text = {**json.loads(str(state["json"])), "version": 99}
    with pytest.raises(ProtoSagaError, match="format 99"):
        SegmentedScene.from_state({**state, "json": json.dumps(text)})


@pytest.mark.parametrize("broken", [{"json": "{"}, {"json": '{"version": 1}'}, {"prototypes": torch.zeros(9, 4)}])
def test_a_damaged_scene_is_refused(broken: dict) -> None:
    with pytest.raises(ProtoSagaError, match="damaged"):
        SegmentedScene.from_state({**make_scene().to_state(), **broken})


@pytest.mark.parametrize("ids", [(1, 1), (0, 1)])
def test_instance_ids_are_checked(ids: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="ids"):
        make_scene(ids)


def test_labels_are_instance_ids_also_when_they_have_gaps() -> None:
    features = torch.eye(4)[None]
    for ids in ((1, 2, 3), (5, 400, 7)):
        labels, confidence = make_scene(ids).segment(features, torch.tensor([[1.0, 1.0, 1.0, 0.2]]))
        assert labels.tolist() == [[*ids, 0]]
        assert labels.dtype == torch.int32
        assert bool((confidence[0, :3] > 0.99).all())


def test_colours_are_those_of_label_maps() -> None:
    labels = torch.tensor([[0, 3, 300]], dtype=torch.int32)
    shown = make_scene().colorize(labels)
    assert np.array_equal((255 * shown).round().numpy(), colorize(labels.numpy()))
    assert Instance(3).color == tuple(colorize(np.array([[3]]))[0, 0])


def test_nothing_selected_means_everything() -> None:
    labels = torch.tensor([[0, 1, 2]], dtype=torch.int32)
    scene = make_scene()
    assert scene.is_selected(labels).tolist() == [[False, False, True]]
    assert scene.with_selected(()).is_selected(labels).all()


def test_names_have_a_default_that_comes_back() -> None:
    scene = make_scene().with_name(2, "lamp")
    assert [i.name for i in scene.instances] == ["instance 1", "lamp", "instance 3"]
    assert scene.with_name(2, "").instances[1].name == "instance 2"


def test_the_json_says_what_people_ask() -> None:
    content = json.loads(json.dumps(make_scene().to_json()))
    first = content["instances"][0]
    assert first == {
        **{"id": 1, "name": "instance 1", "pixels": 10, "n_views": 2, "n_gaussians": 5},
        "color": [230, 159, 0],
    }
    assert content["options"] == {"criteria": "both", "delta": 0.1}


def test_embedding_colours_depend_on_direction_alone_and_use_the_whole_range() -> None:
    embeddings = torch.randn(2000, 6, generator=torch.Generator().manual_seed(1))
    colors = EmbeddingColors.fit(embeddings)
    image = colors.colorize(embeddings.reshape(40, 50, 6))
    assert 0 <= image.min() < 0.01 and 0.99 < image.max() <= 1
    torch.testing.assert_close(colors.colorize(7 * embeddings.reshape(40, 50, 6)), image)


def test_embedding_colours_do_not_depend_on_the_order_or_scale_of_the_gaussians() -> None:
    generator = torch.Generator().manual_seed(2)
    embeddings = torch.randn(1000, 5, generator=generator) * torch.tensor([5.0, 3.0, 2.0, 1.0, 0.5])
    shuffled = embeddings[torch.randperm(1000, generator=generator)] * 3
    first, second = EmbeddingColors.fit(embeddings), EmbeddingColors.fit(shuffled)
    torch.testing.assert_close(first.basis, second.basis, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("shape", [(0, 16), (1, 16), (10, 2), (10, 1), (300_000, 3)])
def test_embedding_colours_of_odd_shapes_are_finite(shape: tuple[int, int]) -> None:
    embeddings = torch.randn(shape, generator=torch.Generator().manual_seed(3))
    colors = EmbeddingColors.fit(embeddings)
    image = colors.colorize(torch.cat([torch.zeros(1, shape[1]), torch.ones(1, shape[1])])[None])
    assert image.shape == (1, 2, 3)
    assert bool(((image >= 0) & (image <= 1)).all())


def test_broken_and_zero_embeddings_do_no_harm() -> None:
    embeddings = torch.zeros(10, 4)
    embeddings[0, 0] = torch.nan
    assert bool(EmbeddingColors.fit(embeddings).colorize(torch.full((1, 1, 4), torch.nan)).isfinite().all())


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_scene_works_where_its_features_are() -> None:
    scene = replace(make_scene((4, 2, 9)), selected=(9,))
    features = torch.eye(4, device="cuda")[None]
    labels, confidence = scene.segment(features, torch.ones(1, 4, device="cuda"))
    assert labels.tolist()[0][:3] == [4, 2, 9]
    shown = (labels, confidence, scene.colorize(labels), scene.is_selected(labels))
    assert all(value.is_cuda for value in (*shown, scene.embedding_colors.colorize(features)))
    assert SegmentedScene.from_state(replace(scene, prototypes=scene.prototypes.cuda()).to_state()).selected == (9,)
