"""Colours of matches and errors pixel by pixel, boxes, outlines, and pictures that decode."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from proto_saga_ns.evaluation.report.panels import LONGEST_CROP, LargestCrops, SeenView, training_panels
from proto_saga_ns.evaluation.report.pictures import (
    MISSING,
    WRONG,
    box_around,
    error_picture,
    errors,
    flat_uri,
    photo_uri,
    truth_picture,
    with_outline,
)
from proto_saga_ns.labels.colors import colorize, instance_colors

MATCHED = {1: 5, 2: 3}
TRUTH = np.array([[0, 0, 1, 1], [1, 2, 2, 7], [7, 7, 0, 2]])
LABELS = np.array([[0, 5, 5, 3], [0, 3, 9, 3], [0, 5, 3, 3]])


def decoded(uri: str) -> np.ndarray:
    head, content = uri.split(",")
    assert head == "data:image/webp;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(content, validate=True))).convert("RGB"))


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height).integers(0, 256, (height, width, 3), np.uint8)


def test_true_instances_have_the_colour_of_their_match() -> None:
    picture = truth_picture(TRUTH, MATCHED)
    for place, id in np.ndenumerate(TRUTH):
        if id in (0, *MATCHED):
            assert (picture[place] == instance_colors(np.array([MATCHED.get(int(id), 0)]))[0]).all()
    hatched = truth_picture(np.full((20, 20), 7), MATCHED)
    assert len(np.unique(hatched.reshape(-1, 3), axis=0)) == 2
    assert (hatched == hatched[..., :1]).all() and hatched.min() > 0


def test_errors_are_those_of_a_loop() -> None:
    wrong, missing = errors(TRUTH, LABELS, MATCHED)
    for place, id in np.ndenumerate(TRUTH):
        label = int(LABELS[place])
        assert missing[place] == (id > 0 and label == 0)
        assert wrong[place] == (id > 0 and label > 0 and MATCHED.get(int(id)) != label)


def test_errors_stand_out_from_a_dim_photo() -> None:
    photo = np.full((3, 4, 3), 200, np.uint8)
    picture = error_picture(photo, TRUTH, LABELS, MATCHED)
    wrong, missing = errors(TRUTH, LABELS, MATCHED)
    assert np.abs(picture[wrong] - (50 + 0.75 * np.array(WRONG))).max() <= 1
    assert np.abs(picture[missing] - (50 + 0.75 * np.array(MISSING))).max() <= 1
    assert (picture[(TRUTH > 0) & ~wrong & ~missing] == 100).all() and (picture[TRUTH == 0] == 40).all()


def test_a_box_holds_its_mask_with_a_margin_and_stays_inside() -> None:
    mask = np.zeros((100, 60), bool)
    mask[40:60, 3:13] = True
    box = box_around(mask, margin=0.5, least=2)
    assert (box.top, box.bottom, box.left, box.right) == (30, 70, 0, 23)
    assert box.cut(mask).sum() == mask.sum()


def test_an_outline_changes_nothing_but_the_edge() -> None:
    picture, mask = noise(30, 30), np.zeros((30, 30), bool)
    mask[10:20, 0:20] = True
    outlined = with_outline(picture, mask)
    kept = (outlined == picture).all(-1)
    assert kept[12:18, 0:18].all() and kept[:9].all() and kept[21:].all() and kept[:, 21:].all()
    assert (outlined[10, 0:20] == 255).all() and (outlined[9, 0:20] == 0).all()


def test_pictures_decode_to_what_they_were() -> None:
    labels = np.arange(300).reshape(15, 20)
    np.testing.assert_array_equal(decoded(flat_uri(colorize(labels))), colorize(labels))
    smooth = np.linspace(0, 255, 40 * 50 * 3).reshape(40, 50, 3).astype(np.uint8)
    assert np.abs(decoded(photo_uri(smooth)).astype(int) - smooth).mean() < 8


@pytest.mark.parametrize(("longest", "size"), [(40, (30, 40)), (80, (60, 80)), (500, (60, 80))])
def test_panels_of_a_view_have_one_size(longest: int, size: tuple[int, int]) -> None:
    truth, labels = np.random.default_rng(0).integers(0, 4, (2, 60, 80))
    # A truth of another size is shown at the size of the photo.
    view = SeenView("a.png", noise(60, 80), noise(60, 80), labels, np.repeat(np.repeat(truth, 2, 0), 2, 1))
    panels = view.at_most(longest).panels(MATCHED)
    assert [panel.title for panel in panels] == [
        *("photo", "rendering", "instances", "overlay", "ground truth", "errors")
    ]
    assert {decoded(panel.source).shape for panel in panels} == {(*size, 3)}
    bare = SeenView("a.png", noise(60, 80), noise(60, 80), labels)
    assert [panel.title for panel in bare.panels({})] == ["photo", "rendering", "instances", "overlay"]


def test_masks_of_a_training_view_get_the_colours_of_their_instances() -> None:
    labels = np.array([[0, 1, 2], [3, 3, 2]])
    panels = training_panels(noise(2, 3), labels, [0, 7, 4], longest=100)
    assert [panel.title for panel in panels] == ["photo", "given masks", "associated masks"]
    np.testing.assert_array_equal(decoded(panels[1].source), colorize(labels))
    np.testing.assert_array_equal(decoded(panels[2].source), colorize(np.array([[0, 7, 4], [0, 0, 4]])))


def test_a_crop_is_from_the_view_that_shows_most_of_an_instance() -> None:
    crops = LargestCrops()
    for name, pixels in (("little", 20), ("most", 60), ("less", 40)):
        truth = np.zeros((700, 600), int)
        truth[300 : 300 + pixels, 100:110] = 3
        truth[:, 300:] = 8
        crops.add(SeenView(name, noise(700, 600), noise(700, 600), truth, truth))
    crop = crops[3]
    assert crop.view.name == "most" and crop.pixels == 600 and crops[8].view.name == "little"
    assert crop.view.truth is not None and (crop.view.truth == 3).sum() == 600
    for id in (3, 8):
        panels = crops[id].panels(id, {3: 1})
        assert [panel.title for panel in panels] == ["photo", "prediction", "ground truth"]
        sizes = {decoded(panel.source).shape for panel in panels}
        assert len(sizes) == 1 and max(sizes.pop()) <= LONGEST_CROP
