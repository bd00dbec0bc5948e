"""Matches by depth maps, which are exact, in a scene whose surfaces are known."""

import numpy as np
import pytest

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.mastsam.frames import Frame
from proto_saga_ns.mastsam.geometry import epipolar_distance
from proto_saga_ns.mastsam.matchers.depth import DepthMatcher, DepthSettings, carry
from tests.mastsam.scenes import SIZE, camera


def sphere_and_wall(view) -> np.ndarray:
    """Depth map of a ball of radius 0.7 at z = 4 before a wall at z = 6, for a camera that looks along z."""
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]] + 0.5
    rays = np.stack([columns, rows, np.ones(SIZE)], axis=-1) @ np.linalg.inv(view.intrinsics).T
    start = -view.world_to_camera[:3, 3]
    wall = (6 - start[2]) / rays[..., 2]
    to_ball = start - (0, 0, 4)
    square, half, rest = (rays**2).sum(-1), rays @ to_ball, to_ball @ to_ball - 0.49
    inside = half**2 - square * rest
    ball = (-half - np.sqrt(np.maximum(inside, 0))) / square
    return np.where(inside > 0, ball, wall)


def rendered(name: str, centre) -> Frame:
    view = camera(centre=centre)
    return Frame(name, np.zeros((*SIZE, 3), np.uint8), view, sphere_and_wall(view))


@pytest.mark.parametrize("stride", [4, 7])
def test_depth_matches_are_exact_and_never_reach_what_is_hidden(stride):
    a, b = rendered("a", (0, 0, 0)), rendered("b", (0.8, 0.1, 0.2))
    assert a.camera and b.camera and a.depth is not None
    matches = DepthMatcher(DepthSettings(stride)).match(a, b)
    asked = len(range(stride // 2, SIZE[0], stride)) * len(range(stride // 2, SIZE[1], stride))
    assert asked / 3 < len(matches) < asked
    assert epipolar_distance(matches, a.camera, b.camera).max() < 1e-3
    rows, columns = np.floor(matches.xy_a[:, ::-1]).astype(int).T
    xy, z = carry(matches.xy_a, a.depth[rows, columns], a.camera, b.camera)
    np.testing.assert_array_equal(xy, matches.xy_b)
    assert (xy >= 0).all() and (xy < SIZE[::-1]).all() and (z > 0).all()
    # The wall behind the ball: from where b stands, it begins further to the right than for a.
    on_wall = a.depth[rows, columns] > 5
    world = np.linalg.inv(b.camera.world_to_camera)[:3, 3]
    points = (np.column_stack([matches.xy_a, np.ones(len(rows))]) @ np.linalg.inv(a.camera.intrinsics).T) * a.depth[
        rows, columns
    ][:, None]
    toward = points - world
    along = np.clip(((np.array((0, 0, 4)) - world) * toward).sum(1) / (toward**2).sum(1), 0, 1)
    from_centre = np.linalg.norm(world + along[:, None] * toward - (0, 0, 4), axis=1)
    assert (from_centre[on_wall] > 0.68).all()
    assert matches.confidence.min() >= 0 and matches.confidence.max() <= 1


def test_depth_carries_there_and_back():
    a, b = camera((0.1, 0.2, 0), (0.3, 0, 0)), camera((0, -0.1, 0.1), (0, 0.2, 0.1))
    xy = np.random.default_rng(0).uniform(0, 240, (50, 2)).astype(np.float32)
    z = np.full(50, 4.0)
    back, z_back = carry(*carry(xy, z, a, b), b, a)
    np.testing.assert_allclose(back, xy, atol=1e-3)
    np.testing.assert_allclose(z_back, z, atol=1e-5)


def test_a_frame_matches_itself_by_depth_where_depth_is_known():
    frame = rendered("a", (0, 0, 0))
    assert frame.depth is not None
    frame.depth[:120] = 0
    frame.depth[:, :160] = np.nan
    frame.depth[200:] = np.inf
    matches = DepthMatcher(DepthSettings(stride=5)).match(frame, frame)
    assert len(matches) > 0
    np.testing.assert_allclose(matches.xy_a, matches.xy_b, atol=1e-4)
    assert matches.xy_a.min(axis=0).tolist() > [160, 120] and matches.xy_a[:, 1].max() < 200
    np.testing.assert_allclose(matches.confidence, 1, atol=1e-4)


def test_depth_looks_away():
    behind = camera((0, np.pi, 0))
    other = Frame("b", np.zeros((*SIZE, 3), np.uint8), behind, np.full(SIZE, 3.0))
    assert len(DepthMatcher().match(rendered("a", (0, 0, 0)), other)) == 0


@pytest.mark.usefixtures("unchecked_shapes")
def test_depth_says_what_is_missing():
    whole = rendered("whole", (0, 0, 0))
    cases = {
        "Frame poor has no depth map.*--matcher sift": Frame("poor", whole.image, whole.camera),
        "Frame lost has no pose": Frame("lost", whole.image, None, whole.depth),
        "frame small has 10 x 20 pixels, its image 320 x 240": Frame(
            "small", whole.image, whole.camera, np.ones((20, 10))
        ),
    }
    for message, frame in cases.items():
        for pair in ((whole, frame), (frame, whole)):
            with pytest.raises(ProtoSagaError, match=message):
                DepthMatcher().match(*pair)
