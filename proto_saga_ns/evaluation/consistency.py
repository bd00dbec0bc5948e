"""Multi-view consistency of label maps, pixel by pixel: Eqs. 4 to 6 of MastSAM.

The same place in the world should have the same id in all views. Features M are one-hot vectors of ids, so the cosine
in Eq. 5 is 1 where two ids are equal and 0 where they are not.

Unlabelled pixels (0) have no mask, M = 0, and the cosine is undefined. Here a labelled pixel whose counterpart is
unlabelled counts as 0: a mask that is lost in the next view is inconsistent. An unlabelled pixel has nothing to keep,
so Eq. 6's mean runs over the labelled pixels. Labelling little can only help this score; therefore the share of
labelled pixels is reported beside it.

**Degenerate answers score 100**: if everything is one mask, all views agree. The paper says so (Sec. II), and asks for
a measure of segmentation beside this one. The number of ids and the share of the largest are the quick check.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64, Int, Int64

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.labels import MAX_ID, resize_label_map
from proto_saga_ns.mastsam.frames import Camera, Frame

Pixels = Int64[np.ndarray, " N"]


@dataclass(frozen=True)
class Degeneracy:
    """Whether there is anything to be consistent about.

    Attributes:
        labelled: share of the pixels that have an id.
        num_ids: different ids in all views together.
        largest: share of the most frequent id among the labelled pixels; 1 if all is one mask.
    """

    labelled: float
    num_ids: int
    largest: float

    @classmethod
    def of(cls, label_maps: Iterable[Int[np.ndarray, "_ _"]]) -> Degeneracy:
        """Count ids in [0, 65535]."""
        counts = np.zeros(MAX_ID + 1, np.int64)
        for labels in label_maps:
            counts += np.bincount(labels.reshape(-1), minlength=len(counts))
        total, labelled = int(counts.sum()), int(counts[1:].sum())
        largest = int(counts[1:].max()) / max(labelled, 1)
        return cls(labelled / max(total, 1), int(np.count_nonzero(counts[1:])), largest)

    def figures(self) -> dict[str, float | int]:
        """What a table shows; shares as percentages."""
        return {
            "labelled pixels": 100 * self.labelled,
            "ids": self.num_ids,
            "largest id": 100 * self.largest,
        }


@dataclass(frozen=True)
class PixelConsistency:
    """Figures of a scene.

    Attributes:
        consistency: H of Eq. 6, in [0, 1]; the mean over labelled pixels that have a counterpart.
        compared: share of the labelled pixels that have one.
        epsilon: of Eq. 4, in units of the world.
        num_frames: views.
        degeneracy: to be looked at beside the score.
    """

    consistency: float
    compared: float
    epsilon: float
    num_frames: int
    degeneracy: Degeneracy

    def figures(self) -> dict[str, float | int]:
        """What a table shows; ratios as percentages."""
        return {
            "consistency": 100 * self.consistency,
            "compared pixels": 100 * self.compared,
            **self.degeneracy.figures(),
            "frames": self.num_frames,
            "epsilon": self.epsilon,
        }


def pixel_consistency(
    frames: Sequence[Frame],
    label_maps: Sequence[Int[np.ndarray, "_ _"]],
    *,
    epsilon: float | None = None,
    window: int | None = None,
    own_frame: bool = False,
) -> PixelConsistency:
    """Eqs. 4 to 6, exactly, where depth and poses are known.

    Instead of all pairs of pixels only those are looked at that can be within epsilon: each pixel is projected to the
    other view, and compared with the pixels there that the ball around it may cover.

    Args:
        frames: each with camera and depth; read more than once, ``window`` + 1 at a time.
        label_maps: of each frame; resized (nearest) to its size.
        epsilon: greatest distance of points that are the same place, in units of the world; ``default_epsilon`` if
            None.
        window: compare frames that are at most so many places apart; None compares all.
        own_frame: also count the neighbours in the pixel's own frame, and the pixel itself. Eq. 4 as it is printed
            does so; the text under Eq. 6 speaks of different images, and a pixel that no other view sees would be
            consistent with itself.

    Raises:
        ProtoSagaError: a frame has no camera or depth, epsilon is not below all depths, or no labelled pixel is seen
            in another frame.
    """
    epsilon = default_epsilon(frames) if epsilon is None else epsilon
    reach = len(frames) if window is None else window
    views: dict[int, _View] = {}
    score, compared, labelled = 0.0, 0, 0
    for a in range(len(frames)):
        for b in range(a, min(a + reach + 1, len(frames))):
            if b not in views:
                views[b] = _View.of(frames[b], label_maps[b])
            _compare(views[a], views[b], epsilon, own_frame)
        done = views.pop(a)
        has = (done.num_seen > 0) & (done.labels > 0)
        score += float((done.num_same[has] / done.num_seen[has]).sum())
        compared += int(has.sum())
        labelled += int((done.labels > 0).sum())
    if not compared:
        raise ProtoSagaError(
            f"No labelled pixel of the {len(frames)} frames is seen within {epsilon:.3g} in another one. Give frames "
            "that overlap, check the unit of the depth maps, or raise epsilon or window."
        )
    degeneracy = Degeneracy.of(label_maps)
    return PixelConsistency(score / compared, compared / labelled, epsilon, len(frames), degeneracy)


def default_epsilon(frames: Iterable[Frame]) -> float:
    """What a pixel covers at the median depth, in units of the world: two views sample a surface no closer.

    Raises:
        ProtoSagaError: a frame has no camera or depth, or no depth is known.
    """
    footprints = []
    for frame in frames:
        camera, depth = _camera_and_depth(frame)
        known = depth[np.isfinite(depth) & (depth > 0)]
        if known.size:
            footprints.append(float(np.median(known)) / float(camera.intrinsics[0, 0]))
    if not footprints:
        raise ProtoSagaError("No depth is known in any frame: all depth maps are 0. Check the depth files.")
    return float(np.median(footprints))


@dataclass(frozen=True)
class _View:
    """One frame while it is compared; all pixels in one row, index y * width + x."""

    name: str
    camera: Camera
    width: int
    height: int
    depth: Float64[np.ndarray, " N"]
    """0 where not known"""
    points: Float64[np.ndarray, "N 3"]
    """in the world: f of Eq. 2"""
    labels: Int[np.ndarray, " N"]
    num_seen: Int64[np.ndarray, " N"]
    """counterparts so far: the size of the set of Eq. 4"""
    num_same: Int64[np.ndarray, " N"]
    """those with the same id: the sum in Eq. 5"""

    @classmethod
    def of(cls, frame: Frame, labels: Int[np.ndarray, "_ _"]) -> _View:
        camera, depth = _camera_and_depth(frame)
        height, width = frame.size
        depth = np.where(np.isfinite(depth) & (depth > 0), depth, 0).astype(np.float64).reshape(-1)
        points = unproject(camera, depth.reshape(height, width)).reshape(-1, 3)
        labels = resize_label_map(labels, height, width).reshape(-1)
        counts = np.zeros((2, depth.size), np.int64)
        return cls(frame.name, camera, width, height, depth, points, labels, counts[0], counts[1])

    def count(self, mine: Pixels, same: Bool[np.ndarray, " N"]) -> None:
        """Take counterparts; a pixel may be listed more than once."""
        self.num_seen[:] += np.bincount(mine, minlength=self.depth.size)
        self.num_same[:] += np.bincount(mine[same], minlength=self.depth.size)


def unproject(camera: Camera, depth: Float[np.ndarray, "H W"]) -> Float64[np.ndarray, "H W 3"]:
    """The world's point under each pixel's centre; the camera's centre where depth is 0."""
    rows, columns = np.mgrid[: depth.shape[0], : depth.shape[1]]
    homogeneous = np.stack([columns + 0.5, rows + 0.5, np.ones(depth.shape)], -1)
    in_camera = homogeneous @ np.linalg.inv(camera.intrinsics.astype(np.float64)).T * depth[..., None]
    rotation, translation = camera.world_to_camera[:3, :3], camera.world_to_camera[:3, 3]
    return (in_camera - translation) @ rotation  # the inverse of x -> R x + t


