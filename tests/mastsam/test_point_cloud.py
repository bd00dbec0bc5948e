"""Points with known answers, laws of tracks, and the demo scene with real matches."""

from __future__ import annotations

import json
import shutil
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plyfile import PlyData
from scipy.spatial import KDTree

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.labels import read_label_map, read_rgb
from proto_saga_ns.mastsam.frames import Camera
from proto_saga_ns.mastsam.matches import Matches
from proto_saga_ns.mastsam.ordering import neighbour_pairs, neighbours_by_pose
from proto_saga_ns.mastsam.point_cloud import (
    PointCloud,
    TriangulationOptions,
    build_point_cloud,
    closest_points,
    majority,
    paint,
    reprojection,
    triangulate,
    viewing_angles,
    write_ply,
)
from proto_saga_ns.mastsam.tracks import Tracks, find_tracks
from proto_saga_ns.plugin.data.dataparsers import MaskedNerfstudioConfig
from proto_saga_ns.plugin.data.point_clouds import read_point_cloud

DEMO = Path(__file__).parents[2] / "proto_saga_ns" / "cli" / "demo_scene" / "dining"
WIDTH, HEIGHT = 640, 480
INTRINSICS = np.array([[500.0, 0.0, 320.0], [0.0, 520.0, 240.0], [0.0, 0.0, 1.0]])


def successive_pairs(count: int, window: int) -> list[tuple[int, int]]:
    """Pairs (earlier, later) of frames at most ``window`` apart."""
    return [(later - step, later) for later in range(count) for step in range(1, min(window, later) + 1)]


def camera_at(angle: float, distance: float = 4.0) -> Camera:
    """On a circle around the origin, which it looks at."""
    pose = np.eye(4)
    pose[:3, :3] = cv2.Rodrigues(np.array([0.0, angle, 0.0]))[0]
    pose[2, 3] = distance
    return Camera(INTRINSICS, pose)


CAMERAS = [camera_at(0.15 * index) for index in range(5)]


def project(points: np.ndarray, camera: Camera) -> np.ndarray:
    in_camera = points @ camera.world_to_camera[:3, :3].T + camera.world_to_camera[:3, 3]
    image = in_camera @ camera.intrinsics.T
    return image[:, :2] / image[:, 2:]


def world_points(count: int = 60, seed: int = 0) -> np.ndarray:
    """Apart from each other, so that no two share a pixel by much of a chance."""
    rng = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(np.arange(10), np.arange(6)), -1).reshape(-1, 2)[:count] / [9, 5] * 1.6 - 0.8
    return np.column_stack([grid + rng.uniform(-0.05, 0.05, grid.shape), rng.uniform(-0.5, 0.5, len(grid))])


def observed(points: np.ndarray, cameras: list[Camera] = CAMERAS, noise: float = 0.0) -> Tracks:
    rng = np.random.default_rng(1)
    xy = np.stack([project(points, camera) for camera in cameras], axis=1)
    track, view = np.indices(xy.shape[:2]).reshape(2, -1)
    return Tracks(track, view, xy.reshape(-1, 2) + noise * rng.standard_normal((len(track), 2)))


def pairwise(points: np.ndarray, window: int) -> list[tuple[int, int, Matches]]:
    """Matches of the pairs of a sequence, each in its own order."""
    rng, xy = np.random.default_rng(2), [project(points, camera).astype(np.float32) for camera in CAMERAS]
    pairs = []
    for a, b in successive_pairs(len(CAMERAS), window):
        order = rng.permutation(len(points))
        pairs.append((a, b, Matches(xy[a][order], xy[b][order], np.ones(len(points), np.float32))))
    return pairs


def nearest(found: np.ndarray, truth: np.ndarray) -> np.ndarray:
    return KDTree(truth).query(found)[0]


@pytest.mark.parametrize("window", [1, 3])
def test_known_points_are_found_again(window: int) -> None:
    points = world_points()
    tracks = find_tracks(pairwise(points, window))
    assert tracks.count == len(points) and (tracks.lengths == len(CAMERAS)).all()
    found, kept = triangulate(tracks, CAMERAS)
    assert kept.count == len(found) == len(points)
    assert nearest(found, points).max() < 1e-4 and nearest(points, found).max() < 1e-4


def test_noise_in_pixels_is_noise_in_the_world() -> None:
    points = world_points()
    found = closest_points(observed(points, noise=0.5), CAMERAS)
    # Half a pixel at distance 4 and focal length 500 is 0.004; depth is known worse.
    assert 0.0005 < np.median(np.linalg.norm(found - points, axis=1)) < 0.02


