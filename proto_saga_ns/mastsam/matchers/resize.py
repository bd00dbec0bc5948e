"""How an image is made the size that a model wants, and how its points are carried back, exactly.

Coordinates are those of ``frames`` in both images: (0.5, 0.5) is the centre of the first pixel.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, UInt8
from PIL import Image

from proto_saga_ns.errors import ProtoSagaError


@dataclass(frozen=True)
class Fit:
    """An image is resized, then a window is cut out. All sizes are (height, width), in pixels.

    Attributes:
        size: of the image.
        scaled: of the resized image.
        corner: (top, left) of the window in the resized image.
        window: size of the window, which is what the model sees.
    """

    size: tuple[int, int]
    scaled: tuple[int, int]
    corner: tuple[int, int]
    window: tuple[int, int]

    def apply(self, image: UInt8[np.ndarray, "H W 3"]) -> UInt8[np.ndarray, "h w 3"]:
        """What the model sees: Lanczos where the image shrinks, bicubic where it grows."""
        kind = Image.Resampling.LANCZOS if max(self.scaled) < max(self.size) else Image.Resampling.BICUBIC
        resized = np.array(Image.fromarray(image).resize((self.scaled[1], self.scaled[0]), kind))
        (top, left), (height, width) = self.corner, self.window
        return np.ascontiguousarray(resized[top : top + height, left : left + width])

    def to_image(self, xy: Float[np.ndarray, "N 2"]) -> Float32[np.ndarray, "N 2"]:
        """Points of the window in the image; rounding to 32 bits never carries a point of the inside out of it."""
        scale = np.divide(self.size[::-1], self.scaled[::-1])
        last = np.nextafter(np.array(self.size[::-1], np.float32), np.float32(0))
        return np.minimum(((xy + np.array(self.corner[::-1])) * scale).astype(np.float32), last)

    def to_window(self, xy: Float[np.ndarray, "N 2"]) -> Float[np.ndarray, "N 2"]:
        """Points of the image in the window, or beside it."""
        return xy * np.divide(self.scaled[::-1], self.size[::-1]) - np.array(self.corner[::-1])


def fit_whole(size: tuple[int, int], long_edge: int) -> Fit:
    """The whole image, made smaller where its long edge is longer than this."""
    factor = min(1.0, long_edge / max(size))
    scaled = max(1, round(size[0] * factor)), max(1, round(size[1] * factor))
    return Fit(size, scaled, (0, 0), scaled)


def fit_patches(size: tuple[int, int], long_edge: int, patch: int = 16, whole_squares: bool = False) -> Fit:
    """The long edge made this long, then the largest window of whole patches, centred, as MASt3R's own loader does.

    Args:
        size: (height, width) of the image.
        long_edge: in pixels.
        patch: edge of a patch, in pixels.
        whole_squares: keep square images whole; else they are cut to 4:3, as the published weights saw no squares.

    Raises:
        ProtoSagaError: the image is so narrow that no patch fits.
    """
    scaled = round(size[0] * long_edge / max(size)), round(size[1] * long_edge / max(size))
    height, width = (edge // patch * patch for edge in scaled)
    if scaled[0] == scaled[1] and not whole_squares:
        height = max(patch, width * 3 // 4 // patch * patch)
    if min(height, width) == 0:
        raise ProtoSagaError(
            f"An image of {size[1]} x {size[0]} pixels is too narrow for MASt3R. Use --matcher sift for it."
        )
    corner = scaled[0] // 2 - height // 2, scaled[1] // 2 - width // 2
    return Fit(size, scaled, corner, (height, width))


def is_plain(image: UInt8[np.ndarray, "H W 3"]) -> bool:
    """Whether all pixels are the same, as in a black frame: nothing can be matched."""
    return image.size == 0 or bool((image == image[:1, :1]).all())