def _compare(a: _View, b: _View, epsilon: float, own_frame: bool) -> None:
    """Count all pairs of pixels within epsilon, for both views."""
    if a is b and not own_frame:
        return
    for in_a, in_b in _pairs_within(a, b, epsilon):
        same = (a.labels[in_a] == b.labels[in_b]) & (a.labels[in_a] > 0)
        a.count(in_a, same)
        if a is not b:
            b.count(in_b, same)


def _pairs_within(a: _View, b: _View, epsilon: float) -> Iterator[tuple[Pixels, Pixels]]:
    """Every pair of pixels whose points are within epsilon, once: Eq. 4 for a pair of views.

    A point P of ``a`` at depth z in b's camera, and a point of b's pixel q that is within epsilon of it: q is at most
    focal * epsilon * sqrt(1 + tan²) / z from P's projection along each axis, tan being q's own along that axis.
    """
    if not b.depth.any():
        return
    nearest = float(b.depth[b.depth > 0].min())
    if epsilon >= nearest:
        raise ProtoSagaError(
            f"epsilon is {epsilon:.3g}, but {b.name} has depths down to {nearest:.3g}. Choose an epsilon well below."
        )
    known = np.flatnonzero(a.depth)
    projected = a.points[known] @ b.camera.world_to_camera[:3, :3].T + b.camera.world_to_camera[:3, 3]
    in_front = projected[:, 2] >= nearest - epsilon
    known, projected = known[in_front], projected[in_front]
    xy = projected @ b.camera.intrinsics.T
    column, row = np.floor(xy[:, :2] / xy[:, 2:]).astype(np.int64).T
    reach_x, reach_y = _reach(b, projected[:, 2], epsilon)
    for dy in _both_sides(reach_y):
        in_row = np.flatnonzero((reach_y >= abs(dy)) & (row + dy >= 0) & (row + dy < b.height))
        for dx in _both_sides(reach_x[in_row]):
            x = column[in_row] + dx
            inside = (reach_x[in_row] >= abs(dx)) & (x >= 0) & (x < b.width)
            chosen = in_row[inside]
            pixel = (row[chosen] + dy) * b.width + x[inside]
            # The cheap half of the test first: depths that disagree (occlusion) are most of the rest.
            agree = np.abs(b.depth[pixel] - projected[chosen, 2]) <= epsilon
            mine, theirs = known[chosen[agree]], pixel[agree]
            close = np.linalg.norm(a.points[mine] - b.points[theirs], axis=-1) <= epsilon
            close &= b.depth[theirs] > 0
            yield mine[close], theirs[close]


