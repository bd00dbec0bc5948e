"""The second output of MastSAM (Sec. IV-E): a point cloud of the scene, here with known poses, and its instances."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int, Int32, UInt8

from proto_saga_ns.files import write_atomically
from proto_saga_ns.mastsam.frames import Camera
from proto_saga_ns.mastsam.matches import Matches, pixels_of
from proto_saga_ns.mastsam.tracks import Tracks, find_tracks
from proto_saga_ns.mastsam.triangulation import TriangulationOptions, triangulate

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
