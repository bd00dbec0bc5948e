"""The shared classifier learns what label maps say, from embeddings that a toy renderer shows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

import pytest
import torch
from torch import Tensor

from proto_saga_ns.recognition.prototypes import classify
from proto_saga_ns.recognition.trained import TrainingOptions, train_shared_classifier

T = TypeVar("T")

LABELS = torch.tensor([[1, 1, 2], [3, 0, 2]], dtype=torch.int32)
FAST = TrainingOptions(steps=50, embedding_lr=0.1, classifier_lr=0.1)


def show(view: int, embeddings: Tensor) -> Tensor:
    """Six Gaussians, one a pixel; the second view sees them upside down."""
    image = embeddings.reshape(2, 3, -1)
    return image.flip(0) if view else image


def initial_embeddings() -> Tensor:
    return 0.1 * torch.randn(6, 4, generator=torch.Generator().manual_seed(0))


def test_training_makes_labelled_pixels_right() -> None:
    start = initial_embeddings()
    before = start.clone()
    trained = train_shared_classifier(show, start, [LABELS, LABELS.flip(0)], 3, FAST)
    predicted, _ = classify(show(0, trained.embeddings), trained.prototypes, torch.ones(2, 3))
    assert torch.equal(predicted[LABELS > 0], LABELS[LABELS > 0])
    assert trained.losses[-1] < 0.1 * trained.losses[0]
    assert torch.equal(start, before)
    assert not trained.prototypes.requires_grad and not trained.embeddings.requires_grad


def test_unlabelled_gaussians_and_empty_views_change_nothing() -> None:
    start = initial_embeddings()
    trained = train_shared_classifier(show, start, [LABELS], 3, FAST)
    assert torch.equal(trained.embeddings[4], start[4])
    untouched = train_shared_classifier(show, start, [torch.zeros_like(LABELS)], 3, FAST)
    assert torch.equal(untouched.embeddings, start)
    assert untouched.losses == []


def test_every_view_has_its_turn_and_steps_are_reported() -> None:
    seen, steps, totals = [], [], []

    def watched(view: int, embeddings: Tensor) -> Tensor:
        seen.append(view)
        return show(view, embeddings)

    def progress(items: Iterable[T], what: str, total: int | None = None) -> Iterable[T]:
        totals.append(total)
        for item in items:
            yield item
            steps.append(len(seen))

    options = TrainingOptions(steps=7)
    train_shared_classifier(watched, initial_embeddings(), [LABELS] * 3, 3, options, progress)
    assert sorted(seen[:3]) == sorted(seen[3:6]) == [0, 1, 2]
    assert len(seen) == 7
    assert steps == list(range(1, 8)) and totals == [7]


def test_the_same_seed_gives_the_same_classifier() -> None:
    first, second = (train_shared_classifier(show, initial_embeddings(), [LABELS], 3, FAST) for _ in range(2))
    assert torch.equal(first.prototypes, second.prototypes)


@pytest.mark.parametrize(("maps", "instances"), [([], 3), ([LABELS], 0)])
def test_nothing_to_train_on_is_refused(maps: list[Tensor], instances: int) -> None:
    with pytest.raises(ValueError, match="cannot train"):
        train_shared_classifier(show, initial_embeddings(), maps, instances)