def _both_sides(reach: Pixels) -> range:
    """Offsets from -r to r for the greatest reach r; none for no pixels."""
    greatest = int(reach.max(initial=-1))
    return range(-greatest, greatest + 1)


def _reach(b: _View, z: Float64[np.ndarray, " N"], epsilon: float) -> tuple[Pixels, Pixels]:
    """How many pixels to look to each side of a projection, along x and y."""
    matrix = b.camera.intrinsics
    reaches = []
    for axis, size in ((0, b.width), (1, b.height)):
        focal, center = matrix[axis, axis], matrix[axis, 2]
        tangent = max(abs(center), abs(size - center)) / focal
        # The centre of a pixel is up to half a pixel from the projection in it; a little more for rounding.
        pixels = focal * epsilon * np.hypot(1, tangent) / z + 0.5 + 1e-6
        reaches.append(np.floor(pixels.clip(max=size)).astype(np.int64))
    return reaches[0], reaches[1]


def _camera_and_depth(frame: Frame) -> tuple[Camera, Float[np.ndarray, "H W"]]:
    if frame.camera is None or frame.depth is None:
        missing = "pinhole camera (pose, fl_x, no distortion)" if frame.camera is None else "depth map"
        raise ProtoSagaError(
            f"The frame {frame.name} has no {missing}; to compare in the world each frame needs both. Undistort "
            "the images and name depth_file_path in transforms.json, or compare by matches."
        )
    return frame.camera, frame.depth
