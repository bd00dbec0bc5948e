"""The tracker on a world whose correspondences are known: instances are those of the world, but for their numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proto_saga_ns.mastsam.carried import TrackedFrame
from proto_saga_ns.mastsam.frames import Frame
from proto_saga_ns.mastsam.matches import Matches
from proto_saga_ns.mastsam.tracker import TrackerOptions, initialise, place_frame
from proto_saga_ns.mastsam.visits import Visit
from tests.mastsam.worlds import (
    OPTIONS,
    WALL,
    ExactMatcher,
    ExactPrompter,
    World,
    name,
    pairs_of,
    panorama,
    same_up_to_numbers,
    track,
)

# A rectangle that is seen as a whole from the first frame to the last.
SEEN = 5


def truth_of(world: World) -> list[np.ndarray]:
    return [world.truth(index) for index in range(len(world))]


def ids_of(found: np.ndarray, truth: np.ndarray, instance: int = SEEN) -> list[int]:
    return np.unique(found[truth == instance]).tolist()


@settings(max_examples=8)
@given(st.integers(0, 10**6), st.integers(1, 4))
def test_ids_that_are_shuffled_in_every_frame_become_consistent(seed: int, window: int) -> None:
    starts = np.cumsum(np.random.default_rng(seed).integers(0, 7, 6)).tolist()
    world = World(panorama(seed=seed), starts, seed=seed)
    assert not same_up_to_numbers([world.masks(index) for index in range(len(world))], truth_of(world))
    found = track(world, window=window)
    assert same_up_to_numbers(found, truth_of(world))
    assert all(maps.dtype == np.int32 for maps in found)


def test_the_order_of_the_labels_of_a_frame_does_not_matter() -> None:
    one, other = (World(seed=seed) for seed in (0, 1))
    pairs = pairs_of(track(one), track(other))
    assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})
    # Those of the first frame only number the instances.
    first = one.masks(0)
    known = TrackedFrame(one.frame(0), first, first)
    new = np.concatenate([[0], np.random.default_rng(5).permutation(one.masks(1).max()) + 1]).astype(np.int32)
    placed = [
        place_frame(one.frame(1), masks, [known], ExactMatcher(one).match, 100, OPTIONS).instances
        for masks in (one.masks(1), one.masks(1) * 7, new[one.masks(1)])
    ]
    old = placed[0] < 100
    for instances in placed[1:]:
        np.testing.assert_array_equal(instances[old], placed[0][old])


@pytest.mark.parametrize("at", [2, 3, 5])
@pytest.mark.parametrize("other", [WALL, SEEN - 1])
def test_one_frame_that_merges_two_does_not_fuse_them(at: int, other: int) -> None:
    world = World(merged={at: [SEEN, other]})
    found, truth = track(world), truth_of(world)
    del found[at], truth[at]
    assert same_up_to_numbers(found, truth)


@pytest.mark.parametrize("at", [1, 3])
def test_one_frame_that_splits_an_instance_does_not_break_it(at: int) -> None:
    world = World(split={at: [SEEN]})
    assert same_up_to_numbers(track(world), truth_of(world))


def test_an_instance_that_the_segmenter_missed_is_found_in_the_unlabelled_region() -> None:
    world = World(missed={2: [SEEN], 3: [SEEN, SEEN + 1]})
    assert not (world.masks(2)[world.truth(2) == SEEN]).any()
    assert same_up_to_numbers(track(world), truth_of(world))


def test_an_instance_without_a_match_is_found_by_position() -> None:
    world = World(plain=[SEEN])
    found, truth = track(world), truth_of(world)
    assert same_up_to_numbers(found, truth)
    # Not so without a look at the position: every frame founds another.
    lost = track(world, replace(OPTIONS, reach=0.0))
    assert len({ids_of(maps, true)[0] for maps, true in zip(lost, truth, strict=True)}) == len(world)


@pytest.mark.parametrize("prompted", [False, True])
def test_a_black_frame_in_the_middle_loses_no_id(prompted: bool) -> None:
    world = World(black=[2])
    found, truth = track(world, prompter=ExactPrompter(world) if prompted else None), truth_of(world)
    assert not np.isin(found[2], found[1]).any()
    del found[2], truth[2]
    assert same_up_to_numbers(found, truth)


def test_an_instance_that_is_hidden_within_the_window_comes_back() -> None:
    world = World(hidden={2: [SEEN], 3: [SEEN]})
    assert same_up_to_numbers(track(world, window=3), truth_of(world))


@pytest.mark.parametrize("prompted", [False, True])
def test_far_frames_bring_back_what_was_hidden_for_longer_than_the_window(prompted: bool) -> None:
    world = World(hidden={index: [SEEN] for index in (1, 2, 3, 4)})
    prompter = ExactPrompter(world) if prompted else None
    near = [Visit(index, list(range(index - 1, max(index - 3, -1), -1)), []) for index in range(6)]
    assert not same_up_to_numbers(track(world, visits=near, prompter=prompter), truth_of(world))
    far = [*near[:5], Visit(5, [4, 3, 0], [])]
    assert same_up_to_numbers(track(world, visits=far, prompter=prompter), truth_of(world))


def test_without_initialisation_only_the_first_frame_founds_instances() -> None:
    world = World(starts=(0, 20, 40, 60), black=[3])
    for prompter in (None, ExactPrompter(world)):
        found, truth = track(world, replace(OPTIONS, initialise=False), prompter=prompter), truth_of(world)
        assert same_up_to_numbers(found[:1], truth[:1])
        for index in (1, 2):
            assert found[index].max() <= found[0].max() and (found[index] == 0).any()
            # What the first frame does not show may take no id of it.
            new = ~np.isin(truth[index], truth[0])
            assert new.any() and not found[index][new].any()
        assert not found[3].any()


def test_prompts_find_the_same_instances_without_any_later_masks() -> None:
    """Segmented once, as in video object segmentation: each frame's prompts come from the frame before it."""

    class OnlyTheFirst(World):
        def masks(self, index: int) -> np.ndarray:
            return super().masks(index) * np.int32(index == 0)

    world = OnlyTheFirst(starts=(0, 4, 8, 12, 16, 20))
    found, truth = track(world, window=1, prompter=ExactPrompter(world)), truth_of(world)
    first = np.unique(truth[0])
    for maps, true in zip(found, truth, strict=True):
        assert not maps[~np.isin(true, first)].any()
    shown = [np.where(np.isin(true, first), true, 0) for true in truth]
    assert same_up_to_numbers(found, shown)


