"""Matches: which points of two frames show the same place; and what finds them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from jaxtyping import Bool, Float, Float32, Int

from proto_saga_ns.mastsam.frames import Frame


@dataclass(frozen=True)
class Matches:
    """Points of frame a and of frame b, one below the other, that show the same place.

    Attributes:
        xy_a, xy_b: image coordinates (see ``frames``), inside of the images.
        confidence: 0 or more, higher is better; comparable within one matcher only.
    """

    xy_a: Float32[np.ndarray, "N 2"]
    xy_b: Float32[np.ndarray, "N 2"]
    confidence: Float32[np.ndarray, " N"]

    def __len__(self) -> int:
        return len(self.xy_a)

    @classmethod
    def none(cls) -> Matches:
        """No match at all."""
        return cls(np.zeros((0, 2), np.float32), np.zeros((0, 2), np.float32), np.zeros(0, np.float32))

    def select(self, which: Bool[np.ndarray, " N"] | Int[np.ndarray, " K"]) -> Matches:
        """Some of the matches, by mask or index."""
        return Matches(self.xy_a[which], self.xy_b[which], self.confidence[which])

    def reversed(self) -> Matches:
        """The same from b to a."""
        return Matches(self.xy_b, self.xy_a, self.confidence)


class Matcher(Protocol):
    """Finds matches between two frames."""

    @property
    def name(self) -> str:
        """Short name, fit for a folder."""
        ...

    @property
    def settings(self) -> Mapping[str, Any]:
        """All that changes the matches, as JSON values."""
        ...

    def match(self, a: Frame, b: Frame) -> Matches:
        """Matches between two frames; none if they have nothing in common.

        Raises:
            ProtoSagaError: what a person can mend, such as weights that are missing.
        """
        ...


def pixels_of(xy: Float[np.ndarray, "N 2"]) -> Int[np.ndarray, "N 2"]:
    """(row, column) of the pixels in which points lie."""
    return np.floor(xy[:, ::-1]).astype(np.int64)
