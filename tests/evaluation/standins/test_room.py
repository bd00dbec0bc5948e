"""Rooms: the same for a seed, full of parts and look-alikes, and closed."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from proto_saga_ns.evaluation.standins.room import NUM_SHELL, make_room
from proto_saga_ns.evaluation.standins.world import World

SEEDS = range(12)


@pytest.fixture(scope="module")
def rooms() -> list[World]:
    return [make_room(seed) for seed in SEEDS]


def test_a_seed_is_a_room(rooms: list[World]) -> None:
    again = make_room(SEEDS[0])
    assert np.array_equal(again.triangles, rooms[0].triangles)
    assert again.part_names == rooms[0].part_names
    assert len({room.triangles.tobytes() for room in rooms}) == len(rooms)


def test_there_are_20_to_30_instances_with_names_that_differ(rooms: list[World]) -> None:
    for room in rooms:
        assert 20 <= room.num_instances <= 30
        assert len(set(room.names.values())) == room.num_instances
        assert len(set(room.part_names.values())) == len(room.parts)


def test_each_part_belongs_to_one_instance_and_many_instances_have_several(rooms: list[World]) -> None:
    for room in rooms:
        of_part = room.instance_of_part
        assert of_part[0] == 0 and set(of_part[1:]) == set(range(1, room.num_instances + 1))
        assert set(room.part_of_face) == set(range(1, len(room.parts) + 1))
        assert sum(count > 1 for count in Counter(of_part[1:].tolist()).values()) > room.num_instances / 2


def test_look_alikes_have_the_same_shape_and_paint(rooms: list[World]) -> None:
    for room in rooms:
        counts = Counter(id(placed.thing) for placed in room.objects[NUM_SHELL:])
        assert sum(count for count in counts.values() if count > 1) >= 6


def test_everything_stands_inside_the_room(rooms: list[World]) -> None:
    for room in rooms:
        width, depth, height = room.size
        faces = room.instance_of_part[room.part_of_face] > NUM_SHELL
        corners = room.triangles[faces].reshape(-1, 3)
        assert (corners.min(0) > [-width / 2 - 1e-6, -depth / 2 - 1e-6, -1e-6]).all()
        assert (corners.max(0) < [width / 2 + 1e-6, depth / 2 + 1e-6, height]).all()


def test_the_frame_of_an_object_is_that_of_its_parts(rooms: list[World]) -> None:
    room = rooms[0]
    instances = room.instance_of_part[room.part_of_face]
    local = room.to_objects(room.triangles[:, 0], instances)
    expected = np.concatenate([part.mesh.vertices[part.mesh.faces[:, 0]] for _, part in room.parts])
    np.testing.assert_allclose(local, expected, atol=1e-9)
