"""Laws of the view classifiers (Eq. 6)."""

import torch

from proto_saga_ns.cosine_softmax import cosine_logits
from proto_saga_ns.model.classifiers import ViewClassifiers


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
