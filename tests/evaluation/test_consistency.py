"""Consistency by depth against Eqs. 4 to 6 taken literally, cases with known answers, and laws."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.evaluation.consistency import Degeneracy, PixelConsistency, default_epsilon, pixel_consistency
from proto_saga_ns.mastsam.frames import Camera, Frame
from tests.scenes import Lens, camera_pose, ray_cast

Scene = tuple[list[Frame], list[np.ndarray]]

OPENGL_TO_OPENCV = np.diag([1.0, -1.0, -1.0, 1.0])


def make_frame(name: str, lens: Lens, camera_to_world: np.ndarray, depth: np.ndarray) -> Frame:
    """A frame with a camera in OpenGL's axes."""
    matrix = np.array([[lens.focal, 0, lens.width / 2], [0, lens.focal, lens.height / 2], [0, 0, 1]])
    camera = Camera(matrix, np.linalg.inv(camera_to_world @ OPENGL_TO_OPENCV))
    return Frame(name, np.zeros((lens.height, lens.width, 3), np.uint8), camera, depth)


def room(n_views: int, width: int, height: int, total: int = 24) -> Scene:
    """Neighbouring views of the tiny room, with exact depth and the true instances."""
    frames, labels = [], []
    lens = Lens(width, height)
    for index in range(n_views):
        pose = camera_pose(index, total)
        _, ids, points = ray_cast(lens, pose)
        depth = (pose[:3, 3] - points) @ pose[:3, 2]
        frames.append(make_frame(f"view_{index}", lens, pose, depth))
        labels.append(ids)
    return frames, labels


def wall(labels: list[np.ndarray], shifts: list[int]) -> Scene:
    """Cameras before a wall at depth 2, each some pixels further right; a pixel is 0.25 wide there."""
    frames = []
    for index, (ids, shift) in enumerate(zip(labels, shifts, strict=True)):
        height, width = ids.shape
        camera = Camera(np.array([[8.0, 0, width / 2], [0, 8, height / 2], [0, 0, 1]]), np.eye(4))
        camera.world_to_camera[0, 3] = -0.25 * shift
        frames.append(Frame(str(index), np.zeros((height, width, 3), np.uint8), camera, np.full((height, width), 2.0)))
    return frames, labels


def literal_consistency(scene: Scene, epsilon: float, *, own_frame: bool = False, window: int = 99) -> float:
    """Eqs. 4 to 6, one pair of pixels after another, with feature vectors and cosines."""
    frames, label_maps = scene
    features = np.vstack([np.zeros(99), np.eye(99)])
    pixels = []
    for w, (frame, labels) in enumerate(zip(frames, label_maps, strict=True)):
        assert frame.camera is not None and frame.depth is not None
        to_world = np.linalg.inv(frame.camera.world_to_camera)
        for y, x in itertools.product(*map(range, labels.shape)):
            z = frame.depth[y, x]
            if z > 0:
                ray = np.linalg.solve(frame.camera.intrinsics, [x + 0.5, y + 0.5, 1])
                pixels.append((w, to_world @ [*(ray * z), 1], features[labels[y, x]]))
    scores = []
    for w, here, feature in pixels:
        if not feature.any():
            continue
        near = [
            other
            for i, there, other in pixels
            if (own_frame or i != w) and abs(i - w) <= window and np.linalg.norm(here - there) <= epsilon
        ]
        cosines = [other @ feature / (np.linalg.norm(other) * np.linalg.norm(feature) or math.inf) for other in near]
        if near:
            scores.append(np.mean(cosines))
    return float(np.mean(scores))


@pytest.mark.parametrize("epsilon", [0.07, 0.2, 0.5])
@pytest.mark.parametrize("own_frame", [False, True])
def test_it_agrees_with_the_equations(epsilon: float, own_frame: bool) -> None:
    frames, labels = room(3, 12, 9)
    rng = np.random.default_rng(0)
    labels = [np.where(rng.random(ids.shape) < 0.3, rng.integers(0, 8, ids.shape), ids) for ids in labels]
    expected = literal_consistency((frames, labels), epsilon, own_frame=own_frame)
    result = pixel_consistency(frames, labels, epsilon=epsilon, own_frame=own_frame)
    assert 0.2 < expected < 0.99
    assert result.consistency == pytest.approx(expected, abs=1e-12)


def test_it_agrees_where_depth_is_missing_and_frames_are_far_apart() -> None:
    frames, labels = room(4, 10, 8)
    rng = np.random.default_rng(1)
    for frame in frames:
        assert frame.depth is not None
        frame.depth[rng.random(frame.size) < 0.3] = 0
    labels = [np.where(rng.random(ids.shape) < 0.3, 0, ids) for ids in labels]
    expected = literal_consistency((frames, labels), 0.3, window=2)
    assert pixel_consistency(frames, labels, epsilon=0.3, window=2).consistency == pytest.approx(expected, abs=1e-12)


def test_true_instances_are_consistent_but_for_their_borders() -> None:
    frames, labels = room(5, 96, 72)
    result = pixel_consistency(frames, labels)
    assert 0.97 < result.consistency < 1
    assert result.compared > 0.85
    assert result.degeneracy.num_ids == 7 and result.degeneracy.labelled == 1


def test_ids_that_change_in_every_view_are_not() -> None:
    frames, labels = room(3, 48, 36)
    assert pixel_consistency(frames, [ids + 10 * view for view, ids in enumerate(labels)]).consistency == 0


