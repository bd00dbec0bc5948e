"""What the tracker and the matchers know of a view.

Image coordinates (x right, y down) are continuous, in pixels: (0, 0) is the corner of the image and (0.5, 0.5) the
centre of its first pixel, as in COLMAP and nerfstudio. The pixel of a point is its coordinates rounded down.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8


@dataclass(frozen=True)
class Camera:
    """A pinhole camera in the world.

    Attributes:
        intrinsics: K, in pixels of the frame's image.
        world_to_camera: rigid transform to OpenCV's camera frame: x right, y down, z forward.
    """

    intrinsics: Float[np.ndarray, "3 3"]
    world_to_camera: Float[np.ndarray, "4 4"]


@dataclass(frozen=True)
class Frame:
    """One image of a sequence, and what is known about it.

    Attributes:
        name: stem of the image's file.
        image: RGB.
        camera: None if the pose is not known.
        depth: distance along the camera's z axis, in units of the world; 0 or not finite where unknown. None if there
            is no depth map.
    """

    name: str
    image: UInt8[np.ndarray, "H W 3"]
    camera: Camera | None = None
    depth: Float[np.ndarray, "H W"] | None = None

    @property
    def size(self) -> tuple[int, int]:
        """(height, width)."""
        return self.image.shape[0], self.image.shape[1]