def test_it_is_nearly_the_point_of_least_reprojection_error() -> None:
    tracks = observed(world_points(), noise=1.0)
    best = closest_points(tracks, CAMERAS)

    def cost(points: np.ndarray) -> np.ndarray:
        return tracks.sums(reprojection(points, tracks, CAMERAS)[0] ** 2)

    for shift in 0.02 * np.vstack([np.eye(3), -np.eye(3)]):
        assert (cost(best) < cost(best + shift)).mean() > 0.95
    assert np.median(np.sqrt(cost(best) / len(CAMERAS))) < 1.5


@given(st.floats(-3, 3), st.floats(0.1, 50))
@settings(max_examples=20)
def test_a_moved_and_scaled_world_moves_and_scales_the_points(angle: float, scale: float) -> None:
    tracks = observed(world_points(20), noise=0.3)
    turn, shift = cv2.Rodrigues(np.array([angle, 0.5, -angle]))[0], np.array([3.0, -2.0, 1.0])
    moved = []
    for camera in CAMERAS:
        rotation, move = camera.world_to_camera[:3, :3], camera.world_to_camera[:3, 3]
        pose = np.eye(4)
        pose[:3, :3] = rotation @ turn.T
        pose[:3, 3] = scale * move - pose[:3, :3] @ shift
        moved.append(Camera(INTRINSICS, pose))
    expected = scale * closest_points(tracks, CAMERAS) @ turn.T + shift
    assert np.allclose(closest_points(tracks, moved), expected, atol=1e-4 * scale)


def test_bad_observations_go_and_bad_points_go() -> None:
    points = world_points(30)
    tracks = observed(points)
    xy = tracks.xy.copy()
    # One gross outlier leaves the rest of its track; a track of nothing but noise leaves nothing.
    xy[2] += 6.0
    xy[tracks.track == 7] = np.random.default_rng(3).uniform(0, 480, (len(CAMERAS), 2))
    found, kept = triangulate(Tracks(tracks.track, tracks.view, xy), CAMERAS)
    assert nearest(found, points).max() < 1e-6
    assert len(found) == kept.count >= 28
    assert (reprojection(found, kept, CAMERAS)[0] < 2).all()


def test_points_behind_or_far_away_are_dropped() -> None:
    far = np.array([[0.0, 0.0, 500.0], [0.0, 0.0, 0.0]])
    near_cameras = [camera_at(0.0), camera_at(0.002)]
    found, _ = triangulate(observed(far, near_cameras), near_cameras)
    assert len(found) == 0
    behind = np.array([[0.1, 0.1, -9.0], [0.1, 0.1, 0.3]])
    found, _ = triangulate(observed(behind), CAMERAS)
    assert len(found) == 1 and nearest(found, behind[1:]).max() < 1e-6
    # Parallel rays meet nowhere: no error, and no point.
    same = [camera_at(0.0), camera_at(0.0)]
    assert len(triangulate(observed(world_points(5), same), same)[0]) == 0


def test_viewing_angles_against_all_pairs() -> None:
    points = world_points(10)
    tracks = observed(points)
    centres = [-camera.world_to_camera[:3, :3].T @ camera.world_to_camera[:3, 3] for camera in CAMERAS]
    for point, angle in zip(points, viewing_angles(points, tracks, CAMERAS), strict=True):
        rays = [(centre - point) / np.linalg.norm(centre - point) for centre in centres]
        assert angle == pytest.approx(max(np.degrees(np.arccos(a @ b)) for a, b in combinations(rays, 2)), abs=1e-6)


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    tracks = observed(world_points(), noise=0.8)
    points, kept = triangulate(tracks, CAMERAS)
    monkeypatch.setattr("proto_saga_ns.mastsam.point_cloud._CHUNK", 17)
    assert len(tracks.chunks(17)) > 10
    again, kept_again = triangulate(tracks, CAMERAS)
    assert np.allclose(points, again) and 0 < len(points) == kept.count
    for name in ("track", "view", "xy"):
        assert np.array_equal(getattr(kept, name), getattr(kept_again, name))
        assert np.array_equal(getattr(Tracks.joined(tracks.chunks(17)), name), getattr(tracks, name))
    nothing = tracks.select_tracks(np.zeros(tracks.count, bool))
    assert len(triangulate(nothing, CAMERAS)[0]) == triangulate(nothing, CAMERAS)[1].count == 0


def test_nothing_matched_gives_no_points() -> None:
    view = np.zeros((HEIGHT, WIDTH, 3), np.uint8), np.zeros((HEIGHT, WIDTH), np.int32)
    cloud = build_point_cloud([(0, 1, Matches.none())], CAMERAS, [view] * len(CAMERAS))
    assert cloud.xyz.shape == cloud.rgb.shape == (0, 3) and len(cloud.instance_ids) == len(cloud.n_views) == 0


