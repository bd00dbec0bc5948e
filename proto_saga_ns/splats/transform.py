"""Similarity transforms of splats: turn, scale and move a scene so that it looks the same from a camera moved along.

Frames: ``Similarity`` maps points, x' = scale * rotation @ x + translation. Nerfstudio trains in a frame of its own,
x_training = dataparser_scale * (R @ x_world + t) with (R | t) its dataparser_transform.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from scipy.spatial.transform import Rotation
from torch import Tensor

from proto_saga_ns.rasterize.spherical_harmonics import basis
from proto_saga_ns.splats.splat import Splat

MAX_DISTORTION = 1e-3
"""Singular values of a transform differ by less than this share of them; it would not be a similarity otherwise."""
SAMPLE_DIRECTIONS = 64
DATAPARSER_FILE = "dataparser_transforms.json"
"""Where nerfstudio leaves what its data parser did to coordinates, beside config.yml."""
GOLDEN_ANGLE = np.pi * (3 - np.sqrt(5))


@dataclass(frozen=True)
class Similarity:
    """x' = scale * rotation @ x + translation, in double precision.

    Attributes:
        scale: positive.
        rotation: orthogonal; of determinant -1 if it mirrors.
        translation: units of the target frame.
    """

    scale: float
    rotation: Float[np.ndarray, "3 3"]
    translation: Float[np.ndarray, " 3"]

    @classmethod
    def identity(cls) -> Similarity:
        """Leaves everything where it is."""
        return cls(1.0, np.eye(3), np.zeros(3))

    @classmethod
    def from_matrix(cls, matrix: Float[np.ndarray, "rows 4"]) -> Similarity:
        """From the upper three rows of a 4x4 matrix; rounding errors of its rotation are mended.

        Raises:
            ValueError: it distorts shapes, is not finite or of another shape.
        """
        if matrix.shape not in ((3, 4), (4, 4)) or not np.isfinite(matrix).all():
            raise ValueError(f"it is no finite matrix of 3 x 4 numbers: {np.asarray(matrix).tolist()}")
        linear = np.asarray(matrix, np.float64)[:3, :3]
        left, values, right = np.linalg.svd(linear)
        if values[0] - values[2] > MAX_DISTORTION * values[0] or values[0] == 0:
            raise ValueError(f"it is no similarity: it stretches axes by {values[2]:.4g} to {values[0]:.4g}")
        return cls(float(values.mean()), left @ right, np.asarray(matrix, np.float64)[:3, 3])

    @classmethod
    def from_dataparser(cls, transform: Float[np.ndarray, "rows 4"], scale: float) -> Similarity:
        """From world to training frame, by nerfstudio's ``dataparser_transform`` and ``dataparser_scale``.

        Raises:
            ValueError: they are no similarity.
        """
        return cls.from_matrix(scale * np.asarray(transform, np.float64)[:3])

    @classmethod
    def from_file(cls, file: Path) -> Similarity:
        """From world to training frame, by the ``DATAPARSER_FILE`` of a run.

        Raises:
            ValueError, KeyError, TypeError, OSError: it cannot be read, or holds no similarity.
        """
        content = json.loads(file.read_text())
        return cls.from_dataparser(np.array(content["transform"]), content["scale"])

    def inverse(self) -> Similarity:
        """The way back."""
        return Similarity(1 / self.scale, self.rotation.T, -self.rotation.T @ self.translation / self.scale)

    def then(self, after: Similarity) -> Similarity:
        """This one first, ``after`` on its result."""
        translation = after.apply(self.translation[None])[0]
        return Similarity(self.scale * after.scale, after.rotation @ self.rotation, translation)

    def apply(self, points: Float[np.ndarray, "N 3"]) -> Float[np.ndarray, "N 3"]:
        """Points in the target frame."""
        return self.scale * points @ self.rotation.T + self.translation

    def matrix(self) -> Float[np.ndarray, "4 4"]:
        """As a matrix for homogeneous coordinates."""
        matrix = np.eye(4)
        matrix[:3] = np.concatenate([self.scale * self.rotation, self.translation[:, None]], axis=1)
        return matrix


@torch.no_grad()
def transform_splat(splat: Splat, similarity: Similarity) -> Splat:
    """The splat in the target frame, of the same floating type; quaternions come back with unit length."""
    kind = splat.means.dtype
    means = similarity.apply(splat.means.double().numpy())
    return replace(
        splat,
        means=torch.from_numpy(means).to(kind),
        quats=_rotated_quats(splat.unit_quats().double(), similarity.rotation).to(kind),
        log_scales=splat.log_scales + float(np.log(similarity.scale)),
        harmonics=rotate_harmonics(splat.harmonics, similarity.rotation),
    )


def _rotated_quats(quats: Float[Tensor, "N 4"], rotation: Float[np.ndarray, "3 3"]) -> Float[Tensor, "N 4"]:
    # A Gaussian is its own mirror image through its centre, so -rotation does to it what a mirroring rotation does.
    proper = Rotation.from_matrix(rotation * np.sign(np.linalg.det(rotation)))
    x, y, z, w = (float(value) for value in proper.as_quat())
    matrix = quats.new_tensor([[w, -x, -y, -z], [x, w, -z, y], [y, z, w, -x], [z, -y, x, w]])
    return quats @ matrix.T


@torch.no_grad()
def rotate_harmonics(harmonics: Float[Tensor, "N K 3"], rotation: Float[np.ndarray, "3 3"]) -> Float[Tensor, "N K 3"]:
    """Coefficients that show towards ``rotation @ d`` what the given ones show towards ``d``."""
    rotated = torch.empty_like(harmonics)
    for degree in range(math.isqrt(harmonics.shape[1])):
        own = slice(degree**2, (degree + 1) ** 2)
        block = torch.from_numpy(harmonics_rotation(rotation, degree)).to(harmonics)
        rotated[:, own] = block @ harmonics[:, own]
    return rotated


def harmonics_rotation(rotation: Float[np.ndarray, "3 3"], degree: int) -> Float[np.ndarray, "B B"]:
    """The (2 degree + 1)^2 matrix that turns the coefficients of one degree.

    Harmonics of a degree turn into each other, so that least squares over more directions than there are
    coefficients has no residual: basis(R d) @ matrix = basis(d) for all d.
    """
    directions = _sphere_directions(SAMPLE_DIRECTIONS)
    own = slice(degree**2, (degree + 1) ** 2)
    before, after = (basis(degree, torch.from_numpy(d)).numpy()[:, own] for d in (directions, directions @ rotation.T))
    return np.linalg.lstsq(after, before, rcond=None)[0]


def _sphere_directions(count: int) -> Float[np.ndarray, "n 3"]:
    """Unit vectors evenly over the sphere (Fibonacci's spiral)."""
    z = 1 - (2 * np.arange(count) + 1) / count
    angle = GOLDEN_ANGLE * np.arange(count)
    radius = np.sqrt(1 - z**2)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), z], axis=1)
