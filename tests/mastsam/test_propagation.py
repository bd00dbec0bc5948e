"""Votes against loops; what tells instances apart; guesses by position; unlabelled regions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from proto_saga_ns.mastsam.carried import CarriedPoints
from proto_saga_ns.mastsam.propagation import (
    Votes,
    count_votes,
    guess_by_position,
    masks_under,
    tell_apart,
    with_unlabelled_regions,
)

SIZE = (12, 16)
seeds = st.integers(0, 10**6)


def points_of(rows: list[tuple[float, float, int, int, int]]) -> CarriedPoints:
    """Of (x, y, instance, source, frame)."""
    table = np.array(rows, np.float64).reshape(-1, 5)
    return CarriedPoints(table[:, :2].astype(np.float32), *table[:, 2:].astype(np.int32).T)


def random_points(seed: int, count: int, instances: int = 5) -> CarriedPoints:
    rng = np.random.default_rng(seed)
    xy = rng.uniform(0, 1, (count, 2)).astype(np.float32) * np.float32(0.999) * np.array(SIZE[::-1], np.float32)
    ids = [rng.integers(low, high, count).astype(np.int32) for low, high in ((1, instances + 1), (1, 4), (0, 3))]
    return CarriedPoints(xy, *ids)


def random_masks(seed: int, highest: int = 4) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, highest + 1, SIZE).astype(np.int32)


@settings(max_examples=50)
@given(seeds, st.integers(0, 60), st.integers(1, 4), st.floats(0, 1))
def test_votes_are_counted_and_won_as_by_hand(seed: int, count: int, min_points: int, min_share: float) -> None:
    points, masks = random_points(seed, count), random_masks(seed)
    votes = count_votes(points, masks)
    winners = votes.winners(min_points, min_share)
    assert winners.dtype == np.int32 and len(winners) == masks.max() + 1
    under = [masks[int(y), int(x)] for x, y in points.xy.tolist()]
    assert masks_under(points, masks).tolist() == under
    for label in range(masks.max() + 1):
        inside = [int(i) for i, mask in zip(points.instances, under, strict=True) if mask == label and label > 0]
        for row, instance in enumerate(votes.instances):
            assert votes.counts[row, label] == inside.count(instance)
        best = max(sorted(set(inside)), key=inside.count, default=0)
        enough = best and inside.count(best) >= min_points and inside.count(best) >= min_share * len(inside)
        assert winners[label] == (best if enough else 0)


@settings(max_examples=40)
@given(seeds, st.integers(1, 60))
def test_the_order_of_points_and_the_numbers_of_masks_do_not_matter(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    points, masks = random_points(seed, count), random_masks(seed)
    new = np.concatenate([[0], rng.permutation(masks.max()) + 1]).astype(np.int32)
    shuffled = points.select(rng.permutation(count))

    def placed(points: CarriedPoints, masks: np.ndarray) -> np.ndarray:
        votes = count_votes(points, masks)
        return votes.winners(1, 0.0)[masks]

    np.testing.assert_array_equal(placed(points, masks), placed(shuffled, new[masks]))


def halves() -> np.ndarray:
    """Mask 1 is the left half, mask 2 the right one."""
    return np.repeat([[1] * 8 + [2] * 8], SIZE[0], axis=0).astype(np.int32)


def history(*together: bool) -> CarriedPoints:
    """Frames that knew both halves as instance 1: in one mask, or in two. The left half has more points."""
    rows = []
    for frame, one in enumerate(together):
        rows += [(x, 5.5, 1, 3, frame) for x in (1.5, 2.5, 3.5)]
        rows += [(x, 5.5, 1, 3 if one else 4, frame) for x in (10.5, 11.5)]
    return points_of(rows)


@pytest.mark.parametrize(
    ("together", "expected"),
    [
        ((True,), [0, 1, 1]),
        ((False,), [0, 1, 0]),
        ((True, False, False), [0, 1, 0]),
        ((True, True, False), [0, 1, 1]),
        ((True, False), [0, 1, 1]),
    ],
)
def test_the_majority_of_frames_says_whether_two_masks_are_one(together: tuple[bool, ...], expected: list[int]) -> None:
    points, masks = history(*together), halves()
    votes = count_votes(points, masks)
    won = votes.winners(1, 0.0)
    assert won.tolist() == [0, 1, 1]
    assert tell_apart(won, votes, points, masks, 1, 0.0).tolist() == expected
    assert won.tolist() == [0, 1, 1]


def test_frames_that_saw_one_half_only_do_not_count() -> None:
    hidden = [(x, 5.5, 1, 9, frame) for frame in (1, 2, 3) for x in (1.5, 2.5, 3.5)]
    table = history(False)
    rows = np.column_stack([table.xy, table.instances, table.sources, table.frames]).tolist()
    points, masks = points_of([*rows, *hidden]), halves()
    votes = count_votes(points, masks)
    assert tell_apart(votes.winners(1, 0.0), votes, points, masks, 1, 0.0).tolist() == [0, 1, 0]


@settings(max_examples=40)
@given(seeds, st.integers(0, 60))
def test_who_loses_an_instance_gets_its_second_best_and_the_mask_with_most_points_keeps_its_own(seed, count) -> None:
    points, masks = random_points(seed, count, instances=2), random_masks(seed)
    votes = count_votes(points, masks)
    won = votes.winners(1, 0.0)
    kept = tell_apart(won, votes, points, masks, 1, 0.0)
    for label in np.flatnonzero(kept != won):
        others = votes.counts[votes.instances != won[label], label]
        assert (kept[label] == 0) == (others.max(initial=0) == 0), "its second best, if there is one"
        assert kept[label] == 0 or votes.counts[votes.instances == kept[label], label] == others.max()
    for row, instance in enumerate(votes.instances):
        if (won == instance).any():
            assert kept[np.where(won == instance, votes.counts[row], -1).argmax()] == instance


def test_no_points_decide_nothing() -> None:
    masks = halves()
    votes = count_votes(CarriedPoints.none(), masks)
    assert isinstance(votes, Votes) and votes.winners(1, 0.0).tolist() == [0, 0, 0]
    assert tell_apart(np.zeros(3, np.int32), votes, CarriedPoints.none(), masks, 1, 0.0).tolist() == [0, 0, 0]


def guesses_in(mask: int, instance: int, frames: int = 1, share: float = 1.0) -> CarriedPoints:
    """Ten guesses a frame, a share of them inside the mask of ``halves``, the others in the other one."""
    inside = 1.5 if mask == 1 else 14.5
    columns = [inside if number < 10 * share else 16 - inside for number in range(10)]
    return points_of([(x, 0.5 + number, instance, 1, f) for f in range(frames) for number, x in enumerate(columns)])


def joined(*parts: CarriedPoints) -> CarriedPoints:
    table = [np.column_stack([part.xy, part.instances, part.sources, part.frames]) for part in parts]
    return points_of(np.concatenate(table).tolist())


def test_a_guess_needs_a_share_and_a_like_size_and_a_free_mask() -> None:
    masks, none = halves(), np.zeros(3, np.int32)
    size = {7: 96.0, 8: 96.0}
    assert guess_by_position(none, guesses_in(2, 7), masks, size, 0.3).tolist() == [0, 0, 7]
    assert guess_by_position(none, guesses_in(2, 7, share=0.2), masks, size, 0.9).tolist() == [0, 0, 0]
    for area in (96 * 4.0, 96 / 4.0):
        assert guess_by_position(none, guesses_in(2, 7), masks, {7: area}, 0.3).tolist() == [0, 0, 0]
    taken = np.array([0, 0, 9], np.int32)
    assert guess_by_position(taken, guesses_in(2, 7), masks, size, 0.3).tolist() == [0, 0, 9]
    elsewhere = np.array([0, 7, 0], np.int32)
    assert guess_by_position(elsewhere, guesses_in(2, 7), masks, size, 0.3).tolist() == [0, 7, 0]


def test_most_frames_decide_a_guess_and_each_instance_is_guessed_once() -> None:
    masks, none, size = halves(), np.zeros(3, np.int32), {7: 96.0, 8: 96.0}
    both = joined(guesses_in(2, 7, frames=1), guesses_in(2, 8, frames=2))
    assert guess_by_position(none, both, masks, size, 0.3).tolist() == [0, 0, 8]
    equal = joined(guesses_in(2, 8), guesses_in(2, 7))
    assert guess_by_position(none, equal, masks, size, 0.3).tolist() == [0, 0, 7]
    torn = guesses_in(2, 7, share=0.5)
    assert sorted(guess_by_position(none, torn, masks, size, 0.3).tolist()) == [0, 0, 7]


@settings(max_examples=50)
@given(seeds, st.floats(0, 1), st.integers(1, 6))
def test_unlabelled_regions_become_masks_of_their_own(seed: int, density: float, min_area: int) -> None:
    rng = np.random.default_rng(seed)
    masks = (rng.integers(1, 4, SIZE) * (rng.random(SIZE) < density)).astype(np.int32)
    found = with_unlabelled_regions(masks, min_area)
    np.testing.assert_array_equal(found[masks > 0], masks[masks > 0])
    regions, count = ndimage.label(masks == 0)
    large = [number for number in range(1, count + 1) if (regions == number).sum() >= min_area]
    assert len(np.setdiff1d(found, masks)) == len(large)
    for number in range(1, count + 1):
        inside = np.unique(found[regions == number])
        assert len(inside) == 1 and (inside[0] > masks.max() if number in large else inside[0] == 0)
    assert found.dtype == np.int32 and sorted(set(found[found > masks.max()])) == [
        masks.max() + step for step in range(1, len(large) + 1)
    ]
