"""Laws of the overlap filter, against a loop over pixels; which instances are asked for."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from proto_saga_ns.mastsam.carried import CarriedPoints
from proto_saga_ns.mastsam.frames import Frame
from proto_saga_ns.mastsam.prompts import PromptedMask
from proto_saga_ns.mastsam.tracker import paint, prompt_instances

SIZE = (6, 7)


def random_masks(seed: int, count: int) -> dict[int, PromptedMask]:
    """Rectangles, some empty, of few different scores; ids with gaps, in any order."""
    rng = np.random.default_rng(seed)
    found = {}
    for instance in rng.permutation(3 * count)[:count] + 1:
        mask = np.zeros(SIZE, bool)
        top, left = rng.integers(0, SIZE)
        mask[top : top + rng.integers(0, 6), left : left + rng.integers(0, 6)] = True
        found[int(instance)] = PromptedMask(mask, float(rng.integers(0, 3)) / 2)
    return found


def slow(found: dict[int, PromptedMask], min_visible: float) -> np.ndarray:
    labels = np.zeros(SIZE, np.int32)
    for score in sorted({prompted.score for prompted in found.values()}, reverse=True):
        for instance in sorted(instance for instance, prompted in found.items() if prompted.score == score):
            pixels = list(zip(*np.nonzero(found[instance].mask), strict=True))
            free = [pixel for pixel in pixels if labels[pixel] == 0]
            if len(free) > min_visible * len(pixels):
                for pixel in free:
                    labels[pixel] = instance
    return labels


cases = st.builds(random_masks, st.integers(0, 10**6), st.integers(0, 6))


@settings(max_examples=80)
@given(cases, st.sampled_from([0.0, 0.2, 0.5, 0.9]))
def test_the_same_as_pixel_by_pixel_in_any_order(found: dict[int, PromptedMask], min_visible: float) -> None:
    labels = paint(found, SIZE, min_visible)
    np.testing.assert_array_equal(labels, slow(found, min_visible))
    np.testing.assert_array_equal(labels, paint(dict(reversed(found.items())), SIZE, min_visible))
    assert labels.dtype == np.int32


@settings(max_examples=80)
@given(cases, st.sampled_from([0.0, 0.2, 0.5, 0.9]))
def test_laws_of_the_overlap_filter(found: dict[int, PromptedMask], min_visible: float) -> None:
    labels = paint(found, SIZE, min_visible)
    for instance, (mask, _) in found.items():
        mine = labels == instance
        assert not (mine & ~mask).any()
        assert not mine.any() or mine.sum() > min_visible * mask.sum()
    drawn = {instance: found[instance] for instance in np.unique(labels[labels > 0]).tolist()}
    # What is drawn alone gives the same again, and nothing covers the best.
    np.testing.assert_array_equal(paint(drawn, SIZE, min_visible), labels)
    if drawn:
        best = min(drawn, key=lambda instance: (-drawn[instance].score, instance))
        assert (labels[drawn[best].mask] == best).all()
    anywhere = np.zeros(SIZE, bool)
    for mask, _ in found.values():
        anywhere |= mask
    if min_visible == 0:
        np.testing.assert_array_equal(labels > 0, anywhere)


class Columns:
    """The mask of points are the columns that they lie in."""

    name = "columns"

    def __init__(self) -> None:
        self.settings, self.groups, self.frames = {}, [], []

    def set_frame(self, frame: Frame) -> None:
        self.frames.append(frame)

    def mask_of(self, points_xy, labels=None) -> PromptedMask:
        mask = np.zeros(SIZE, bool)
        mask[:, points_xy[:, 0].astype(int)] = True
        return PromptedMask(mask, 1.0)

    def masks_of(self, groups, labels=None) -> list[PromptedMask]:
        self.groups += groups
        return [self.mask_of(points) for points in groups]


def carried(xy: list[tuple[float, float]], instances: list[int]) -> CarriedPoints:
    ids = np.array(instances, np.int32)
    return CarriedPoints(np.array(xy, np.float32).reshape(-1, 2), ids, np.ones_like(ids), np.zeros_like(ids))


def test_each_instance_with_enough_points_is_asked_for_with_a_few_of_them() -> None:
    frame, prompter = Frame("a", np.zeros((*SIZE, 3), np.uint8)), Columns()
    # Of instance 70000 all points coincide: one of them stands for all.
    xy = [(x + 0.5, 0.5) for x in (0, 1, 2)] + [(4.5, 2.5)] * 5 + [(6.5, 1.5)]
    points = carried(xy, [3] * 3 + [70000] * 5 + [9])
    labels = prompt_instances(frame, points, prompter, min_points=2, per_instance=2, min_visible=0.2)
    assert prompter.frames == [frame] and [len(group) for group in prompter.groups][1] <= 2
    assert set(np.unique(labels)) == {0, 3, 70000}
    assert (labels[:, 4] == 70000).all() and (labels[:, 5:] == 0).all()


def test_nothing_to_ask_for_needs_no_segmenter() -> None:
    frame, prompter = Frame("a", np.zeros((*SIZE, 3), np.uint8)), Columns()
    for points in (CarriedPoints.none(), carried([(0.5, 0.5)], [4])):
        assert not prompt_instances(frame, points, prompter, 2, 16, 0.2).any()
    assert prompter.frames == []
