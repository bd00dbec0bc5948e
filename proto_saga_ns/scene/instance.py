"""What people are told of an object."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from proto_saga_ns.colors import instance_colors
from proto_saga_ns.mask_agreement import DOUBTFUL


@dataclass(frozen=True)
class Instance:
    """One object of a scene.

    Attributes:
        id: scene-wide, from 1.
        name: for people; "instance 7" unless given.
        pixels: of its masks in the training views.
        n_views: training views that contain it.
        n_gaussians: Gaussians that belong to it, hardly seen ones too; 0 if that is not known.
        agreement: share of the training views that show it in which its pixels and its masks agree, in [0, 1]
            (``mask_agreement``); None if that was never counted, or a person has made the instance what it is.
    """

    id: int
    name: str = ""
    pixels: int = 0
    n_views: int = 0
    n_gaussians: int = 0
    agreement: float | None = None

    def __post_init__(self) -> None:
        if not self.name:
            object.__setattr__(self, "name", f"instance {self.id}")

    @property
    def color(self) -> tuple[int, int, int]:
        """8-bit RGB, a function of the id alone."""
        r, g, b = (int(value) for value in instance_colors(np.array([self.id]))[0])
        return r, g, b

    @property
    def is_doubtful(self) -> bool:
        """Whether it agrees with its masks in so few views that it may be no object."""
        return self.agreement is not None and self.agreement < DOUBTFUL