def test_more_views_may_be_demanded() -> None:
    tracks = observed(world_points(10), cameras=CAMERAS[:2])
    assert len(triangulate(tracks, CAMERAS)[0]) == 10
    assert len(triangulate(tracks, CAMERAS, TriangulationOptions(min_views=3))[0]) == 0


def test_a_match_that_gives_a_track_two_places_in_one_view_is_refused() -> None:
    def match(a: tuple[float, float], b: tuple[float, float], confidence: float = 1.0) -> Matches:
        return Matches(np.array([a], np.float32), np.array([b], np.float32), np.full(1, confidence, np.float32))

    good = [(0, 1, match((5, 5), (7.2, 7.2))), (1, 2, match((7.4, 7.4), (9, 9)))]
    tracks = find_tracks(good)
    assert tracks.count == 1 and tracks.view.tolist() == [0, 1, 2]
    assert np.allclose(tracks.xy, [[5, 5], [7.3, 7.3], [9, 9]])
    # View 0 again, by way of view 2: close by, and far off.
    assert np.allclose(find_tracks([*good, (2, 0, match((9, 9), (6, 5)))]).xy[0], [5.5, 5])
    refused = find_tracks([(2, 0, match((9, 9), (50, 5), 0.5)), *good])
    assert refused.count == 1 and np.allclose(refused.xy, tracks.xy)
    assert find_tracks(good, min_views=4).count == 0
    assert find_tracks([(0, 1, Matches.none())]).count == find_tracks([]).count == 0


def test_tracks_that_cross_in_a_long_sequence_do_not_run_together() -> None:
    cameras = [camera_at(0.02 * index) for index in range(40)]
    points = np.random.default_rng(0).uniform(-0.7, 0.7, (500, 3))
    xy = [project(points, camera).astype(np.float32) for camera in cameras]
    sure = np.ones(len(points), np.float32)
    found, kept = triangulate(
        find_tracks([(a, b, Matches(xy[a], xy[b], sure)) for a, b in successive_pairs(40, 2)]), cameras
    )
    assert (nearest(points, found) < 0.01).mean() > 0.98
    assert np.median(kept.lengths) == len(cameras)


@given(st.integers(0, 10**6))
@settings(max_examples=30)
def test_laws_of_tracks(seed: int) -> None:
    rng = np.random.default_rng(seed)
    pairs = []
    for a, b in combinations(range(4), 2):
        xy = rng.integers(0, 12, (2, rng.integers(0, 9), 2)) * 3.0 + 0.5
        xy_a, xy_b = xy.astype(np.float32)
        pairs.append((a, b, Matches(xy_a, xy_b, np.ones(len(xy_a), np.float32))))
    tracks = find_tracks(pairs)
    assert (np.diff(tracks.track) >= 0).all() and (tracks.lengths >= 2).all()
    assert len({*zip(tracks.track.tolist(), tracks.view.tolist(), strict=True)}) == len(tracks.track)
    # Neither the order of the pairs nor their direction matters.
    again = find_tracks([(b, a, matches.reversed()) for a, b, matches in reversed(pairs)])

    def as_sets(found: Tracks) -> set[frozenset[tuple[float, ...]]]:
        rows = np.column_stack([found.view, found.xy])
        return {frozenset(map(tuple, rows[found.track == track])) for track in range(found.count)}

    assert as_sets(tracks) == as_sets(again)


def test_colours_are_means_and_instances_majorities() -> None:
    tracks = Tracks(np.array([0, 0, 0, 1, 1]), np.array([0, 1, 2, 0, 2]), np.array([[1.5, 2.5]] * 3 + [[7.9, 0.0]] * 2))
    images = [np.full((6, 8, 3), value, np.uint8) for value in (10, 20, 60)]
    labels = [np.zeros((6, 8), np.int32) for _ in range(3)]
    for label_map, label in zip(labels, (4, 0, 4), strict=True):
        label_map[2, 1] = label
    labels[2][0, 7] = 9
    rgb, ids = paint(tracks, zip(images, labels, strict=True))
    assert rgb.tolist() == [[30] * 3, [35] * 3]
    # Of 0 and 9, seen once each, the instance counts.
    assert ids.tolist() == [4, 9]
    assert majority(tracks, np.array([0, 0, 3, 2, 1])).tolist() == [0, 1]
    with pytest.raises(ValueError, match="fewer"):
        paint(tracks, zip(images[:2], labels[:2], strict=True))


def random_cloud(count: int) -> PointCloud:
    rng = np.random.default_rng(0)
    return PointCloud(
        rng.standard_normal((count, 3)).astype(np.float32),
        rng.integers(0, 256, (count, 3)).astype(np.uint8),
        rng.integers(0, 100_000, count).astype(np.int32),
        np.full(count, 2, np.int32),
    )


