"""The frame of an export: its numbers lead where its words say."""

from __future__ import annotations

import json

import numpy as np
from hypothesis import given, settings

from proto_saga_ns.export.frame import ExportFrame
from proto_saga_ns.splats.transform import Similarity
from tests.splats.splats import similarities


@given(similarities())
@settings(max_examples=20)
def test_the_written_matrices_lead_to_the_frames_that_they_name(world_to_training: Similarity) -> None:
    world = np.array([[1.0, 2.0, -3.0, 1.0]])
    points = {"world": world, "training": world @ world_to_training.matrix().T}
    for name in ("world", "training"):
        content = json.loads(json.dumps(ExportFrame(name, world_to_training).to_json()))
        ways = {way: np.array(content[way]["matrix"]) for way in content if "_to_" in way}
        np.testing.assert_allclose(points[name] @ ways["exported_to_training"].T, points["training"], atol=1e-9)
        np.testing.assert_allclose(points[name] @ ways["exported_to_world"].T, world, atol=1e-9)
        np.testing.assert_allclose(points["training"] @ ways["training_to_exported"].T, points[name], atol=1e-9)
        up = ways["exported_to_training"][:3, :3] @ np.array(content["up"])
        np.testing.assert_allclose(up, [0, 0, content["exported_to_training"]["scale"]], atol=1e-9)
