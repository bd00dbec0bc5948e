"""Laws of the view classifiers (Eqs. 6 and 7)."""

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from proto_saga_ns.model.classifiers import ViewClassifiers, cosine_logits, labelled_cross_entropy


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_logits_are_tau_times_the_cosine() -> None:
    features, weights = random(5, 7, 16), random(16, 4, seed=1)
    expected = 10 * F.cosine_similarity(features[..., None], weights, dim=-2)
    torch.testing.assert_close(cosine_logits(features, weights, tau=10), expected)


@given(st.floats(0.5, 100), st.floats(0.01, 100))
def test_logits_ignore_the_scale_of_features_and_weights(feature_scale: float, weight_scale: float) -> None:
    features, weights = random(6, 16), random(16, 3, seed=1)
    torch.testing.assert_close(
        cosine_logits(feature_scale * features, weight_scale * weights, 10), cosine_logits(features, weights, 10)
    )


def test_gradient_stays_bounded_where_nothing_was_rendered() -> None:
    features = torch.zeros(1, 1, 16, requires_grad=True)
    loss, _ = labelled_cross_entropy(cosine_logits(features, random(16, 3), 10), torch.tensor([[2]]))
    loss.backward()
    assert features.grad is not None and torch.isfinite(features.grad).all()


def test_cross_entropy_is_the_mean_over_labelled_pixels_only() -> None:
    logits, labels = random(2, 3, 4), torch.tensor([[0, 1, 4], [2, 0, 0]])
    log_probability = logits.log_softmax(-1)
    expected = -(log_probability[0, 1, 0] + log_probability[0, 2, 3] + log_probability[1, 0, 1]) / 3
    loss, _ = labelled_cross_entropy(logits, labels)
    torch.testing.assert_close(loss, expected)


def test_accuracy_counts_labelled_pixels_that_the_argmax_gets_right() -> None:
    labels = torch.tensor([[0, 1, 2, 2]])
    logits = F.one_hot(torch.tensor([[1, 0, 1, 0]]), 2).float()
    assert labelled_cross_entropy(logits, labels)[1] == 2 / 3


def test_a_view_without_labels_gives_zero_loss_and_zero_gradient() -> None:
    features = random(2, 2, 16).requires_grad_()
    for weights in (random(16, 3), torch.zeros(16, 0)):
        loss, accuracy = labelled_cross_entropy(cosine_logits(features, weights, 10), torch.zeros(2, 2).int())
        loss.backward()
        assert loss == 0 and accuracy == 0
    assert features.grad is not None and (features.grad == 0).all()


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
