"""SIFT of OpenCV: needs no weights and no GPU, and is the weaker stand-in for a learned matcher.

Few points where surfaces are plain, and few matches between views that are far apart.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import cv2
import numpy as np
from jaxtyping import Bool, Float, Float32, Int, UInt8

from proto_saga_ns.mastsam.frames import Frame
from proto_saga_ns.mastsam.geometry import fundamental_matrix
from proto_saga_ns.mastsam.matches import Matches

# Raised when the same settings begin to give other matches.
_ALGORITHM = 1
_FRAMES_KEPT = 32
# Cosine of descriptors that may be matched along an epipolar line; a distance of 0.5.
_SIMILAR = 0.875
# Pixels from the epipolar line.
_BAND = 2.0


@dataclass(frozen=True)
class SiftSettings:
    """Which points are found, and which pairs of them count."""

    contrast: float = 0.01
    """points with less contrast are dropped; OpenCV's own default is 0.04, too high for plain walls and renders"""
    max_points: int = 4096
    """the points with the most contrast of an image, up to this many"""
    ratio: float = 0.8
    """a match must be this much closer than the second best one (Lowe 2004); 1 keeps all"""
    min_long_edge: int = 768
    """smaller images are enlarged, by a whole factor, to about this length: small things have points then, too"""
    guided: bool = True
    """where both frames have poses, also look for matches along the epipolar lines alone"""

    def __post_init__(self) -> None:
        if not 0 < self.ratio <= 1:
            raise ValueError("ratio must be over 0 and at most 1")
        if self.contrast < 0 or self.max_points < 1 or self.min_long_edge < 1:
            raise ValueError("contrast must not be negative, max_points and min_long_edge at least 1")


@dataclass(frozen=True)
class Features:
    """Points of an image, in image coordinates, and RootSIFT descriptors of length 1."""

    xy: Float32[np.ndarray, "N 2"]
    descriptors: Float32[np.ndarray, "N 128"]


class SiftMatcher:
    """Mutual nearest neighbours among RootSIFT descriptors that pass the ratio test.

    With poses, the same is done among the pairs that the epipolar lines allow, which finds about as many again.

    The confidence is 1 - ratio, in 0..1. The features of the last frames are kept, so that a frame that is matched
    with several others is looked at once.
    """

    name = "sift"

    def __init__(self, settings: SiftSettings | None = None) -> None:
        self._settings = settings or SiftSettings()
        self._features: OrderedDict[bytes, Features] = OrderedDict()

    @property
    def settings(self) -> Mapping[str, Any]:
        return {**asdict(self._settings), "algorithm": _ALGORITHM}

    def match(self, a: Frame, b: Frame) -> Matches:
        features_a, features_b = self._features_of(a), self._features_of(b)
        if len(features_a.xy) == 0 or len(features_b.xy) == 0:
            return Matches.none()
        cosine = features_a.descriptors @ features_b.descriptors.T
        found = [self._pairs(features_a, features_b, cosine)]
        if self._settings.guided and a.camera is not None and b.camera is not None:
            lines = fundamental_matrix(a.camera, b.camera)
            if lines is not None:
                np.copyto(cosine, -1, where=~near_lines(features_a, features_b, lines))
                # Along a line there may be nothing else to compare with, so the best must be good by itself.
                found.append(self._pairs(features_a, features_b, cosine, _SIMILAR))
        return _without_repeats(_joined(found))

    def _pairs(self, a: Features, b: Features, cosine: Float32[np.ndarray, "N M"], min_cosine: float = -1) -> Matches:
        index_a, index_b, ratio = mutual_neighbours(cosine)
        keep = ratio < self._settings.ratio if self._settings.ratio < 1 else np.ones(len(ratio), dtype=bool)
        keep &= cosine[index_a, index_b] > min_cosine
        return Matches(a.xy[index_a], b.xy[index_b], (1 - ratio).astype(np.float32)).select(keep)

    def _features_of(self, frame: Frame) -> Features:
        """By what the image holds: frames are often loaded again for each pair."""
        digest = hashlib.blake2b(frame.image.tobytes(), digest_size=16)
        key = digest.digest() + repr(frame.size).encode()
        if key not in self._features:
            self._features[key] = find_features(frame.image, self._settings)
            if len(self._features) > _FRAMES_KEPT:
                self._features.popitem(last=False)
        self._features.move_to_end(key)
        return self._features[key]


