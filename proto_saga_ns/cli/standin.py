"""``proto-saga make-standin``: a rendered scene where a data set is absent."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

import tyro

from proto_saga_ns.evaluation.standins.options import PRESETS, Preset, SegmenterOptions, StandinOptions


@dataclass(frozen=True)
class Rates:
    """What the simulated segmenter does, in place of what its preset says."""

    split: float | None = None
    """probability that an object is split in two or three masks"""
    along_parts: float | None = None
    """of the splits of objects of several parts, the share that goes along parts; the others go along a line"""
    merge: float | None = None
    """probability that a mask is joined to a neighbour of another object"""
    drop: float | None = None
    """probability that a mask is left out"""
    jitter: float | None = None
    """how far borders wave, as a standard deviation in pixels"""
    gaps: float | None = None
    """share of the pixels at borders that are left unlabelled"""
    min_pixels: int | None = None
    """masks with fewer pixels are left out"""
    seams: float | None = None
    """share of the objects that are split in the same places in all views"""
    supports: float | None = None
    """share of the objects on others that are one mask with what they lie on, in all views"""


@dataclass
class MakeStandin:
    """Render a made-up scene with ground truth and simulated masks, in the layout of a data set that is absent.

    For tests and for trying out settings. The folder says in STANDIN.md and standin.json that it is no data set; so
    must every table with figures that were measured on it.

        proto-saga make-standin --output-dir ROOM --seed 3
        proto-saga make-standin --output-dir HOUSE --kind house --rooms 6 --views 120 --segmenter correlated
        ns-train proto-saga-lite --data ROOM
    """

    output_dir: Path
    """a folder that is new or empty"""
    segmenter: Preset = "default"
    """how bad the simulated masks are. perfect: the truth, only with ids that mean nothing across views. default: a
    quarter of the objects split, an eighth of the masks merged, 4 % missing. correlated: the same mistakes in all
    views. docs/standins.md has a table of all"""
    without: int | None = None
    """also write without_<id>/: the test views once more without this object (ids: instances in standin.json), and its
    masks, for proto-saga evaluate --protocol removal. A stand-in that is there already gets it added"""
    standin: Annotated[StandinOptions, tyro.conf.OmitArgPrefixes] = field(default_factory=StandinOptions)
    rates: Rates = field(default_factory=Rates)

    def run(self) -> None:
        from proto_saga_ns.cli.work.standin import make_standin

        make_standin(self.output_dir, self.standin, *self._segmenter(), self.without)

    def _segmenter(self) -> tuple[SegmenterOptions, str]:
        """The options, and their name: with rates of one's own it is no longer only the preset's."""
        own = {name: value for name, value in vars(self.rates).items() if value is not None}
        preset = PRESETS[self.segmenter]
        changed = [f"{name} {value}" for name, value in own.items() if value != getattr(preset, name)]
        return replace(preset, **own), ", ".join([self.segmenter, *changed])
