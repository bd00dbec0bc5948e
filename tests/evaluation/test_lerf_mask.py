"""Instances are chosen by how much of each lies on the mask, whatever their ids."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from proto_saga_ns.evaluation.lerf_mask import PhraseProtocol, boundary_iou, iou
from proto_saga_ns.masks.phrases.find import covered_instances, covered_shares

MIN_SHARES = st.floats(0, 1, exclude_max=True)


@st.composite
def views(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """A label map and a mask of the same size, perhaps of no pixel."""
    shape = draw(array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=8))
    return draw(arrays(np.int32, shape, elements=st.integers(0, 5))), draw(arrays(bool, shape))


@given(views(), MIN_SHARES)
def test_the_same_as_counting_pixel_by_pixel(view: tuple[np.ndarray, np.ndarray], min_share: float) -> None:
    labels, mask = view
    shares = {}
    for instance in sorted(set(labels.ravel().tolist()) - {0}):
        inside = [bool(on) for label, on in zip(labels.ravel(), mask.ravel(), strict=True) if label == instance]
        shares[instance] = sum(inside) / len(inside)
    assert covered_shares(labels, mask) == shares
    assert covered_instances(labels, mask, min_share) == tuple(i for i, share in shares.items() if share > min_share)


@given(views(), MIN_SHARES, st.permutations(range(1, 6)), st.sampled_from([1, 70_000]))
def test_other_ids_for_the_same_regions_are_chosen_alike(
    view: tuple[np.ndarray, np.ndarray], min_share: float, order: list[int], factor: int
) -> None:
    labels, mask = view
    table = np.array([0, *order], np.int32) * factor
    renamed = {int(table[instance]) for instance in covered_instances(labels, mask, min_share)}
    assert set(covered_instances(table[labels], mask, min_share)) == renamed


@given(views(), MIN_SHARES)
def test_an_empty_mask_chooses_none_and_a_full_one_all_but_zero(
    view: tuple[np.ndarray, np.ndarray], min_share: float
) -> None:
    labels, mask = view
    assert covered_instances(labels, np.zeros_like(mask), min_share) == ()
    assert covered_instances(labels, np.ones_like(mask), min_share) == tuple(np.unique(labels[labels > 0]))


@given(views(), st.tuples(MIN_SHARES, MIN_SHARES), arrays(bool, (8, 8)))
def test_a_larger_mask_and_a_lower_share_never_choose_less(
    view: tuple[np.ndarray, np.ndarray], shares: tuple[float, float], more: np.ndarray
) -> None:
    labels, mask = view
    larger = mask | more[: mask.shape[0], : mask.shape[1]]
    few = covered_instances(labels, mask, max(shares))
    assert set(few) <= set(covered_instances(labels, larger, max(shares)))
    assert set(few) <= set(covered_instances(labels, mask, min(shares)))


def test_a_share_of_just_the_least_is_not_enough() -> None:
    labels = np.full((1, 10), 3, np.int32)
    assert covered_instances(labels, np.arange(10)[None] < 5, 0.5) == ()
    assert covered_instances(labels, np.arange(10)[None] < 6, 0.5) == (3,)


@pytest.mark.usefixtures("unchecked_shapes")
def test_what_is_no_view_is_refused() -> None:
    labels, mask = np.zeros((2, 3), np.int32), np.zeros((2, 3), bool)
    for bad in ((labels, mask.T), (labels, labels), (labels - 1, mask), (labels[0], mask[0])):
        with pytest.raises(ValueError):
            covered_instances(*bad)
    for share in (-0.1, 1.0, float("nan")):
        with pytest.raises(ValueError, match="min_share"):
            covered_instances(labels, mask, share)


def test_every_phrase_weighs_the_same_and_so_does_every_view_of_it() -> None:
    generator = np.random.default_rng(0)
    truth, good, bad = (generator.random((12, 16)) > share for share in (0.5, 0.4, 0.9))
    protocol = PhraseProtocol()
    for phrase, predicted in (("cup", good), ("cup", bad), ("cup", truth), ("apple", bad)):
        protocol.add(phrase, truth, predicted)
    scores = protocol.by_phrase()
    assert list(scores) == ["apple", "cup"] and scores["cup"].num_views == 3
    for measure, name in ((iou, "iou"), (boundary_iou, "boundary_iou")):
        cup, apple = (measure(truth, good) + measure(truth, bad) + 1) / 3, measure(truth, bad)
        assert getattr(scores["cup"], name) == pytest.approx(cup)
        figure = protocol.figures()["mIoU" if name == "iou" else "mBIoU"]
        assert figure == pytest.approx(50 * (cup + apple))


def test_no_masks_are_no_figures() -> None:
    with pytest.raises(ValueError, match="no mask was added"):
        PhraseProtocol().figures()
