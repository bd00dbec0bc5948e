"""Segment Anything: the real classes with small random weights, through the real automatic mask generator."""

import json
import sys

import numpy as np
import pytest
import torch

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.labels import flatten_masks
from proto_saga_ns.masks.segmenters import SamSegmenter, SamSettings
from proto_saga_ns.masks.segmenters import sam as sam_module
from proto_saga_ns.masks.segmenters.sam import build_sam, decode_rle, load_sam
from tests.masks.segmenters.tiny_models import LENIENT, photo, save_tiny_sam

segment_anything = pytest.importorskip("segment_anything", reason="the extra sam is not installed")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return save_tiny_sam(tmp_path_factory.mktemp("sam") / "tiny.pth")


def segmenter(checkpoint, **changes):
    return SamSegmenter(SamSettings(checkpoint=checkpoint, **{**LENIENT, **changes}))


def generator_of(segmenter):
    segmenter.load()
    return segmenter._generator


def test_label_map_is_what_the_generator_finds_flattened(checkpoint):
    ours, image = segmenter(checkpoint), photo()
    labels = ours(image)
    generator = generator_of(ours)
    generator.output_mode = "binary_mask"
    records = generator.generate(image)
    masks = np.stack([record["segmentation"] for record in records])
    scores = np.array([record["predicted_iou"] for record in records])
    np.testing.assert_array_equal(labels, flatten_masks(masks, scores, LENIENT["flatten"]))
    assert labels.shape == image.shape[:2] and labels.dtype == np.int32 and labels.max() > 1


def test_the_image_goes_in_as_rgb_and_the_model_is_loaded_once(checkpoint, monkeypatch):
    ours, image, seen = segmenter(checkpoint), photo(), []
    predictor = generator_of(ours).predictor
    set_image = predictor.set_image
    monkeypatch.setattr(predictor, "set_image", lambda *args, **kwargs: seen.append(args) or set_image(*args, **kwargs))
    monkeypatch.setattr(sam_module, "load_sam", lambda path: pytest.fail("loaded again"))
    ours(image)
    # segment-anything takes RGB unless told otherwise.
    assert len(seen) == 1 and len(seen[0]) == 1 and (seen[0][0] == image).all()


@pytest.mark.parametrize("changes", [{"crop_layers": 1}, {"points_per_batch": 5}])
def test_crops_and_incomplete_batches(checkpoint, changes):
    assert segmenter(checkpoint, **changes)(photo()).max() >= 1


def test_no_mask_gives_an_empty_label_map(checkpoint):
    for strict in ({"pred_iou_threshold": 1e9}, {"stability_threshold": 1.1}):
        assert not segmenter(checkpoint, **strict)(photo()).any()


def test_odd_sizes(checkpoint):
    for size in ((1, 1), (3, 200)):
        assert segmenter(checkpoint)(photo(size)).shape == size[::-1]


def test_defaults_are_those_of_the_peers(monkeypatch, checkpoint):
    generator = generator_of(SamSegmenter(SamSettings(checkpoint=checkpoint)))
    assert len(generator.point_grids[0]) == 64**2
    thresholds = (generator.pred_iou_thresh, generator.stability_score_thresh, generator.box_nms_thresh)
    assert thresholds == (0.7, 0.95, 0.7)
    assert SamSettings().model == "vit_h" and SamSettings().flatten.order == "score"


def test_settings_are_json_and_tell_masks_apart(checkpoint, tmp_path):
    first = segmenter(checkpoint).settings
    assert json.loads(json.dumps(first)) == first
    assert segmenter(checkpoint, points_per_side=5).settings != first
    assert SamSegmenter(SamSettings(model="vit_b")).settings != SamSegmenter().settings
    # Neither memory nor the place of the weights changes the masks.
    assert segmenter(checkpoint, points_per_batch=3).settings == first
    copy = tmp_path / "copy.pth"
    copy.write_bytes(checkpoint.read_bytes())
    assert segmenter(copy).settings == first
    copy.write_bytes(copy.read_bytes() + b"!")
    assert segmenter(copy).settings != first
    assert segmenter(tmp_path / "none.pth").settings != first


@pytest.mark.parametrize("name", ["vit_h", "vit_l", "vit_b"])
def test_published_architectures_are_read_off_their_weights(name):
    with torch.device("meta"):
        expected = segment_anything.sam_model_registry[name]()
        ours = build_sam(expected.state_dict())
    assert repr(ours) == repr(expected)
    blocks = zip(ours.image_encoder.blocks, expected.image_encoder.blocks, strict=True)
    assert all((a.window_size, a.attn.num_heads) == (b.window_size, b.attn.num_heads) for a, b in blocks)
    assert ours.image_encoder.img_size == expected.image_encoder.img_size
    assert ours.prompt_encoder.input_image_size == expected.prompt_encoder.input_image_size
    assert {key: value.shape for key, value in ours.state_dict().items()} == {
        key: value.shape for key, value in expected.state_dict().items()
    }


def test_loaded_weights_are_those_of_the_file(checkpoint):
    state = torch.load(checkpoint, weights_only=True)
    model = load_sam(checkpoint)
    assert not model.training
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())


def test_bad_checkpoints_are_named(tmp_path, checkpoint):
    def fails(path, match):
        with pytest.raises(ProtoSagaError, match=match) as caught:
            load_sam(path)
        assert str(path) in str(caught.value)

    fails(tmp_path / "none.pth", "does not exist")
    (tmp_path / "half.pth").write_bytes(checkpoint.read_bytes()[:2000])
    fails(tmp_path / "half.pth", "damaged")
    torch.save({"weight": torch.zeros(3)}, tmp_path / "other.pth")
    fails(tmp_path / "other.pth", "no model of Segment Anything")
    torch.save([1, 2], tmp_path / "list.pth")
    fails(tmp_path / "list.pth", "no model of Segment Anything")
    state = torch.load(checkpoint, weights_only=True)
    state.pop("mask_decoder.iou_token.weight")
    torch.save(state, tmp_path / "lacking.pth")
    fails(tmp_path / "lacking.pth", "iou_token")


def test_code_in_a_checkpoint_is_not_run(tmp_path):
    class Trap:
        def __reduce__(self):
            return (tmp_path / "sprung").touch, ()

    torch.save({"weight": Trap()}, tmp_path / "trap.pth")
    with pytest.raises(ProtoSagaError, match="no file of weights"):
        load_sam(tmp_path / "trap.pth")
    assert not (tmp_path / "sprung").exists()


def test_without_the_extra_the_message_says_how_to_install_it(checkpoint, monkeypatch):
    monkeypatch.setitem(sys.modules, "segment_anything", None)
    with pytest.raises(ProtoSagaError, match=r'pip install "proto_saga_ns\[sam\]"'):
        segmenter(checkpoint)(photo())


def test_a_full_gpu_is_explained(checkpoint, monkeypatch):
    def fails(image):
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    ours = segmenter(checkpoint)
    monkeypatch.setattr(generator_of(ours), "generate", fails)
    with pytest.raises(ProtoSagaError, match=r"--sam\.points-per-batch"):
        ours(photo())


def test_run_lengths_go_down_the_columns():
    mask = decode_rle({"size": [2, 3], "counts": [1, 2, 3]})
    np.testing.assert_array_equal(mask, [[False, True, False], [True, False, False]])
    assert decode_rle({"size": [2, 3], "counts": [0, 6]}).all()
