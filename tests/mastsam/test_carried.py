"""Carried points against a loop over the matches; guessed ones stay in the image and move as their surroundings."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from proto_saga_ns.mastsam.carried import CarriedPoints, TrackedFrame, carry, interpolate
from proto_saga_ns.mastsam.matches import Matches, pixels_of
from tests.mastsam.scenes import blank, matches_of

SIZE = (20, 64)


def tracked(seed: int = 0, highest: int = 4) -> TrackedFrame:
    rng = np.random.default_rng(seed)
    masks, instances = rng.integers(0, highest, (2, *SIZE)).astype(np.int32)
    return TrackedFrame(blank(size=SIZE), masks, instances)


def random_matches(seed: int, count: int) -> Matches:
    rng = np.random.default_rng(seed)
    return matches_of(*(rng.uniform(0, 1, (2, count, 2)) * (SIZE[1] - 0.01, SIZE[0] - 0.01)))


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.integers(0, 50))
def test_a_point_is_carried_with_the_instance_it_lies_in(seed: int, count: int) -> None:
    old, matches = tracked(seed), random_matches(seed, count)
    slow = []
    for (x, y), target in zip(matches.xy_a.tolist(), matches.xy_b.tolist(), strict=True):
        if old.instances[int(y), int(x)] > 0:
            slow.append((target, old.instances[int(y), int(x)], old.masks[int(y), int(x)]))
    points = carry(matches, old)
    assert [tuple(row) for row in zip(points.xy.tolist(), points.instances, points.sources, strict=True)] == [
        (target, instance, source) for target, instance, source in slow
    ]


def test_points_of_several_frames_know_which() -> None:
    parts = [carry(random_matches(seed, 9), tracked(seed)) for seed in range(3)]
    joined = CarriedPoints.joined([parts[0], CarriedPoints.none(), *parts[1:]])
    assert len(joined) == sum(map(len, parts))
    for number, part in zip((0, 2, 3), parts, strict=True):
        np.testing.assert_array_equal(joined.select(joined.frames == number).xy, part.xy)
    assert len(CarriedPoints.joined([])) == 0 and joined.instances.dtype == joined.frames.dtype == np.int32


def grid(step: int = 4) -> np.ndarray:
    rows, columns = np.mgrid[: SIZE[0] : step, : SIZE[1] : step].reshape(2, -1)
    return np.stack([columns, rows], axis=1) + 0.5


@settings(max_examples=60)
@given(st.integers(0, 99), st.floats(-70, 70, width=32), st.floats(-30, 30, width=32), st.integers(1, 30))
def test_guesses_move_as_all_else_and_never_leave_the_image(seed: int, dx: float, dy: float, most: int) -> None:
    old, shift = tracked(seed), np.array((dx, dy))
    guesses = interpolate(matches_of(grid(), grid() + shift), old, most, 100, SIZE)
    rows, columns = pixels_of(guesses.xy).T
    assert ((rows >= 0) & (rows < SIZE[0]) & (columns >= 0) & (columns < SIZE[1])).all()
    source = guesses.xy.astype(np.float64) - shift
    np.testing.assert_allclose(source % 1, 0.5, atol=1e-3)
    rows, columns = pixels_of(source).T
    np.testing.assert_array_equal(old.instances[rows, columns], guesses.instances)
    np.testing.assert_array_equal(old.masks[rows, columns], guesses.sources)
    assert (guesses.instances > 0).all() and np.bincount(guesses.instances).max(initial=0) <= most
    if dx == dy == 0:
        counts = np.bincount(old.instances.reshape(-1))
        assert np.bincount(guesses.instances).tolist() == [0, *np.minimum(counts[1:], most)]


def test_a_place_that_rounds_to_the_border_is_outside() -> None:
    """Just below 64 is 64 in single precision."""
    old = tracked()
    shift = np.nextafter(np.float32(1.5), np.float32(0))
    # Next to 0, where the shift is exact.
    left = grid()[grid()[:, 0] < 1]
    guesses = interpolate(matches_of(left, left + np.array([shift, 0])), old, 10**6, 100, SIZE)
    assert len(guesses) > 100 and guesses.xy[:, 0].max() < SIZE[1]


def test_guesses_need_matches_nearby() -> None:
    old = tracked()
    one_side = matches_of(grid()[grid()[:, 0] < 10], grid()[grid()[:, 0] < 10])
    near = interpolate(one_side, old, 10**6, 8.0, SIZE)
    assert 0 < near.xy[:, 0].max() <= 8.5 + 8
    assert len(interpolate(one_side.select(np.arange(3)), old, 16, 100, SIZE)) == 0
    nothing = TrackedFrame(old.frame, old.masks, np.zeros_like(old.instances))
    assert len(interpolate(one_side, nothing, 16, 100, SIZE)) == 0