@given(st.lists(st.integers(0, 7), min_size=8, max_size=8), st.permutations(range(1, 8)))
@settings(max_examples=10)
def test_renumbering_changes_nothing_and_one_mask_scores_100(noise: list[int], ids: list[int]) -> None:
    frames, labels = room(2, 16, 12)
    labels = [np.where(labels[0] == 1, np.resize(noise, labels[0].shape), labels[0]), labels[1]]
    renumbered = [np.array([0, *ids])[view] for view in labels]
    first, second = pixel_consistency(frames, labels), pixel_consistency(frames, renumbered)
    assert first.consistency == pytest.approx(second.consistency)
    degenerate = pixel_consistency(frames, [np.ones_like(view) for view in labels])
    assert degenerate.figures()["consistency"] == 100
    assert (degenerate.degeneracy.num_ids, degenerate.degeneracy.largest) == (1, 1.0)


def test_a_wall_by_hand() -> None:
    first, second = np.array([[1, 1, 2, 2]]), np.array([[1, 2, 3, 0]])
    result = pixel_consistency(*wall([first, second], [0, 1]), epsilon=0.1)
    # Pixel x of the first is x - 1 of the second: 1-1, 2-2, 2-3; the first pixel and the last see nothing in common.
    assert result.consistency == pytest.approx(4 / 6)
    assert result.compared == pytest.approx(6 / 7)
    assert (result.num_frames, result.epsilon) == (2, 0.1)
    assert result.figures()["labelled pixels"] == pytest.approx(100 * 7 / 8)


def test_a_mask_that_is_lost_is_inconsistent_and_no_mask_is_nothing() -> None:
    result = pixel_consistency(*wall([np.array([[1, 1, 0]]), np.array([[1, 0, 0]])], [0, 0]), epsilon=0.1)
    # Labelled pixels: two in the first frame (1 and 0), one in the second (1).
    assert result.consistency == pytest.approx(2 / 3)


def test_a_pixel_with_several_counterparts_has_their_mean() -> None:
    scene = wall([np.array([[1, 1, 2]]), np.array([[1, 2, 2]])], [0, 0])
    # Within one and a half pixels: itself and both neighbours.
    expected = np.mean([1 / 2, 1 / 3, 1, 1, 1 / 3, 1 / 2])
    assert pixel_consistency(*scene, epsilon=0.3).consistency == pytest.approx(expected)


def test_what_is_hidden_is_no_counterpart() -> None:
    frames, labels = wall([np.array([[1, 1]]), np.array([[2, 1]])], [0, 0])
    assert frames[1].depth is not None
    frames[1].depth[0, 0] = 1.0  # something stands before the wall
    result = pixel_consistency(frames, labels, epsilon=0.1)
    assert (result.consistency, result.compared) == (1.0, 0.5)


def test_a_window_leaves_far_frames_out() -> None:
    scene = wall([np.array([[1]]), np.array([[1]]), np.array([[2]])], [0, 0, 0])
    assert pixel_consistency(*scene, epsilon=0.1).consistency == pytest.approx((1 / 2 + 1 / 2 + 0) / 3)
    assert pixel_consistency(*scene, epsilon=0.1, window=1).consistency == pytest.approx((1 + 1 / 2 + 0) / 3)


def test_label_maps_are_resized_and_frames_may_differ_in_size() -> None:
    frames, labels = room(2, 32, 24)
    small, _ = room(2, 16, 12)
    result = pixel_consistency([frames[0], small[1]], labels)
    assert result.consistency > 0.9 and result.degeneracy == Degeneracy.of(labels)


def test_epsilon_is_what_a_pixel_covers() -> None:
    frames, _ = wall([np.array([[1, 1]])] * 2, [0, 0])
    assert default_epsilon(frames) == pytest.approx(0.25)


def test_degeneracy() -> None:
    found = Degeneracy.of([np.array([[0, 1], [1, 1]]), np.array([[2, 65_535]])])
    assert (found.labelled, found.num_ids, found.largest) == pytest.approx((5 / 6, 3, 3 / 5))
    assert Degeneracy.of([np.zeros((2, 2), np.int32)]) == Degeneracy(0.0, 0, 0.0)


def test_bad_input_is_refused() -> None:
    frames, labels = wall([np.array([[1, 1]])] * 2, [0, 0])
    blind = [frames[0], Frame("blind", frames[1].image, None, frames[1].depth)]
    flat = [frames[0], Frame("flat", frames[1].image, frames[1].camera, None)]
    for spoilt, message in ((blind, "blind has no pinhole camera"), (flat, "flat has no depth map")):
        with pytest.raises(ProtoSagaError, match=message):
            pixel_consistency(spoilt, labels)
    with pytest.raises(ProtoSagaError, match="depths down to 2"):
        pixel_consistency(frames, labels, epsilon=2.5)
    for nothing in (wall(labels, [0, 50]), (frames, [np.zeros_like(ids) for ids in labels])):
        with pytest.raises(ProtoSagaError, match="No labelled pixel"):
            pixel_consistency(*nothing, epsilon=0.1)
    dark = [Frame("dark", frame.image, frame.camera, np.zeros(frame.size)) for frame in frames]
    with pytest.raises(ProtoSagaError, match="No depth is known"):
        pixel_consistency(dark, labels)


def test_figures_are_percentages() -> None:
    figures = PixelConsistency(0.25, 0.5, 0.01, 3, Degeneracy(0.75, 4, 0.5)).figures()
    assert (figures["consistency"], figures["compared pixels"], figures["epsilon"]) == (25, 50, 0.01)
    assert (figures["labelled pixels"], figures["ids"], figures["largest id"]) == (75, 4, 50)
