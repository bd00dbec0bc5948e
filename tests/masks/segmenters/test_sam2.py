"""SAM and SAM 2 of transformers: the real classes with small random weights, through the real pipeline."""

import json
import sys

import numpy as np
import pytest

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.labels import flatten_masks
from proto_saga_ns.masks.segmenters import Sam2Segmenter, Sam2Settings, sam2
from proto_saga_ns.masks.segmenters.sam2 import _batch_size
from tests.masks.segmenters.tiny_models import LENIENT, photo, save_tiny_sam2, save_tiny_transformers_sam

transformers = pytest.importorskip("transformers", "4.56", reason="the extra sam is not installed")


@pytest.fixture(scope="module", params=[save_tiny_transformers_sam, save_tiny_sam2])
def folder(request, tmp_path_factory):
    return request.param(tmp_path_factory.mktemp("model"))


def segmenter(folder, **changes):
    return Sam2Segmenter(Sam2Settings(model=str(folder), **{**LENIENT, **changes}))


def test_label_map_is_what_the_pipeline_finds_flattened(folder):
    ours, image = segmenter(folder), photo()
    labels = ours(image)
    pipeline, found = ours._pipeline, []
    ours._pipeline = lambda *args, **kwargs: found.append(pipeline(*args, **kwargs)) or found[0]
    np.testing.assert_array_equal(ours(image), labels)
    masks = np.stack([np.asarray(mask) for mask in found[0]["masks"]])
    scores = np.asarray(found[0]["scores"])
    np.testing.assert_array_equal(labels, flatten_masks(masks, scores, LENIENT["flatten"]))
    assert len(masks) > 10 and labels.shape == image.shape[:2] and labels.dtype == np.int32 and labels.max() > 1


def test_no_mask_gives_an_empty_label_map(folder):
    for strict in ({"pred_iou_threshold": 1e9}, {"stability_threshold": 1.1}):
        assert not segmenter(folder, **strict)(photo()).any()


def test_crops(folder, monkeypatch):
    ours = segmenter(folder, crop_layers=1)
    if tuple(map(int, transformers.__version__.split(".")[:2])) >= sam2.FIRST_WITH_CROPS:
        assert ours(photo()).max() >= 1
    for version in ("4.57.6", "5.20.2"):
        monkeypatch.setattr(sam2, "version", lambda package, version=version: version)
        with pytest.raises(ProtoSagaError, match=rf"needs transformers 5\.21 or newer: version {version}"):
            segmenter(folder, crop_layers=1)(photo())


def test_batches_divide_the_grid(folder):
    cases = {(64, 64): 64, (64, 100): 64, (5, 64): 25, (5, 7): 5, (7, 3): 1}
    for (side, asked), expected in cases.items():
        assert _batch_size(Sam2Settings(points_per_side=side, points_per_batch=asked)) == expected
    whole, few = (segmenter(folder, points_per_batch=size)(photo()) for size in (16, 3))
    assert (whole == few).mean() > 0.95


def test_settings_are_json_and_tell_masks_apart(folder, monkeypatch):
    first = segmenter(folder).settings
    assert json.loads(json.dumps(first)) == first
    assert segmenter(folder, points_per_side=5).settings != first
    assert segmenter(folder, points_per_batch=5).settings == first
    monkeypatch.chdir(folder.parent)
    assert segmenter(folder.name).settings == first
    assert Sam2Segmenter(Sam2Settings(revision="v2")).settings != Sam2Segmenter().settings


def test_models_that_cannot_be_had_are_named(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ProtoSagaError, match=r"nobody/nothing cannot be loaded.*--sam2\.model.*superpixel"):
        Sam2Segmenter(Sam2Settings(model="nobody/nothing"))(photo())
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(ProtoSagaError, match="a folder that holds one"):
        segmenter(tmp_path)(photo())


def test_without_the_extra_the_message_says_how_to_install_it(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ProtoSagaError, match=r'pip install "proto_saga_ns\[sam\]"'):
        segmenter(folder)(photo())