@pytest.mark.parametrize("count", [0, 17])
def test_a_ply_that_others_read(tmp_path: Path, count: int) -> None:
    cloud, path = random_cloud(count), tmp_path / "new" / "points.ply"
    write_ply(path, cloud)
    vertices = PlyData.read(path)["vertex"]
    assert np.array_equal(vertices["instance_id"], cloud.instance_ids)
    assert np.array_equal(np.stack([vertices[name] for name in ("x", "y", "z")], -1), cloud.xyz)
    assert np.array_equal(np.stack([vertices[name] for name in ("red", "green", "blue")], -1), cloud.rgb)
    (tmp_path / "file").write_text("")
    with pytest.raises(ProtoSagaError, match=r"points\.ply"):
        write_ply(tmp_path / "file" / "points.ply", cloud)


def test_nerfstudio_begins_with_these_points(tmp_path: Path) -> None:
    scene = tmp_path / "dining"
    shutil.copytree(DEMO, scene)
    meta = json.loads((scene / "transforms.json").read_text())
    (scene / "transforms.json").write_text(json.dumps({**meta, "ply_file_path": "tracked.ply"}))
    cloud = random_cloud(17)
    write_ply(scene / "tracked.ply", cloud)
    parser = MaskedNerfstudioConfig(data=scene, load_3D_points=True).setup()
    outputs = parser.get_dataparser_outputs("train")
    moved = np.column_stack([cloud.xyz, np.ones(17)]) @ outputs.dataparser_transform.numpy().T
    expected = moved * outputs.dataparser_scale
    assert np.allclose(outputs.metadata["points3D_xyz"].numpy(), expected, atol=1e-5)
    assert np.abs(outputs.metadata["points3D_rgb"].numpy().astype(int) - cloud.rgb).max() <= 1


def demo_cameras() -> tuple[list[str], list[Camera]]:
    """Names and cameras; nerfstudio's camera frame has y up and z backward."""
    meta = json.loads((DEMO / "transforms.json").read_text())
    intrinsics = np.array([[meta["fl_x"], 0, meta["cx"]], [0, meta["fl_y"], meta["cy"]], [0, 0, 1]])
    flip = np.diag([1.0, -1.0, -1.0, 1.0])
    poses = [np.linalg.inv(np.array(frame["transform_matrix"]) @ flip) for frame in meta["frames"]]
    return [Path(frame["file_path"]).stem for frame in meta["frames"]], [Camera(intrinsics, pose) for pose in poses]


def sift_matches(a: tuple, b: tuple) -> Matches:
    """Mutual nearest neighbours that pass the ratio test; OpenCV counts from the centre of the first pixel."""
    forward = cv2.BFMatcher().knnMatch(a[1], b[1], k=2)
    backward = {match.queryIdx: match.trainIdx for match in cv2.BFMatcher().match(b[1], a[1])}
    found = [m for m, n in forward if m.distance < 0.75 * n.distance and backward[m.trainIdx] == m.queryIdx]
    xy_a = np.array([a[0][m.queryIdx].pt for m in found], np.float32).reshape(-1, 2) + 0.5
    xy_b = np.array([b[0][m.trainIdx].pt for m in found], np.float32).reshape(-1, 2) + 0.5
    return Matches(xy_a, xy_b, np.ones(len(found), np.float32))


def test_points_of_the_demo_scene_lie_on_its_surfaces() -> None:
    names, cameras = demo_cameras()
    chosen = [0, *neighbours_by_pose(cameras, 23)[0].tolist()]
    cameras = [cameras[index] for index in chosen]
    images = [read_rgb(DEMO / "images" / f"{names[index]}.jpg") for index in chosen]
    labels = [read_label_map(DEMO / "instances" / f"{names[index]}.png") for index in chosen]
    sift = cv2.SIFT.create()
    everywhere = np.full(images[0].shape[:2], 255, np.uint8)
    features = [sift.detectAndCompute(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), everywhere) for image in images]
    close = neighbour_pairs(neighbours_by_pose(cameras, 5))
    pairs = [(a, b, sift_matches(features[a], features[b])) for a, b in close]
    cloud = build_point_cloud(pairs, cameras, zip(images, labels, strict=True))
    truth = read_point_cloud(DEMO / "points.ply")[0].numpy()
    error = nearest(cloud.xyz, truth)
    print(f"{len(cloud.xyz)} points, median {np.median(error):.4f}, 95% {np.quantile(error, 0.95):.4f}")
    # The true points themselves lie 0.028 apart.
    assert len(cloud.xyz) > 300
    assert np.median(error) < 0.04 and np.quantile(error, 0.95) < 0.15
    assert (cloud.instance_ids > 0).mean() > 0.9 and cloud.n_views.min() >= 2