def test_prompts_and_votes_agree() -> None:
    world = World()
    assert same_up_to_numbers(track(world, prompter=ExactPrompter(world)), truth_of(world))


def test_one_frame_is_renumbered_only() -> None:
    world = World(starts=(0,))
    (found,) = track(world)
    assert same_up_to_numbers([found], [world.truth(0)]) and found.max() == len(np.unique(found))


def tiles(side: int, count: int) -> np.ndarray:
    """Square masks of 4 pixels, numbered from 1."""
    return np.arange(1, count * count + 1, dtype=np.int32).reshape(count, count).repeat(side, 0).repeat(side, 1)


def test_thousands_of_tracks_with_ids_past_65535() -> None:
    masks = tiles(2, 60)
    frames = [Frame(name(index), np.zeros((*masks.shape, 3), np.uint8)) for index in (0, 1)]
    rows, columns = np.mgrid[: masks.shape[0], : masks.shape[1]].reshape(2, -1)
    xy = (np.stack([columns, rows], axis=1) + 0.5).astype(np.float32)
    options = TrackerOptions(min_area=4)

    def same_place(a: Frame, b: Frame) -> Matches:
        return Matches(xy, xy, np.ones(len(xy), np.float32))

    first = place_frame(frames[0], masks, [], same_place, 70_000, options)
    assert first.instances.min() == 70_000 and first.instances.max() == 70_000 + 3599
    shuffled = (np.random.default_rng(0).permutation(3600) + 1).astype(np.int32)[masks - 1]
    second = place_frame(frames[1], shuffled, [first], same_place, 80_000, options)
    np.testing.assert_array_equal(first.instances, second.instances)
    assert second.instances.dtype == np.int32


@settings(max_examples=60)
@given(st.integers(0, 10**6), st.integers(1, 8), st.integers(1, 10**6))
def test_laws_of_initialisation(seed: int, min_area: int, free: int) -> None:
    rng = np.random.default_rng(seed)
    masks, instances = (rng.integers(0, high, (5, 6)).astype(np.int32) for high in (5, 3))
    found = initialise(instances, masks, free, min_area)
    np.testing.assert_array_equal(found[instances > 0], instances[instances > 0])
    expected, number = np.array(instances), free
    for label in range(1, masks.max() + 1):
        uncovered = (masks == label) & (instances == 0)
        if uncovered.sum() >= min_area and 2 * uncovered.sum() > (masks == label).sum():
            expected[uncovered], number = number, number + 1
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == np.int32


def test_masks_of_one_object_do_not_take_over_what_lies_around_it() -> None:
    """A detector masks few objects; some points of the object are matched beside it, and nothing else has an id."""
    masks = np.zeros((40, 60), np.int32)
    masks[10:20, 10:25] = 1
    shifted = np.roll(masks, 3, axis=1)
    grid = np.stack(np.meshgrid(np.arange(2, 55), np.arange(2, 38)), -1).reshape(-1, 2) + 0.5
    moved = np.random.default_rng(0).normal(grid + np.array([3, 0]), 1.0).clip(0.5, (59.5, 39.5)).astype(np.float32)
    matches = Matches(grid.astype(np.float32), moved, np.ones(len(grid), np.float32))
    frames = [Frame(str(index), np.zeros((40, 60, 3), np.uint8)) for index in range(2)]
    known = TrackedFrame(frames[0], masks, masks)
    found = place_frame(frames[1], shifted, [known], lambda a, b: matches, 2, TrackerOptions()).instances
    assert np.array_equal(found, shifted)


@pytest.mark.parametrize("option", ["points_per_mask", "min_points", "min_area"])
def test_options_are_checked(option: str) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        TrackerOptions(**{option: 0})
