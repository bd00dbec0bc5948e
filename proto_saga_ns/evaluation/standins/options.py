"""What can be chosen about a stand-in; imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from proto_saga_ns.errors import ProtoSagaError

Layout = Literal["nerfstudio", "replica", "scannet", "lerf-mask", "davis"]
Preset = Literal["perfect", "light", "default", "heavy-split", "heavy-merge"]


@dataclass(frozen=True)
class SegmenterOptions:
    """What a simulated segmenter does to the truth; without any option, nothing but shuffling ids."""

    split: float = 0.0
    """probability that an object is split in two or three masks"""
    along_parts: float = 0.7
    """of the splits of objects of several parts, the share that goes along parts; the others go along a line"""
    merge: float = 0.0
    """probability that a mask is joined to a neighbour of another object"""
    drop: float = 0.0
    """probability that a mask is left out"""
    jitter: float = 0.0
    """how far borders wave, as a standard deviation in pixels"""
    gaps: float = 0.0
    """share of the pixels at borders that are left unlabelled"""
    min_pixels: int = 0
    """masks with fewer pixels are left out"""

    def check(self) -> None:
        """See whether they make sense.

        Raises:
            ProtoSagaError: a rate is no probability, or a number of pixels is negative.
        """
        for name in ("split", "along_parts", "merge", "drop", "gaps"):
            if not 0 <= getattr(self, name) <= 1:
                raise ProtoSagaError(f"{_rate(name)} is {getattr(self, name)}. Expected a probability from 0 to 1.")
        for name in ("jitter", "min_pixels"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ProtoSagaError(f"{_rate(name)} is {getattr(self, name)}. Expected a number of pixels, 0 or more.")


PRESETS: dict[Preset, SegmenterOptions] = {
    "perfect": SegmenterOptions(),
    "light": SegmenterOptions(split=0.1, merge=0.04, drop=0.02, jitter=0.5, gaps=0.1, min_pixels=10),
    "default": SegmenterOptions(split=0.25, merge=0.12, drop=0.04, jitter=0.8, gaps=0.2, min_pixels=10),
    "heavy-split": SegmenterOptions(split=0.5, merge=0.12, drop=0.04, jitter=0.8, gaps=0.2, min_pixels=10),
    "heavy-merge": SegmenterOptions(split=0.25, merge=0.3, drop=0.04, jitter=0.8, gaps=0.2, min_pixels=10),
}
"""``default`` has the rates of the study of association, the heavy ones those of its hardest rooms."""


@dataclass(frozen=True)
class StandinOptions:
    """A stand-in: together with the version of the package, all that its files depend on."""

    layout: Layout = "nerfstudio"
    """layout of the folder: that of nerfstudio (transforms.json), or of a data set that the protocols were made for"""
    seed: int = 0
    """of the room, the walk through it and the segmenter"""
    views: int = 60
    """training views"""
    test_views: int = 12
    """views held out between them"""
    width: int = 256
    """of the images in pixels"""
    height: int = 192
    """of the images in pixels"""
    points: int = 20_000
    """3D points on the surfaces that training views see"""
    samples: int = 2
    """rays along each side of a pixel for its colour"""
    depth: bool = False
    """nerfstudio: also write depth maps (16 bit, millimetres)"""

    def check(self) -> None:
        """See whether they make sense.

        Raises:
            ProtoSagaError: a number is too small, or options do not fit together.
        """
        for name, least in (("seed", 0), ("views", 1), ("test_views", 0), ("width", 16), ("height", 16), ("points", 1)):
            _check(name, getattr(self, name), least)
        _check("samples", self.samples, 1)
        if self.test_views > self.views:
            raise ProtoSagaError(
                f"There are {self.test_views} test views for {self.views} training views. Test views lie between "
                "training views: give at most as many, or more --views."
            )
        if self.depth and self.layout != "nerfstudio":
            raise ProtoSagaError(f"The layout {self.layout} has no place for depth maps. Leave --depth out.")


def _rate(name: str) -> str:
    return f"--rates.{name.replace('_', '-')}"


def _check(name: str, value: int, least: int) -> None:
    if value < least:
        raise ProtoSagaError(f"--{name.replace('_', '-')} is {value}. Expected {least} or more.")
