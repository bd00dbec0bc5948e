"""The pixels that stand for each instance, against the slow way to them."""

from __future__ import annotations

import numpy as np
import pytest

from proto_saga_ns.mastsam.carried import _spread


@pytest.mark.parametrize("largest", [0, 1, 60, 70_000])
@pytest.mark.parametrize("per_instance", [1, 2, 16])
def test_pixels_are_spread_over_every_instance(largest: int, per_instance: int) -> None:
    instances = np.random.default_rng(0).integers(0, largest + 1, (31, 43)).astype(np.int32)
    expected = []
    for instance in np.unique(instances[instances > 0]):
        pixels = np.argwhere(instances == instance)
        chosen = np.linspace(0, len(pixels) - 1, min(per_instance, len(pixels))).astype(np.int64)
        expected.append(pixels[chosen])
    found = _spread(instances, per_instance)
    assert found.tolist() == np.concatenate([np.zeros((0, 2), np.int64), *expected]).tolist()
