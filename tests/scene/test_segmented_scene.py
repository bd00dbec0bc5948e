"""A segmented scene answers the questions of viewer, commands and export."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from proto_saga_ns.labels.colors import colorize
from proto_saga_ns.recognition.agreement import DOUBTFUL
from proto_saga_ns.recognition.gaussian_instances import GaussianInstances
from proto_saga_ns.recognition.prototypes import MaskTable, classify
from proto_saga_ns.scene import EmbeddingColors, Instance, SegmentedScene
from proto_saga_ns.scene.cuts import Cut
from tests.scene.scenes import DIM, random_features, random_scene, random_votes, random_votes_in_view, scene_of


def unit_scene(ids: tuple[int, ...] = (1, 2, 3)) -> SegmentedScene:
    return scene_of(dict(zip(ids, torch.eye(4), strict=False)), options={"criteria": "both", "delta": 0.1})


def test_an_empty_scene_labels_nothing() -> None:
    scene = SegmentedScene(MaskTable.without_views(torch.zeros(0, 4), ()), EmbeddingColors.fit(torch.zeros(0, 4)))
    labels, confidence = scene.segment(torch.ones(2, 3, 4), torch.ones(2, 3))
    assert not labels.any() and not confidence.any()
    assert not scene.colorize(labels).any()
    assert scene.instances == () and scene.mask_instances == {}
    assert not scene.instances_of(torch.ones(5, 4)).ids.any()


def test_labels_are_instance_ids_also_when_they_have_gaps() -> None:
    features = torch.eye(4)[None]
    for ids in ((1, 2, 3), (5, 7, 400)):
        labels, confidence = unit_scene(ids).segment(features, torch.tensor([[1.0, 1.0, 1.0, 0.2]]))
        assert labels.tolist() == [[*ids, 0]]
        assert labels.dtype == torch.int32
        assert bool((confidence[0, :3] > 0.99).all())


def grouped(seed: int, members: int) -> dict[int, int]:
    """Random owners, each the owner of itself."""
    draw = np.random.default_rng(seed)
    heads = sorted(draw.choice(np.arange(1, members + 1), draw.integers(1, members + 1), replace=False).tolist())
    return {member: int(draw.choice(heads)) for member in range(1, members + 1) if member not in heads}


@given(st.integers(0, 1000), st.integers(1, 8), st.booleans())
@settings(max_examples=40)
def test_owners_change_names_of_what_is_recognised_and_nothing_else(seed: int, members: int, with_votes: bool) -> None:
    scene, owners = random_scene(seed, members), grouped(seed, members)
    owned = replace(scene, owners=owners)
    features, alpha = random_features(seed), torch.rand(8, 9, generator=torch.Generator().manual_seed(seed))
    votes = random_votes_in_view(seed, members) if with_votes else None
    labels, confidence = scene.segment(features, alpha, votes)
    joined, of_instances = owned.segment(features, alpha, votes)
    assert joined.tolist() == [[owners.get(label, label) for label in row] for row in labels.tolist()]
    assert bool((of_instances >= confidence - 1e-6).all())
    assert scene.gaussians is not None
    of_gaussians = [owners.get(member, member) for member in scene.gaussians.ids.tolist()]
    assert owned.instances_of(torch.zeros(60, DIM)).ids.tolist() == of_gaussians
    for name, of_labels in scene.mask_instances.items():
        assert owned.mask_instances[name] == [owners.get(member, member) for member in of_labels]


@given(st.integers(0, 1000), st.integers(1, 8))
@settings(max_examples=30)
def test_an_instance_is_the_sum_of_its_members(seed: int, members: int) -> None:
    scene = random_scene(seed, members, owners=grouped(seed, members))
    assert scene.gaussians is not None
    assert scene.ids == tuple(sorted({scene.owners.get(member, member) for member in range(1, members + 1)}))
    assert [instance.id for instance in scene.instances] == [*scene.ids]
    assert sorted(member for number in scene.ids for member in scene.members(number)) == [*range(1, members + 1)]
    for instance in scene.instances:
        mine = torch.isin(scene.cut_masks.member, torch.tensor(scene.members(instance.id)))
        assert instance == scene.instance(instance.id)
        assert instance.id in scene.members(instance.id)
        assert instance.pixels == int(scene.masks.pixels[mine].sum())
        assert instance.n_views == len(scene.masks.view[mine].unique())
        owned = torch.isin(scene.gaussians.ids, torch.tensor(scene.members(instance.id)))
        assert instance.n_gaussians == int(owned.sum())
    for unknown in (0, members + 1):
        with pytest.raises(KeyError):
            scene.members(unknown)
        with pytest.raises(KeyError):
            scene.instance(unknown)


@pytest.mark.parametrize("owners", [{1: 99}, {99: 1}, {1: 2, 2: 3}, {1: 1}, {1: 2, 2: 1}])
def test_owners_that_are_no_members_of_themselves_are_refused(owners: dict[int, int]) -> None:
    with pytest.raises(ValueError, match="one of its members"):
        random_scene(owners=owners)


def test_features_and_colours_must_be_of_the_same_length() -> None:
    with pytest.raises(ValueError, match="lengths"):
        replace(random_scene(), embedding_colors=EmbeddingColors.fit(torch.randn(9, DIM + 1)))


def test_gaussians_keep_what_was_decided_until_they_are_others() -> None:
    scene = random_scene(owners={2: 4})
    assert scene.gaussians is not None
    embeddings = random_features(1, 1, 60)[0]
    decided = scene.instances_of(embeddings)
    assert torch.equal(decided.confidence, scene.gaussians.confidence)
    assert 2 not in decided.ids and 4 in decided.ids
    for others, asked in ((scene, embeddings[:50]), (replace(scene, gaussians=None), embeddings)):
        owners = torch.tensor([1, 4, 3, 4, 5])
        labels, confidence = classify(asked[None], scene.prototypes, torch.ones(1, len(asked)), groups=owners)
        found = others.instances_of(asked.requires_grad_())
        assert torch.equal(found.ids, labels[0].where(labels[0] != 2, torch.tensor(4, dtype=torch.int32)))
        assert torch.equal(found.confidence, confidence[0])
        assert isinstance(found, GaussianInstances)


@given(st.integers(0, 1000), st.integers(1, 8), st.booleans(), st.integers(0, 2))
@settings(max_examples=60)
def test_the_probability_of_the_winner_is_its_confidence(seed: int, members: int, with_votes: bool, cuts: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    made = tuple(Cut(1, members + 1 + index, torch.randn(2, DIM, generator=draw)) for index in range(cuts))
    scene = replace(random_scene(seed, members), cuts=made, owners=grouped(seed, members + cuts))
    alpha = torch.rand(8, 9, generator=torch.Generator().manual_seed(seed))
    view = (random_features(seed), alpha, random_votes_in_view(seed, members) if with_votes else None)
    labels, confidence = scene.segment(*view)
    found = scene.probabilities(*view)
    columns = torch.searchsorted(torch.tensor([0, *scene.ids]), labels.long())
    own = torch.cat([torch.zeros(8, 9, 1), found], dim=-1).gather(-1, columns[..., None])[..., 0]
    torch.testing.assert_close(own, confidence)
    torch.testing.assert_close(found.sum(dim=-1), (alpha >= scene.min_alpha).float())


def test_votes_of_other_gaussians_are_not_rendered() -> None:
    scene = random_scene(votes=random_votes(0, 60))
    votes = scene.votes_of(60)
    assert votes is not None and votes.dense().shape == (60, 5)
    assert scene.votes_of(59) is None and random_scene().votes_of(60) is None


def test_colours_are_those_of_label_maps() -> None:
    labels = torch.tensor([[0, 3, 300]], dtype=torch.int32)
    shown = unit_scene().colorize(labels)
    assert np.array_equal((255 * shown).round().numpy(), colorize(labels.numpy()))
    assert Instance(3).color == tuple(colorize(np.array([[3]]))[0, 0])


def test_agreement_is_that_of_instances_as_association_left_them() -> None:
    scene = random_scene(agreement={1: 0.1, 2: DOUBTFUL, 3: 0.9}, owners={5: 4})
    assert [instance.agreement for instance in scene.instances] == [0.1, DOUBTFUL, 0.9, None]
    assert [instance.is_doubtful for instance in scene.instances] == [True, False, False, False]
    merged = replace(scene, owners={1: 2})
    assert [instance.agreement for instance in merged.instances[:2]] == [None, 0.9]
    cut = replace(scene, cuts=(Cut(1, 6, torch.randn(2, DIM)),))
    assert [cut.instance(number).agreement for number in (1, 2, 6)] == [None, DOUBTFUL, None]


def test_instances_have_default_names() -> None:
    scene = replace(unit_scene(), names={2: "lamp"})
    assert [instance.name for instance in scene.instances] == ["instance 1", "lamp", "instance 3"]


def test_the_json_says_what_people_ask() -> None:
    content = json.loads(json.dumps(unit_scene().to_json()))
    first = content["instances"][0]
    assert first == {
        **{"id": 1, "name": "instance 1", "pixels": 10, "n_views": 1, "n_gaussians": 0, "agreement": None},
        "color": [230, 159, 0],
    }
    assert content["options"] == {"criteria": "both", "delta": 0.1}


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_scene_works_where_its_features_are() -> None:
    scene = replace(unit_scene((2, 4, 9)), owners={2: 9}).with_display(selected=(9,))
    features = torch.eye(4, device="cuda")[None]
    labels, confidence = scene.segment(features, torch.ones(1, 4, device="cuda"))
    assert labels.tolist()[0][:3] == [9, 4, 9]
    shown = (labels, confidence, scene.colorize(labels), scene.display.is_shown(labels))
    assert all(value.is_cuda for value in (*shown, scene.embedding_colors.colorize(features)))
    assert scene.instances_of(torch.eye(4, device="cuda")).ids.tolist()[:3] == [9, 4, 9]
