"""The second output of MastSAM (Sec. IV-E): a point cloud of the scene, here with known poses, and its instances."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float32, Int, Int32, UInt8

from proto_saga_ns.files import write_atomically
from proto_saga_ns.mastsam.frames import Camera
from proto_saga_ns.mastsam.matches import Matches, pixels_of
from proto_saga_ns.mastsam.tracks import Tracks, find_tracks

_VERTEX = np.dtype([(axis, "<f4") for axis in "xyz"] + [(c, "u1") for c in ("red", "green", "blue")] + [("id", "<i4")])
_HEADER = """ply
format binary_little_endian 1.0
element vertex {count}
property float x
property float y
property float z
property uchar red
property uchar green
property uchar blue
property int instance_id
end_header
"""
_ROUNDS = 4

# Observations at a time; each needs about a kilobyte.
_CHUNK = 100_000


@dataclass(frozen=True)
class TriangulationOptions:
    """Which triangulated points are kept."""

    max_error_px: float = 2.0
    """a point may miss none of its observations by more than this"""
    min_angle_deg: float = 1.5
    """the rays to a point must differ by at least this, or its depth is a guess"""
    min_views: int = 2
    """views that must see a point"""


@dataclass(frozen=True)
class _Rig:
    """Cameras of the observations, one a row.

    Attributes:
        centres: in the world.
        rays: unit directions in the world towards the observed points.
    """

    intrinsics: Float[np.ndarray, "O 3 3"]
    rotations: Float[np.ndarray, "O 3 3"]
    shifts: Float[np.ndarray, "O 3"]
    centres: Float[np.ndarray, "O 3"]
    rays: Float[np.ndarray, "O 3"]


def triangulate(
    tracks: Tracks, cameras: Sequence[Camera], options: TriangulationOptions | None = None
) -> tuple[Float[np.ndarray, "T 3"], Tracks]:
    """World points, and the tracks that gave them, cleaned.

    Observations that miss the first estimate, or lie behind their camera, are left out once; after a second estimate
    points go that still miss one, or are seen under too small an angle or by too few views.

    Args:
        tracks: views are indices of the cameras.
        cameras: of all views.
        options: see there.

    Returns:
        Points in units of the cameras' world, and as many tracks in the same order.
    """
    done = [_triangulate(part, cameras, options or TriangulationOptions()) for part in tracks.chunks(_CHUNK)]
    points = np.concatenate([np.zeros((0, 3)), *(found for found, _ in done)])
    return points, Tracks.joined([kept for _, kept in done])


def _triangulate(
    tracks: Tracks, cameras: Sequence[Camera], options: TriangulationOptions
) -> tuple[Float[np.ndarray, "T 3"], Tracks]:
    errors, depths = reprojection(closest_points(tracks, cameras), tracks, cameras)
    tracks = tracks.select_observations((errors <= options.max_error_px) & (depths > 0), options.min_views)
    points = closest_points(tracks, cameras)
    errors, depths = reprojection(points, tracks, cameras)
    bad = (errors > options.max_error_px) | (depths <= 0)
    good = (tracks.sums(bad.astype(np.float64)) == 0) & (
        viewing_angles(points, tracks, cameras) >= options.min_angle_deg
    )
    return points[good], tracks.select_tracks(good)


def closest_points(tracks: Tracks, cameras: Sequence[Camera]) -> Float[np.ndarray, "T 3"]:
    """For each track the point that comes closest to its rays.

    The squared distances to the rays are weighted by the inverse squared distances to the cameras, over a few rounds,
    so that angles count, and by the squared focal lengths, so that pixels count.
    """
    rig = _rig(tracks, cameras)
    across = np.eye(3) - rig.rays[:, :, None] * rig.rays[:, None, :]
    focal = rig.intrinsics[:, 0, 0]
    weights = np.ones(len(rig.rays))
    points = np.zeros((tracks.count, 3))
    for _ in range(_ROUNDS):
        weighted = weights[:, None, None] * across
        system = tracks.sums(weighted)
        # Rays that are parallel have no single closest point; the smallest of shifts makes one, far too near or far.
        system += 1e-12 * np.trace(system, axis1=1, axis2=2)[:, None, None] * np.eye(3)
        right = tracks.sums(np.einsum("oij,oj->oi", weighted, rig.centres))
        points = np.linalg.solve(system, right[..., None])[..., 0]
        distances = np.linalg.norm(points[tracks.track] - rig.centres, axis=1)
        weights = (focal / np.maximum(distances, 1e-9)) ** 2
    return points


def reprojection(
    points: Float[np.ndarray, "T 3"], tracks: Tracks, cameras: Sequence[Camera]
) -> tuple[Float[np.ndarray, " O"], Float[np.ndarray, " O"]]:
    """For each observation: how far in pixels its point misses it, infinite behind the camera; the point's depth."""
    rig = _rig(tracks, cameras)
    in_camera = np.einsum("oij,oj->oi", rig.rotations, points[tracks.track]) + rig.shifts
    depths = in_camera[:, 2]
    front = depths > 0
    image = np.einsum("oij,oj->oi", rig.intrinsics, in_camera)[:, :2] / np.where(front, depths, 1)[:, None]
    return np.where(front, np.linalg.norm(image - tracks.xy, axis=1), np.inf), depths


