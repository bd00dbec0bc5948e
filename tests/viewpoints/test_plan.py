"""Views that are planned: where they stand, and what they show together."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.export.videos.turntable import PinholeLens
from proto_saga_ns.rasterize.geometry import Geometry
from proto_saga_ns.splats.splat import Splat
from proto_saga_ns.viewpoints.plan import Plan, _most_shown, plan_views
from proto_saga_ns.viewpoints.scan import Solid, scan
from tests.splats.splats import random_splat
from tests.viewpoints.rooms import SIZE, room, statue

LENS = PinholeLens.from_horizontal_fov(96, 72, 70)


def geometry_of(splat: Splat) -> Geometry:
    scales, opacities = splat.log_scales.exp(), splat.opacity_logits.sigmoid()
    return Geometry(splat.means, splat.unit_quats(), scales, opacities, antialiased=False)


def planned(splat: Splat, count: int = 8) -> Plan:
    return plan_views(geometry_of(splat), scan(Solid.of(splat)), LENS, count)


@pytest.fixture(scope="module")
def inside() -> Plan:
    return planned(room(), 16)


@pytest.fixture(scope="module")
def around() -> Plan:
    return planned(statue(), 16)


def test_a_room_is_seen_from_within(inside: Plan) -> None:
    places = np.array([pose[:3, 3] for pose in inside.poses])
    assert inside.inside and len(places) == 16
    assert (np.abs(places[:, :2]) < SIZE[:2] / 2).all() and ((places[:, 2] > 0.5) & (places[:, 2] < 2.2)).all()
    assert inside.well_seen > 0.7


def test_a_statue_is_seen_from_around(around: Plan) -> None:
    places = np.array([pose[:3, 3] for pose in around.poses])
    assert not around.inside and (places[:, 2] > 0.2).all()
    angles = np.sort(np.arctan2(places[:, 1], places[:, 0]))
    assert np.diff(angles, append=angles[0] + 2 * np.pi).max() < np.deg2rad(120), "from all sides"
    forward = np.array([pose[:3, 2] for pose in around.poses])
    assert ((forward * -places).sum(axis=1) / np.linalg.norm(places, axis=1) > 0.7).all()


def test_poses_are_upright_rotations(inside: Plan, around: Plan) -> None:
    for pose in (*inside.poses, *around.poses):
        turn = pose[:3, :3]
        assert np.allclose(turn @ turn.T, np.eye(3)) and np.linalg.det(turn) == pytest.approx(1)
        assert turn[2, 0] == pytest.approx(0, abs=0.05), "no roll"
        assert turn[2, 1] < 0, "image down is world down"


def test_a_plan_is_the_same_each_time(around: Plan) -> None:
    assert np.array_equal(np.array(around.poses), np.array(planned(statue(), 16).poses))


@pytest.fixture(scope="module")
def few() -> Plan:
    return planned(room())


@pytest.mark.parametrize("size", [1e-3, 1e3])
def test_a_scene_of_any_size_is_seen_alike(few: Plan, size: float) -> None:
    splat = room()
    found = planned(replace(splat, means=splat.means * size, log_scales=splat.log_scales + float(np.log(size))))
    assert found.inside and found.well_seen == pytest.approx(few.well_seen, abs=0.05)
    inside = np.array([pose[:3, 3] for pose in found.poses]) / size
    assert (np.abs(inside[:, :2]) < SIZE[:2] / 2).all()


def test_one_gaussian_can_be_seen() -> None:
    splat = replace(random_splat(1), opacity_logits=torch.full((1,), 4.0))
    assert len(planned(splat, 2).poses) == 2


def test_what_nobody_can_see_is_said() -> None:
    with pytest.raises(ProtoSagaError, match="No view of this splat shows anything"):
        planned(replace(statue(), opacity_logits=torch.full((len(statue()),), -12.0)))


@given(st.lists(st.sets(st.integers(0, 9), min_size=1), min_size=1, max_size=8), st.integers(1, 8))
def test_each_view_shows_most_of_what_few_have_shown(sets: list[set[int]], count: int) -> None:
    shown = [np.array(sorted(cells)) for cells in sets]
    chosen, well_seen = _most_shown(shown, count)
    assert len(chosen) == len(set(chosen)) == min(count, len(sets))
    times = dict.fromkeys(range(10), 0)
    for step, index in enumerate(chosen):
        gain = {i: sum(1 / (1 + times[cell]) for cell in sets[i]) for i in set(range(len(sets))) - set(chosen[:step])}
        assert gain[index] == pytest.approx(max(gain.values()))
        for cell in sets[index]:
            times[cell] += 1
    in_sight = set.union(*sets)
    assert well_seen == pytest.approx(sum(times[cell] >= 3 for cell in in_sight) / len(in_sight))
