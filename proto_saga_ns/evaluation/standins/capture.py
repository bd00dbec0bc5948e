"""What goes wrong when pictures are taken: wrong poses, changing exposure, blur. Truth and masks stay as they are.

Each has a stream of chance of its own for every frame, so that one more fault changes no other.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, UInt8
from scipy.ndimage import convolve
from scipy.spatial.transform import Rotation

from proto_saga_ns.evaluation.standins.options import StandinOptions
from proto_saga_ns.evaluation.standins.render import GAMMA

_POSE, _EXPOSURE, _BLUR, _BLURRED = 3, 4, 5, 10
_STOPS = 0.35
"""Standard deviation of the exposure, in stops (doublings of light)."""
_WHITE = 0.07
"""Standard deviation of how much more red and less blue there is, in logarithms."""
_MOTION = (0.015, 0.04)
"""How far the picture moves during an exposure, of its width."""
_DEFOCUS = (0.006, 0.012)
"""Radius of what a point becomes out of focus, of the picture's width."""


def wrong_pose(
    pose: Float[np.ndarray, "4 4"], degrees: float, depth: float, seed: int, frame: int
) -> Float[np.ndarray, "4 4"]:
    """A pose as a reconstruction of the cameras would have it.

    Args:
        pose: camera to world.
        degrees: root of the mean squared angle between the two.
        depth: metres; the position is as wrong as moves what is so far away by as much as the angle does.
        seed: of the stand-in.
        frame: with the seed, all that chance depends on.
    """
    if not degrees:
        return pose
    rng = np.random.default_rng([seed, _POSE, frame])
    turn, shift = np.deg2rad(degrees) / np.sqrt(3) * rng.normal(size=(2, 3))
    wrong = pose.copy()
    wrong[:3, :3] = pose[:3, :3] @ Rotation.from_rotvec(turn).as_matrix()
    wrong[:3, 3] += depth * shift
    return wrong


def blurred_frames(frames: Sequence[int], share: float, seed: int) -> set[int]:
    """Which images are blurred; those of a smaller share are among those of a larger."""
    if not share:
        return set()
    ranks = sorted(frames, key=lambda frame: np.random.default_rng([seed, _BLURRED, frame]).random())
    return set(ranks[: round(share * len(ranks))])


def photograph(
    rgb: UInt8[np.ndarray, "H W 3"], options: StandinOptions, frame: int, *, is_blurred: bool
) -> UInt8[np.ndarray, "H W 3"]:
    """The picture as a camera takes it; the same bytes if nothing is asked for."""
    if not (is_blurred or options.exposure_changes):
        return rgb
    light = (rgb / 255) ** (1 / GAMMA)
    if is_blurred:
        kernel = _kernel(np.random.default_rng([options.seed, _BLUR, frame]), rgb.shape[1])
        light = np.stack([convolve(channel, kernel, mode="nearest") for channel in np.moveaxis(light, -1, 0)], -1)
    if options.exposure_changes:
        light = light * _gains(np.random.default_rng([options.seed, _EXPOSURE, frame]))
    return (light.clip(0, 1) ** GAMMA * 255).round().astype(np.uint8)


def _gains(rng: np.random.Generator) -> Float[np.ndarray, " 3"]:
    """How much of red, green and blue there is."""
    stops, warmth = _STOPS * rng.normal(), _WHITE * rng.normal()
    return 2.0**stops * np.exp(np.array([warmth, 0.0, -warmth]))


def _kernel(rng: np.random.Generator, width: int) -> Float[np.ndarray, "K K"]:
    """What a point becomes: a line or a disc, of sum 1."""
    if rng.random() < 0.5:
        reach, angle = width * rng.uniform(*_MOTION) / 2, rng.uniform(0, np.pi)
        along = np.linspace(-reach, reach, 64)
        places = np.stack([along * np.sin(angle), along * np.cos(angle)], -1)
    else:
        reach = width * rng.uniform(*_DEFOCUS)
        radii, turns = reach * np.sqrt((np.arange(256) + 0.5) / 256), 2.399963 * np.arange(256)
        places = np.stack([radii * np.sin(turns), radii * np.cos(turns)], -1)
    # Places between pixels go to the four around them, so that little blur is blur as well.
    side = int(np.ceil(reach)) + 1
    pixels = np.arange(-side, side + 1)
    rows, columns = ((1 - np.abs(pixels - place[:, None])).clip(0) for place in places.T)
    kernel = rows.T @ columns
    return kernel / kernel.sum()
