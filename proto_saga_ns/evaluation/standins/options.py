"""What can be chosen about a stand-in; imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from proto_saga_ns.errors import ProtoSagaError

Layout = Literal["nerfstudio", "replica", "scannet", "lerf-mask", "davis"]
Kind = Literal["room", "house", "outdoor", "shelves"]
Preset = Literal["perfect", "light", "default", "heavy-split", "heavy-merge", "correlated"]

OBJECTS: dict[Kind, int] = {"house": 25, "outdoor": 40, "shelves": 320}
"""Instances of a scene of each kind, of a house in each of its rooms."""
_OBJECTS_RANGE: dict[Kind, tuple[int, int]] = {"house": (20, 50), "outdoor": (10, 120), "shelves": (100, 600)}
_MAX_PALETTE = 255
_MAX_POSE_NOISE = 20


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
    seams: float = 0.0
    """share of the objects that are split in the same places in all views"""
    supports: float = 0.0
    """share of the objects on others that are one mask with what they lie on, in all views"""

    def check(self) -> None:
        """See whether they make sense.

        Raises:
            ProtoSagaError: a rate is no probability, or a number of pixels is negative.
        """
        for name in ("split", "along_parts", "merge", "drop", "gaps", "seams", "supports"):
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
    "correlated": SegmenterOptions(
        split=0.03, merge=0.02, drop=0.02, jitter=0.8, gaps=0.2, min_pixels=40, seams=0.3, supports=0.5
    ),
}
"""``default`` has the rates of the study of association, the heavy ones those of its hardest rooms;
``correlated`` makes most of its mistakes alike in all views."""


@dataclass(frozen=True)
class StandinOptions:
    """A stand-in: together with the version of the package, all that its files depend on."""

    layout: Layout = "nerfstudio"
    """layout of the folder: that of nerfstudio (transforms.json), or of a data set that the protocols were made for"""
    seed: int = 0
    """of the scene, the walk through it, the segmenter and the camera's faults"""
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
    kind: Kind = "room"
    """room: a furnished room. house: several, with doors and look-alikes in all of them. outdoor: objects on the ground
    under the sky. shelves: a shop, with many small objects side by side"""
    rooms: int | None = None
    """house: how many rooms; 4 by default"""
    objects: int | None = None
    """all but room: how many instances, with floors and walls; by default 25 for each room of a house, 40 outdoor, 320
    on shelves"""
    pose_noise: float = 0.0
    """degrees by which the poses in the files are wrong; their positions are as wrong as moves pictures as far"""
    exposure_changes: bool = False
    """each image has an exposure and a white balance of its own"""
    blurred_share: float = 0.0
    """share of the images that are blurred by motion or out of focus; truth and masks stay"""

    @property
    def room_count(self) -> int:
        """Rooms of a house."""
        return 4 if self.rooms is None else self.rooms

    @property
    def object_count(self) -> int:
        """Instances of a house, outdoor or on shelves."""
        usual = OBJECTS[self.kind] * (self.room_count if self.kind == "house" else 1)
        return usual if self.objects is None else self.objects

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
        self._check_kind()
        self._check_capture()

    def _check_kind(self) -> None:
        if self.rooms is not None and self.kind != "house":
            raise ProtoSagaError(
                f"A stand-in of the kind {self.kind} has no --rooms. Give --kind house, or leave it out."
            )
        if self.kind == "room":
            if self.objects is not None:
                raise ProtoSagaError("How many --objects stand in a room is drawn from the seed. Give another --kind.")
            return
        _check("rooms", self.room_count, 1)
        each = self.room_count if self.kind == "house" else 1
        least, most = (bound * each for bound in _OBJECTS_RANGE[self.kind])
        if not least <= self.object_count <= most:
            where = f"a house of {self.room_count} rooms" if self.kind == "house" else f"the kind {self.kind}"
            raise ProtoSagaError(f"--objects is {self.object_count}. Expected {least} to {most} for {where}.")
        if self.layout == "davis" and self.object_count > _MAX_PALETTE:
            raise ProtoSagaError(
                f"The layout davis has ids of 8 bits, which do not hold {self.object_count} objects. Give fewer "
                "--objects or another --layout."
            )

    def _check_capture(self) -> None:
        if not 0 <= self.pose_noise <= _MAX_POSE_NOISE:
            raise ProtoSagaError(f"--pose-noise is {self.pose_noise}. Expected degrees from 0 to {_MAX_POSE_NOISE}.")
        if self.pose_noise and self.layout == "davis":
            raise ProtoSagaError("The layout davis has no poses that could be wrong. Leave --pose-noise out.")
        if not 0 <= self.blurred_share <= 1:
            raise ProtoSagaError(f"--blurred-share is {self.blurred_share}. Expected a share from 0 to 1.")


def _rate(name: str) -> str:
    return f"--rates.{name.replace('_', '-')}"


def _check(name: str, value: int, least: int) -> None:
    if value < least:
        raise ProtoSagaError(f"--{name.replace('_', '-')} is {value}. Expected {least} or more.")
