"""Flattening: laws for any masks, a slow reference, and cases whose answer is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import label as connected

from proto_saga_ns.labels import FlattenOptions, cut_patch, flatten_masks, flatten_patches

HEIGHT, WIDTH = 9, 11


@st.composite
def overlapping_masks(draw):
    """Rectangles with random holes, many of them equal in score, area or both."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    count = draw(st.integers(0, 8))
    masks = np.zeros((count, HEIGHT, WIDTH), bool)
    for mask in masks:
        top, left = rng.integers(0, HEIGHT), rng.integers(0, WIDTH)
        mask[top : top + rng.integers(1, 6), left : left + rng.integers(1, 6)] = True
        mask &= rng.random(mask.shape) < draw(st.sampled_from([0.6, 1.0]))
    scores = rng.choice([0.71, 0.72, 0.8, 0.95], count)
    return masks, scores


options = st.builds(
    FlattenOptions,
    order=st.sampled_from(["score", "area", "both"]),
    min_visible_share=st.sampled_from([0.0, 0.1, 0.5]),
    min_area=st.integers(0, 4),
    fill_holes=st.integers(0, 3),
    min_island=st.integers(0, 3),
)


def reference(masks, scores, options):
    """The same by the book: pixel by pixel, whole images, Python lists."""
    filled = []
    for mask, score in zip(masks, scores, strict=True):
        mask = mask.copy()
        holes, count = connected(~np.pad(mask, 1))
        for hole in range(1, count + 1):
            where = holes == hole
            if not where[0, 0] and where.sum() <= options.fill_holes:
                edge = where[1, 1:-1].any() or where[-2, 1:-1].any() or where[1:-1, 1].any() or where[1:-1, -2].any()
                mask |= where[1:-1, 1:-1] & (not edge)
        if mask.any():
            filled.append((mask, float(score)))

    def worst_first(item):
        mask, score = item
        rough = round(score / options.score_step)
        key = {"score": (score, -mask.sum()), "area": (-mask.sum(), score), "both": (rough, -mask.sum(), score)}
        rows, columns = np.nonzero(mask)
        window = mask[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        return *key[options.order], rows.min(), columns.min(), window.shape, np.packbits(window).tobytes()

    filled.sort(key=worst_first)
    owner = [[-1] * WIDTH for _ in range(HEIGHT)]
    for index, (mask, _) in enumerate(filled):
        for y, x in zip(*np.nonzero(mask), strict=True):
            owner[y][x] = index
    result, next_id = np.zeros((HEIGHT, WIDTH), np.int32), 1
    for index, (mask, _) in enumerate(filled):
        seen = np.array(owner) == index
        if seen.sum() <= options.min_visible_share * mask.sum():
            continue
        parts, count = connected(seen)
        for part in range(1, count + 1):
            if (parts == part).sum() < options.min_island:
                seen[parts == part] = False
        if seen.any() and seen.sum() >= options.min_area:
            result[seen] = next_id
            next_id += 1
    return result


@settings(max_examples=150)
@given(overlapping_masks(), options)
def test_is_what_the_slow_reference_gives(masks_and_scores, options):
    masks, scores = masks_and_scores
    labels = flatten_masks(masks, scores, options)
    assert labels.dtype == np.int32
    np.testing.assert_array_equal(labels, reference(masks, scores, options))


@settings(max_examples=100)
@given(overlapping_masks(), options, st.randoms(use_true_random=False))
def test_the_order_of_the_input_does_not_matter(masks_and_scores, options, random):
    masks, scores = masks_and_scores
    order = list(range(len(masks)))
    random.shuffle(order)
    np.testing.assert_array_equal(
        flatten_masks(masks[order], scores[order], options), flatten_masks(masks, scores, options)
    )


@settings(max_examples=100)
@given(overlapping_masks(), options)
def test_ids_have_no_gaps_and_every_label_lies_in_a_mask(masks_and_scores, options):
    masks, scores = masks_and_scores
    labels = flatten_masks(masks, scores, options)
    ids = np.unique(labels[labels > 0])
    assert list(ids) == list(range(1, len(ids) + 1)) and len(ids) <= len(masks)
    for label in ids if options.fill_holes == 0 else []:
        assert any(((labels == label) <= mask).all() for mask in masks)
    for label in ids:
        assert (labels == label).sum() >= max(1, options.min_area)


def rectangle(top, left, bottom, right):
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[top:bottom, left:right] = True
    return mask


def test_what_lies_on_top():
    whole, part = rectangle(0, 0, 8, 8), rectangle(2, 2, 5, 5)
    masks = np.stack([whole, part])

    def shows_part(scores, order):
        return len(np.unique(flatten_masks(masks, np.array(scores), FlattenOptions(order=order)))) == 3

    assert not shows_part([0.9, 0.89], "score") and shows_part([0.89, 0.9], "score")
    assert shows_part([0.9, 0.5], "area")
    assert shows_part([0.91, 0.89], "both") and not shows_part([0.99, 0.7], "both")


def test_pixels_of_a_dropped_mask_are_unlabelled():
    hidden, cover = rectangle(0, 0, 1, 11), rectangle(0, 1, 3, 11)
    masks, scores = np.stack([hidden, cover]), np.array([0.7, 0.9])
    labels = flatten_masks(masks, scores)
    assert labels[0, 0] == 0 and labels[0, 1] == 1
    assert flatten_masks(masks, scores, FlattenOptions(min_visible_share=0.0))[0, 0] == 1


def test_holes_up_to_the_size_are_filled_and_bays_are_not():
    mask = rectangle(1, 1, 8, 10)
    mask[3, 3] = mask[5, 5:8] = mask[1, 9] = False
    filled = [
        (flatten_masks(mask[None], np.ones(1), FlattenOptions(fill_holes=size)) > 0).sum() - mask.sum()
        for size in (0, 1, 2, 3, 99)
    ]
    assert filled == [0, 1, 1, 4, 4]


def test_no_masks_and_empty_masks_give_an_empty_label_map():
    assert not flatten_masks(np.zeros((0, 3, 4), bool), np.zeros(0)).any()
    assert flatten_masks(np.zeros((2, 3, 4), bool), np.zeros(2)).shape == (3, 4)
    assert cut_patch(np.zeros((3, 4), bool), 1.0) is None


def test_patches_of_transposed_masks_are_the_same():
    mask = rectangle(2, 3, 6, 9)
    transposed = np.asfortranarray(mask)
    labels = flatten_patches([cut_patch(transposed, 0.5), None], HEIGHT, WIDTH)
    np.testing.assert_array_equal(labels, mask)


@pytest.mark.usefixtures("unchecked_shapes")
def test_bad_input_is_refused():
    masks = np.ones((2, 3, 4), bool)
    with pytest.raises(ValueError, match="M scores"):
        flatten_masks(masks, np.ones(3))
    with pytest.raises(ValueError, match="not a number"):
        flatten_masks(masks, np.array([0.5, np.nan]))
    with pytest.raises(ValueError, match="min_visible_share"):
        FlattenOptions(min_visible_share=1.0)
