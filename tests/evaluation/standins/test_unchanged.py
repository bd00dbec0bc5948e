"""Rooms that were made before there were other kinds come out as they were: figures of them stay comparable."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from proto_saga_ns.evaluation.standins.cameras import RoomPath, lens_of, walk
from proto_saga_ns.evaluation.standins.kinds import make_world
from proto_saga_ns.evaluation.standins.options import PRESETS, StandinOptions
from proto_saga_ns.evaluation.standins.render import Renderer
from proto_saga_ns.evaluation.standins.segmenter import segment


def digest(*arrays: np.ndarray) -> str:
    """Of what is equal to a millionth."""
    total = hashlib.sha256()
    for array in arrays:
        total.update(np.ascontiguousarray((array * 1e6).round().astype(np.int64)).tobytes())
    return total.hexdigest()[:16]


@pytest.mark.parametrize(
    ("seed", "expected", "color"),
    [(0, "b3fb4d3770fd7106", (147.653, 134.870, 119.805)), (7, "e9415010f0740451", (138.602, 134.165, 121.600))],
)
def test_rooms_and_walks_of_a_seed_are_those_of_before(seed: int, expected: str, color: tuple[float, ...]) -> None:
    room, path = make_world(StandinOptions(seed=seed))
    assert isinstance(path, RoomPath)
    views = walk(path, 6, 2)
    assert digest(room.triangles, np.array([view.pose for view in views])) == expected
    picture = Renderer(room).render(lens_of(48, 36), views[1].pose)
    # Embree counts in 32 bits: another processor may put single pixels on the other side of an edge.
    np.testing.assert_allclose(picture.rgb.mean((0, 1)), color, atol=0.3)


def test_masks_of_a_seed_are_those_of_before() -> None:
    rows, columns = np.indices((72, 72))
    instances = rows // 8 * 9 + columns // 8 + 1
    parts = 2 * instances + columns % 8 // 4
    total = hashlib.sha256()
    for preset in ("perfect", "light", "default", "heavy-split", "heavy-merge"):
        total.update(segment(instances, parts, PRESETS[preset], 3, "frame 5").labels.tobytes())
    assert total.hexdigest()[:16] == "923c67d8732354b5"