def find_features(image: UInt8[np.ndarray, "H W 3"], settings: SiftSettings) -> Features:
    """SIFT points (Lowe, IJCV 2004) and RootSIFT descriptors (Arandjelović and Zisserman, CVPR 2012); maybe none."""
    sift: Any = cv2.SIFT.create(
        nfeatures=settings.max_points, contrastThreshold=settings.contrast, enable_precise_upscale=True
    )
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    factor = max(1, round(settings.min_long_edge / max(grey.shape)))
    if factor > 1:
        grey = cv2.resize(grey, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
    points, descriptors = sift.detectAndCompute(grey, None)
    if descriptors is None:
        return Features(np.zeros((0, 2), np.float32), np.zeros((0, 128), np.float32))
    # OpenCV counts from the centre of the first pixel. At the border, points may be fitted outside of the image.
    xy = (np.array([point.pt for point in points], np.float32) + np.float32(0.5)) / factor
    inside = ((xy >= 0) & (xy < image.shape[1::-1])).all(axis=1)
    shares = descriptors / np.maximum(descriptors.sum(axis=1, keepdims=True), 1e-12)
    return Features(xy[inside], np.sqrt(shares)[inside].astype(np.float32))


def near_lines(
    a: Features, b: Features, fundamental: Float[np.ndarray, "3 3"], band: float = _BAND
) -> Bool[np.ndarray, "N M"]:
    """Which pairs of points lie within ``band`` pixels of each other's epipolar lines."""
    points_a = np.column_stack([a.xy, np.ones(len(a.xy), np.float32)])
    points_b = np.column_stack([b.xy, np.ones(len(b.xy), np.float32)])
    from_lines_in_b = _lines(points_a, fundamental) @ points_b.T
    near = np.abs(from_lines_in_b, out=from_lines_in_b) <= band
    from_lines_in_a = points_a @ _lines(points_b, fundamental.T).T
    near &= np.abs(from_lines_in_a, out=from_lines_in_a) <= band
    return near


def _lines(points: Float32[np.ndarray, "N 3"], fundamental: Float[np.ndarray, "3 3"]) -> Float32[np.ndarray, "N 3"]:
    """Epipolar lines, with normals of length 1, of homogeneous points."""
    lines = points.astype(np.float64) @ fundamental.T
    length = np.linalg.norm(lines[:, :2], axis=1, keepdims=True)
    return (lines / np.maximum(length, np.finfo(np.float64).tiny)).astype(np.float32)


def mutual_neighbours(
    cosine: Float[np.ndarray, "N M"],
) -> tuple[Int[np.ndarray, " K"], Int[np.ndarray, " K"], Float[np.ndarray, " K"]]:
    """Pairs of descriptors of length 1, each the nearest to the other: (index in a, index in b, ratio).

    The ratio is that of the distances to the nearest and the second nearest, the larger of both directions, in 0..1;
    1 where there is no second one, or both distances are 0.

    Args:
        cosine: of every descriptor of a with every one of b; -1 takes a pair out of the question.
    """
    if cosine.size == 0:
        return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0)
    nearest = cosine.argmax(axis=1)
    # The highest of a column is found forty times as fast as its place.
    is_mutual = cosine[np.arange(len(cosine)), nearest] == cosine.max(axis=0)[nearest]
    index_a = np.flatnonzero(is_mutual)
    # Of equals the first.
    index_a = np.sort(index_a[np.unique(nearest[index_a], return_index=True)[1]])
    index_b = nearest[index_a]
    ratio = np.maximum(_ratio(cosine[index_a], index_b), _ratio(cosine[:, index_b].T, index_a))
    return index_a, index_b, ratio


def _ratio(cosine: Float[np.ndarray, "K M"], nearest: Int[np.ndarray, " K"]) -> Float[np.ndarray, " K"]:
    """Distance to the nearest over the distance to the second nearest, row by row."""
    if cosine.shape[1] < 2:
        return np.ones(len(cosine))
    every = np.arange(len(cosine))
    first = cosine[every, nearest].astype(np.float64)
    others = np.array(cosine)
    others[every, nearest] = -1
    squares = np.maximum(2 - 2 * np.stack([first, others.max(axis=1).astype(np.float64)]), 0)
    return np.sqrt(np.divide(squares[0], squares[1], out=np.ones(len(first)), where=squares[1] > 0))


def _joined(parts: Sequence[Matches]) -> Matches:
    return Matches(
        np.concatenate([part.xy_a for part in parts]),
        np.concatenate([part.xy_b for part in parts]),
        np.concatenate([part.confidence for part in parts]),
    )


def _without_repeats(matches: Matches) -> Matches:
    """One match a pair of places, the best: SIFT gives a point once for each of its orientations."""
    order = np.argsort(-matches.confidence, kind="stable")
    places = np.hstack([matches.xy_a, matches.xy_b])[order]
    _, first = np.unique(places, axis=0, return_index=True)
    return matches.select(np.sort(order[first]))
