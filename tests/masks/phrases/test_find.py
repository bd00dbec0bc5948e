"""From boxes to a mask by Segment Anything, and from the mask to instances."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.masks.phrases.box_masks import BOXES_AT_A_TIME, make_predictor, masks_of_boxes
from proto_saga_ns.masks.phrases.find import Finder, TextFinder, TextMask, find_instances
from proto_saga_ns.masks.phrases.grounding import FoundBoxes
from proto_saga_ns.masks.phrases.options import BoxSamOptions, TextOptions
from proto_saga_ns.masks.phrases.picture import picture
from proto_saga_ns.masks.segmenters.sam import load_sam
from tests.masks.phrases.tiny_grounding import save_tiny_grounding_dino
from tests.masks.segmenters.tiny_models import photo, save_tiny_sam

WIDTH, HEIGHT = 96, 64
BOXES = np.array([[10.5, 5, 50, 40], [60, 20, 95.5, 63], [-20, -5, 30, 200]])


@pytest.fixture(scope="module")
def sam(tmp_path_factory: pytest.TempPathFactory) -> BoxSamOptions:
    return BoxSamOptions(checkpoint=save_tiny_sam(tmp_path_factory.mktemp("sam") / "tiny.pth"))


def test_masks_are_those_of_the_predictor_box_by_box(sam: BoxSamOptions) -> None:
    from segment_anything import SamPredictor

    assert sam.checkpoint is not None
    by_hand = SamPredictor(load_sam(sam.checkpoint))
    by_hand.set_image(photo((WIDTH, HEIGHT)))
    rng = np.random.default_rng(0)
    corners = np.sort(rng.uniform(0, HEIGHT, (BOXES_AT_A_TIME + 4, 2, 2)), axis=1)
    boxes = np.concatenate([BOXES, corners.reshape(-1, 4)])
    masks = masks_of_boxes(make_predictor(sam), photo((WIDTH, HEIGHT)), boxes)
    assert masks.shape == (len(boxes), HEIGHT, WIDTH) and masks.dtype == bool
    singles = np.stack([by_hand.predict(box=box, multimask_output=False)[0][0] for box in boxes])
    # A pixel whose logit is nearly zero may fall either way.
    assert (masks != singles).mean() < 1e-3
    assert 0 < masks.mean() < 1 and (masks[0] != masks[1]).any()


def test_the_text_mask_is_the_union_of_the_masks(sam: BoxSamOptions) -> None:
    finder, rgb = TextFinder(TextOptions(sam=sam)), photo((WIDTH, HEIGHT))
    found = finder.find_in_boxes(rgb, BOXES)
    np.testing.assert_array_equal(found.mask, masks_of_boxes(make_predictor(sam), rgb, BOXES).any(axis=0))
    np.testing.assert_array_equal(found.boxes.xyxy, BOXES)
    assert not finder.find_in_boxes(rgb, BOXES[:0]).mask.any()


@pytest.mark.parametrize("box", [[5, 5, 5, 9], [9, 5, 5, 9], [WIDTH, 0, 200, 50], [0, -9, 9, 0], [0, 0, np.nan, 5]])
def test_boxes_that_cover_nothing_of_the_image(sam: BoxSamOptions, box: list[float]) -> None:
    with pytest.raises(ProtoSagaError, match="covers nothing of the image, which is 96 pixels wide and 64 high"):
        TextFinder(TextOptions(sam=sam)).find_in_boxes(photo((WIDTH, HEIGHT)), np.array([BOXES[0], box]))


def test_a_phrase_gives_the_same_mask_as_its_boxes_and_models_are_kept(sam: BoxSamOptions, tmp_path: Path) -> None:
    folder = save_tiny_grounding_dino(tmp_path / "model")
    weights = tmp_path / "sam.pth"
    assert sam.checkpoint is not None
    shutil.copy(sam.checkpoint, weights)
    options = TextOptions(grounding_dino=str(folder), box_threshold=0.5, sam=BoxSamOptions(checkpoint=weights))
    finder: Finder = TextFinder(options)
    found = finder.find(photo(), "red chair")
    again = TextFinder(TextOptions(sam=sam)).find_in_boxes(photo(), found.boxes.xyxy)
    np.testing.assert_array_equal(found.mask, again.mask)
    assert len(found.boxes.xyxy) > 0 and found.mask.any()
    shutil.rmtree(folder)
    weights.unlink()
    np.testing.assert_array_equal(finder.find(photo(), "red chair").mask, found.mask)


class LeftHalf:
    """Finds the left half of every image."""

    def find(self, rgb: np.ndarray, phrase: str) -> TextMask:
        height, width = rgb.shape[:2]
        box = FoundBoxes(np.array([[0.0, 0, width / 2, height]]), np.ones(1), (phrase,))
        return TextMask(box, np.broadcast_to(np.arange(width) < width // 2, (height, width)))


def test_instances_on_the_mask_the_best_covered_first() -> None:
    labels = np.array([[0, 7, 7, 9, 0, 4, 4, 9], [2, 9, 9, 9, 9, 4, 7, 0]], np.int32)
    rgb = np.zeros((2, 8, 3), np.uint8)
    assert find_instances(rgb, labels, "chair", LeftHalf(), 0.0) == [(2, 1.0), (7, 2 / 3), (9, 4 / 6)]
    assert find_instances(rgb, labels, "chair", LeftHalf(), 2 / 3) == [(2, 1.0)]
    assert find_instances(rgb, labels, "chair", LeftHalf()) == [(2, 1.0)]


def test_the_picture_shows_boxes_mask_and_instances() -> None:
    rgb, labels = np.full((6, 8, 3), 200, np.uint8), np.zeros((6, 8), np.int32)
    labels[:, 4:], labels[:2, :4] = 1, 2
    mask = labels == 2
    boxed, masked, chosen = np.split(picture(rgb, np.array([[0.0, 0, 4, 2]]), mask, labels, [2]), 3, axis=1)
    outline = np.zeros((6, 8), bool)
    outline[:2, :4] = True
    assert ((boxed == (255, 0, 0)).all(axis=-1) == outline).all() and (boxed[~outline] == 200).all()
    assert (masked[mask] == 200).all() and (masked[~mask] == 60).all()
    assert (chosen[~mask] == 60).all() and len(np.unique(chosen[mask], axis=0)) == 1


@pytest.mark.parametrize("name", ["box_threshold", "text_threshold", "min_share"])
def test_thresholds_lie_between_zero_and_one(name: str) -> None:
    for value in (-0.1, 1.0, float("nan")):
        with pytest.raises(ValueError, match=name):
            TextOptions(**{name: value})
