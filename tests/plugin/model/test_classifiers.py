"""Laws of the view classifiers (Eq. 6) and of the one that all views share."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.plugin.model import checkpoint
from proto_saga_ns.plugin.model.classifiers import SharedClassifier, ViewClassifiers
from proto_saga_ns.plugin.model.proto_saga import ProtoSagaModelConfig
from proto_saga_ns.plugin.pipeline import check_classifiers
from proto_saga_ns.recognition.cosine_softmax import cosine_logits, cross_entropy

IDS = st.lists(st.lists(st.integers(1, 40), unique=True, max_size=6), min_size=1, max_size=5)


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_a_view_that_was_not_drawn_keeps_its_classifier() -> None:
    classifiers = ViewClassifiers(16, [3, 5])
    optimizer = torch.optim.Adam(classifiers.parameters(), lr=0.1)
    before = [weight.detach().clone() for weight in classifiers.weights]
    for view in (0, 0, 1, 0):
        optimizer.zero_grad()
        cosine_logits(random(4, 16), classifiers[view], 10).square().sum().backward()
        if view == 1:
            before[0] = classifiers[0].detach().clone()
        optimizer.step()
        if view == 1:
            assert torch.equal(classifiers[0], before[0])
    assert not torch.equal(classifiers[1], before[1])


def test_loading_creates_classifiers_of_the_saved_sizes_and_keeps_those_that_fit() -> None:
    saved = ViewClassifiers(16, [3, 0, 5]).state_dict()
    fresh = ViewClassifiers(16)
    fresh.match_state(saved, "")
    fresh.load_state_dict(saved)
    assert fresh.labels_per_view == [3, 0, 5]
    kept = fresh[0]
    fresh.match_state(saved, "")
    assert fresh[0] is kept


@given(IDS)
def test_masks_of_one_id_share_a_column(ids: list[list[int]]) -> None:
    shared = SharedClassifier(16, [np.array(view, np.int32) for view in ids])
    every = sorted({number for view in ids for number in view})
    assert shared.ids.tolist() == every and shared.weights[0].shape == (16, len(every))
    assert shared.labels_per_view == [len(view) for view in ids] and len(shared) == len(ids)
    assert shared.fit([np.array(view, int) for view in ids])
    for view, numbers in enumerate(ids):
        columns = [every.index(number) for number in numbers]
        assert torch.equal(shared[view], shared.weights[0][:, columns])
        label_map = torch.arange(len(numbers) + 1)[None]
        weights, labels = shared.task(view, label_map.to(torch.int16))
        assert weights is shared.weights[0] and labels.tolist() == [[0, *(column + 1 for column in columns)]]
        own = shared.of_masks(torch.full((len(numbers),), view), torch.arange(1, len(numbers) + 1))
        assert torch.equal(own, shared[view].T)


def test_a_view_trains_all_classes_of_the_shared_classifier_and_only_its_own_of_the_others() -> None:
    ids = [np.array([7, 3]), np.array([9])]
    shared, own = SharedClassifier(16, ids), ViewClassifiers(16)
    own.create_for(ids)
    for classifiers, classes in ((shared, 3), (own, 2)):
        weights, labels = classifiers.task(0, torch.tensor([[0, 1, 2]]))
        cross_entropy(random(1, 3, 16), weights, labels, 10.0)[0].backward()
        gradient = classifiers.weights[0].grad
        assert gradient is not None and gradient.norm(dim=0).count_nonzero() == classes
    with pytest.raises(IndexError):
        shared[2]


def test_a_saved_shared_classifier_comes_back_and_knows_other_masks() -> None:
    ids = [np.array([7, 3]), np.zeros(0, np.int32), np.array([9])]
    saved, fresh = SharedClassifier(16, ids), SharedClassifier(16)
    state = saved.state_dict()
    fresh.match_state(state, "")
    fresh.load_state_dict(state)
    assert torch.equal(fresh[0], saved[0]) and fresh.labels_per_view == [2, 0, 1]
    assert fresh.fit(ids) and not fresh.fit([ids[0], ids[1], np.array([8])]) and not fresh.fit([ids[0], ids[2], ids[1]])
    kept = fresh.weights[0]
    fresh.match_state(state, "")
    assert fresh.weights[0] is kept
    of_model = {f"view_classifiers.{key}": value for key, value in state.items()}
    checkpoint.check_classifiers(of_model, "shared")
    with pytest.raises(ProtoSagaError, match="was trained with --pipeline"):
        checkpoint.check_classifiers(of_model, "per-view")


def test_classifiers_that_masks_cannot_train_are_refused() -> None:
    numbered, tracked = [np.array([1, 2]), np.array([1, 2, 3])], [np.array([4, 9]), np.array([4])]
    shared = ProtoSagaModelConfig(classifiers="shared", lambda_neighbours=2.0)
    check_classifiers(shared, tracked, trusted=False)
    check_classifiers(shared, numbered, trusted=True)
    check_classifiers(ProtoSagaModelConfig(), numbered, trusted=False)
    with pytest.raises(ProtoSagaError, match="--mask-source mastsam"):
        check_classifiers(shared, numbered, trusted=False)
    with pytest.raises(ProtoSagaError, match="classifiers shared too"):
        check_classifiers(ProtoSagaModelConfig(lambda_neighbours=2.0), tracked, trusted=False)
