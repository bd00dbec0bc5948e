"""Which way is up, what is solid, and whether one stands inside."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from proto_saga_ns.splats.splat import Splat
from proto_saga_ns.splats.transform import Similarity, transform_splat
from proto_saga_ns.viewpoints.scan import Solid, scan, upwards
from tests.splats.splats import random_splat, similarities
from tests.viewpoints.rooms import SIZE, room, statue

ROOM, STATUE = room(), statue()
AS_FOUND = (Phase.explicit, Phase.reuse, Phase.generate)
"""Shrinking takes minutes, for transforms that are no simpler."""


@settings(max_examples=6, phases=AS_FOUND)
@given(similarities(), st.sampled_from([ROOM, STATUE]))
def test_up_is_away_from_the_floor_however_the_scene_lies(way: Similarity, splat: Splat) -> None:
    found = upwards(Solid.of(transform_splat(splat, way)))
    assert found @ way.rotation[:, 2] > np.cos(np.deg2rad(2))


def test_up_may_be_given() -> None:
    assert np.allclose(scan(Solid.of(ROOM), np.array([0, -3.0, 0])).up, [0, -1, 0])


def test_axes_and_scales_make_the_covariance() -> None:
    splat = random_splat(30)
    solid = Solid.of(splat)
    quats = splat.unit_quats().double()
    for index in range(30):
        own = solid.axes[index] @ np.diag(solid.scales[index] ** 2) @ solid.axes[index].T
        assert np.allclose(own, covariance(quats[index], splat.log_scales[index].double().exp()), rtol=1e-6)
        assert (np.diff(solid.scales[index]) <= 0).all()


def covariance(quat: torch.Tensor, scales: torch.Tensor) -> np.ndarray:
    from scipy.spatial.transform import Rotation

    turn = Rotation.from_quat(quat[[1, 2, 3, 0]].numpy()).as_matrix()
    return turn @ np.diag(scales.numpy() ** 2) @ turn.T


def test_surfaces_are_solid_and_the_middle_is_free() -> None:
    scanned = scan(Solid.of(ROOM))
    assert scanned.is_solid(ROOM.means.double().numpy()).mean() > 0.95
    assert not scanned.is_solid(np.array([[0.3, 0.0, 1.6], [0, 0, 40.0]])).any()
    heights = scanned.heights(np.array([[0, 0, 0.0], [0, 0, SIZE[2]]]))
    assert heights == pytest.approx([0, 1], abs=0.1)


@settings(max_examples=4, phases=AS_FOUND)
@given(similarities())
def test_a_room_has_places_and_what_stands_outside_has_none(way: Similarity) -> None:
    scanned = scan(Solid.of(transform_splat(ROOM, way)))
    places = scanned.places(0.04 * scanned.diagonal)
    back = (places - way.translation) @ way.rotation / way.scale
    assert len(places) > 20
    assert (np.abs(back[:, :2]) < SIZE[:2] / 2).all() and ((back[:, 2] > 0) & (back[:, 2] < SIZE[2])).all()
    outside = scan(Solid.of(transform_splat(STATUE, way)))
    assert len(outside.places(0.04 * outside.diagonal)) == 0


def test_floaters_do_not_make_the_box_larger() -> None:
    far = replace(ROOM, means=torch.cat([ROOM.means[:-20], 1000 * torch.randn(20, 3)]))
    assert scan(Solid.of(far)).diagonal < 1.5 * scan(Solid.of(ROOM)).diagonal


def test_one_gaussian_has_a_box() -> None:
    scanned = scan(Solid.of(random_splat(1)))
    assert np.isfinite(scanned.diagonal) and scanned.diagonal > 0
