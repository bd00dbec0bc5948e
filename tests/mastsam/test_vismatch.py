"""Matchers of vismatch: one that stands in for its models, and a real one where the package is installed."""

import json
import sys
import types

import numpy as np
import pytest
import torch

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.mastsam.frames import Frame
from proto_saga_ns.mastsam.geometry import epipolar_distance
from proto_saga_ns.mastsam.matchers.registry import MatcherOptions, make_matcher
from tests.mastsam.scenes import SIZE, blank, dining, texture


class FakeVismatch(types.ModuleType):
    """The part of vismatch that is used; its model 'shift' matches every 10th pixel with its right neighbour."""

    available_models = ("shift", "broken")

    def get_matcher(self, name: str, device: str, max_num_keypoints: int):
        assert torch.device(device) and max_num_keypoints > 0
        if name == "broken":
            raise RuntimeError("no weights\nat all")
        print("chatter")
        return ShiftModel()


class ShiftModel:
    skip_ransac = False

    def eval(self):
        return self

    def __call__(self, a: torch.Tensor, b: torch.Tensor) -> dict:
        assert self.skip_ransac and a.dtype == torch.float32 and a.shape[0] == 3 and a.min() >= 0 and a.max() <= 1
        rows, columns = np.mgrid[0 : a.shape[1] : 10, 0 : a.shape[2] : 10].reshape(2, -1)
        xy = np.column_stack([columns, rows]).astype(np.float32)
        return {"matched_kpts0": xy, "matched_kpts1": xy + np.array((1, 0)), "matched_confidences": None}


@pytest.fixture
def fake_vismatch(monkeypatch):
    module = FakeVismatch("vismatch")
    monkeypatch.setitem(sys.modules, "vismatch", module)
    monkeypatch.setattr("proto_saga_ns.mastsam.matchers.vismatch_models.version", lambda package: "9.9")
    return module


@pytest.mark.parametrize("long_edge", [1000, 160])
def test_matches_of_vismatch_come_back_to_the_image(fake_vismatch, capsys, long_edge):
    matcher = make_matcher("shift", MatcherOptions(vismatch_long_edge=long_edge))
    assert matcher.name == "shift" and json.dumps(dict(matcher.settings))
    frame = Frame("a", texture())
    matches = matcher.match(frame, frame)
    scale = max(1, SIZE[1] / long_edge)
    np.testing.assert_allclose(matches.xy_a[:2], np.array([(0.5, 0.5), (10.5, 0.5)]) * scale)
    np.testing.assert_allclose(matches.xy_b - matches.xy_a, [[scale, 0]] * len(matches), atol=1e-4)
    assert (matches.xy_b < SIZE[::-1]).all() and (matches.confidence == 1).all()
    assert "chatter" not in capsys.readouterr().out
    assert len(matcher.match(frame, blank())) == 0


def test_models_of_vismatch_that_cannot_be_loaded_or_are_not_known(fake_vismatch):
    frame = Frame("a", texture())
    with pytest.raises(
        ProtoSagaError, match=r"broken of vismatch cannot be loaded: RuntimeError: no weights at all.*sift"
    ):
        make_matcher("broken").match(frame, frame)
    with pytest.raises(ProtoSagaError, match=r"no matcher nothing\. Known are mast3r, sift, poses.*shift, broken"):
        make_matcher("nothing")


def test_a_real_model_of_vismatch_fits_the_poses(monkeypatch):
    pytest.importorskip("vismatch", reason="the extra mastsam is not installed")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    a, b = dining()[6], dining()[7]
    assert a.camera and b.camera
    matches = make_matcher("sift-nn").match(a, b)
    distance = epipolar_distance(matches, a.camera, b.camera)
    assert len(matches) > 100 and (distance <= 2).mean() > 0.85
    assert len(make_matcher("sift-nn").match(a, blank())) == 0
