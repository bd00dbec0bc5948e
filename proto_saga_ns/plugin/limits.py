"""What a training cannot do with the numbers that it was given, told before it starts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.kernels.memory import check_fits

if TYPE_CHECKING:
    from nerfstudio.cameras.cameras import Cameras

FLOAT = 4
COPIES = 4
"""Of what a Gaussian is made of, in training: itself, its gradient, and the two moments of Adam."""
NEIGHBOURS = 100
"""Bytes by which splatfacto finds the nearest neighbours of a point."""
LABEL = 2
"""Bytes of a pixel of a label map that is kept."""
LOSSES = 60
"""Bytes of a pixel for a photo and what its loss remembers for the gradient."""
SMALLER = (
    "Make the images smaller: --pipeline.datamanager.camera-res-scale-factor 0.5; or, where there is a folder "
    "images_2, --downscale-factor 2 after the name of the data parser."
)
MIN_RANDOM = 4
"""Splatfacto makes each Gaussian as large as its three nearest neighbours are far."""


class ModelNumbers(Protocol):
    """What is asked of a model's configuration, which knows this module."""

    sh_degree: int
    embedding_dim: int
    num_random: int
    num_downscales: int


def bytes_of_gaussian(config: ModelNumbers) -> int:
    """What a Gaussian is made of."""
    return FLOAT * (11 + 3 * (config.sh_degree + 1) ** 2 + config.embedding_dim)


def check_seeds(count: int | None, config: ModelNumbers) -> None:
    """As many Gaussians as training starts from fit into memory.

    Args:
        count: of the points that are given; None if they are random.
        config: that says how many random ones there are.

    Raises:
        ProtoSagaError: they do not, or there are too few random ones.
    """
    each = bytes_of_gaussian(config) + NEIGHBOURS
    if count is not None:
        thinner = "Thin the points out, or start from random ones: --load-3D-points False after the data parser."
        return check_fits(count * each, f"Training from {count:,} 3D points", thinner)
    option = f"--pipeline.model.num-random {config.num_random}"
    if config.num_random < MIN_RANDOM:
        raise ProtoSagaError(f"{option}: training starts from {MIN_RANDOM} Gaussians at least; 50000 are usual.")
    check_fits(config.num_random * each, option, "Give fewer; 50000 are usual, and training makes more of them.")


def check_photos(cameras: Cameras, floating: bool, split: str) -> None:
    """All photos of a split fit into memory, where they stay, with their label maps.

    Raises:
        ProtoSagaError: they do not.
    """
    sizes = (cameras.width * cameras.height).flatten()
    each = (3 * FLOAT if floating else 3) + LABEL
    largest = int(sizes.argmax())
    size = f"up to {int(cameras.width[largest])}x{int(cameras.height[largest])} pixels"
    packed = "--pipeline.datamanager.cache-images-type uint8 keeps them in a fourth of it. " if floating else ""
    check_fits(int(sizes.sum()) * each, f"Keeping the {len(sizes)} {split} photos of {size}", packed + SMALLER)


def check_views(cameras: Cameras, files: Sequence[Path], config: ModelNumbers) -> None:
    """No view is smaller than a pixel at the resolution at which training starts.

    Raises:
        ProtoSagaError: one is.
    """
    factor = 2**config.num_downscales
    for file, width, height in zip(files, cameras.width.flatten(), cameras.height.flatten(), strict=True):
        if min(int(width), int(height)) < factor:
            raise ProtoSagaError(
                f"The image {file} is {int(width)}x{int(height)}, and training starts at 1/{factor} of the resolution: "
                f"{factor} pixels both ways are the least. Remove it from the poses, or train at full resolution from "
                "the start: --pipeline.model.num-downscales 0."
            )


def check_step(cameras: Cameras, gaussians: int, config: ModelNumbers) -> None:
    """A step on the largest view fits into main memory, which is where it is taken without a GPU.

    Raises:
        ProtoSagaError: it does not.
    """
    pixels, largest = max((int(size), index) for index, size in enumerate((cameras.width * cameras.height).flatten()))
    # The picture with its features, and its gradient.
    of_pixels = pixels * (2 * FLOAT * (3 + config.embedding_dim) + LOSSES)
    size = f"{int(cameras.width[largest])}x{int(cameras.height[largest])}"
    needed = of_pixels + gaussians * COPIES * bytes_of_gaussian(config)
    megapixels = math.ceil(pixels / 1e6)
    check_fits(needed, f"A step on a view of {size} ({megapixels} megapixels) and {gaussians:,} Gaussians", SMALLER)