def viewing_angles(
    points: Float[np.ndarray, "T 3"], tracks: Tracks, cameras: Sequence[Camera]
) -> Float[np.ndarray, " T"]:
    """The angle in degrees under which each point sees its cameras: never above the largest between two of them, and
    that angle itself where the cameras lie along an arc or are two.

    Found in two sweeps, from the first camera to the one farthest from it, and on to the farthest from that.
    """
    rig = _rig(tracks, cameras)
    towards = rig.centres - points[tracks.track]
    towards /= np.maximum(np.linalg.norm(towards, axis=1, keepdims=True), 1e-12)
    ends = tracks.starts
    angles = np.zeros(len(towards))
    for _ in range(2):
        angles = np.arccos(np.clip(np.sum(towards * towards[ends][tracks.track], axis=1), -1, 1))
        # Sorted within the track: the last is the farthest.
        ends = np.lexsort((angles, tracks.track))[tracks.starts + tracks.lengths - 1]
    return np.degrees(angles[ends])


def _rig(tracks: Tracks, cameras: Sequence[Camera]) -> _Rig:
    intrinsics = np.stack([camera.intrinsics for camera in cameras]).astype(np.float64)
    poses = np.stack([camera.world_to_camera for camera in cameras]).astype(np.float64)
    rotations, shifts, view = poses[:, :3, :3], poses[:, :3, 3], tracks.view
    centres = -np.einsum("vji,vj->vi", rotations, shifts)
    # From pixels to directions in the world.
    back = np.swapaxes(rotations, 1, 2) @ np.linalg.inv(intrinsics)
    rays = np.einsum("oij,oj->oi", back[view], np.column_stack([tracks.xy, np.ones(len(view))]))
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    return _Rig(intrinsics[view], rotations[view], shifts[view], centres[view], rays)


@dataclass(frozen=True)
class PointCloudOptions:
    """How matches become points."""

    cell_px: float = 1.0
    """points of an image in the same cell of this size are the same point"""
    spread_px: float = 2.0
    """points of one view farther apart than this are never the same"""
    triangulation: TriangulationOptions = field(default_factory=TriangulationOptions)
    """which points are kept"""


@dataclass(frozen=True)
class PointCloud:
    """Coloured points with instances.

    Attributes:
        xyz: in the world of the cameras.
        rgb: mean over the views that see the point.
        instance_ids: 0 = in no mask.
        n_views: how many views see the point.
    """

    xyz: Float32[np.ndarray, "N 3"]
    rgb: UInt8[np.ndarray, "N 3"]
    instance_ids: Int32[np.ndarray, " N"]
    n_views: Int32[np.ndarray, " N"]


def build_point_cloud(
    pairs: Iterable[tuple[int, int, Matches]],
    cameras: Sequence[Camera],
    views: Iterable[tuple[UInt8[np.ndarray, "H W 3"], Int[np.ndarray, "H W"]]],
    options: PointCloudOptions | None = None,
) -> PointCloud:
    """Triangulate what was matched.

    Args:
        pairs: (index of view a, index of view b, their matches).
        cameras: of all views.
        views: RGB image and label map (0 = in no mask) of each view, in the order of the cameras. One at a time is
            held; everything else that is kept grows with the number of matches.
        options: see there.
    """
    options = options or PointCloudOptions()
    found = find_tracks(pairs, options.cell_px, options.spread_px, options.triangulation.min_views)
    xyz, tracks = triangulate(found, cameras, options.triangulation)
    rgb, ids = paint(tracks, views)
    return PointCloud(xyz.astype(np.float32), rgb, ids, tracks.lengths.astype(np.int32))


def paint(
    tracks: Tracks, views: Iterable[tuple[UInt8[np.ndarray, "H W 3"], Int[np.ndarray, "H W"]]]
) -> tuple[UInt8[np.ndarray, "T 3"], Int32[np.ndarray, " T"]]:
    """Mean colour and most frequent label of each track.

    Raises:
        ValueError: fewer views than the tracks were seen in.
    """
    colors, labels = np.zeros((len(tracks.view), 3), np.uint8), np.zeros(len(tracks.view), np.int32)
    by_view = np.argsort(tracks.view, kind="stable")
    ends = np.cumsum(np.bincount(tracks.view))
    done = 0
    for end, (image, label_map) in zip(ends, views, strict=False):
        seen = by_view[done:end]
        row, column = np.minimum(np.maximum(pixels_of(tracks.xy[seen]), 0), np.array(label_map.shape) - 1).T
        colors[seen], labels[seen] = image[row, column], label_map[row, column]
        done = int(end)
    if done < len(by_view):
        raise ValueError(f"the tracks were seen in {len(ends)} views, but there are fewer")
    means = tracks.sums(colors.astype(np.float64)) / np.maximum(tracks.lengths, 1)[:, None]
    return np.rint(means).astype(np.uint8), majority(tracks, labels)


def majority(tracks: Tracks, labels: Int[np.ndarray, " O"]) -> Int32[np.ndarray, " T"]:
    """The most frequent label of each track, where 0 counts as any other; of equals the smallest that is not 0."""
    pairs, counts = np.unique(np.stack([tracks.track, labels], axis=1), axis=0, return_counts=True)
    track, label = pairs.T
    order = np.lexsort((-label, label > 0, counts, track))
    last = np.flatnonzero(np.diff(track[order], append=-1))
    return label[order][last].astype(np.int32)


def write_ply(path: Path, cloud: PointCloud) -> None:
    """Write a binary PLY: x y z (float), red green blue (uchar), instance_id (int).

    Named as ``ply_file_path`` in the transforms.json whose poses made it, nerfstudio begins training with its points.

    Raises:
        ProtoSagaError: the file cannot be written.
    """
    vertices = np.empty(len(cloud.xyz), _VERTEX)
    for column, name in enumerate("xyz"):
        vertices[name] = cloud.xyz[:, column]
    for column, name in enumerate(("red", "green", "blue")):
        vertices[name] = cloud.rgb[:, column]
    vertices["id"] = cloud.instance_ids
    write_atomically(path, _HEADER.format(count=len(vertices)).encode() + vertices.tobytes())
