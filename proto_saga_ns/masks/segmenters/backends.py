"""The segmenters that can be chosen by name. A new one joins with a line in ``BACKENDS``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, make_dataclass
from typing import Any

from proto_saga_ns.masks.segmenters.base import Segmenter
from proto_saga_ns.masks.segmenters.sam import SamSegmenter, SamSettings
from proto_saga_ns.masks.segmenters.sam2 import Sam2Segmenter, Sam2Settings
from proto_saga_ns.masks.segmenters.superpixel import SuperpixelSegmenter, SuperpixelSettings


@dataclass(frozen=True)
class Backend:
    """A segmenter by name.

    Attributes:
        settings: dataclass of its options, all with defaults; becomes the command line's ``--NAME.option``.
        make: settings to segmenter. Cheap: heavy things (weights) are loaded at the first image, because segmenters
            are also made just to ask for their name and settings. Importable by name, for worker processes.
    """

    settings: type[Any]
    make: Callable[[Any], Segmenter]


BACKENDS: dict[str, Backend] = {
    "sam": Backend(SamSettings, SamSegmenter),
    "sam2": Backend(Sam2Settings, Sam2Segmenter),
    "superpixel": Backend(SuperpixelSettings, SuperpixelSegmenter),
}

DEFAULT_BACKEND = "superpixel"

_fields = [(name, backend.settings, field(default_factory=backend.settings)) for name, backend in BACKENDS.items()]

AllSettings: type[Any] = make_dataclass("AllSettings", _fields)
"""The options of every backend, in a field of its name."""


@dataclass(frozen=True)
class SegmenterFactory:
    """Makes the same segmenter in any process: what travels to a worker is the name and the settings alone."""

    backend: str
    settings: Any

    def __call__(self) -> Segmenter:
        return BACKENDS[self.backend].make(self.settings)
