"""From the mask options to the segmenter that makes the masks; what ``auto`` means."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from typing import Literal

from proto_saga_ns.kernels.device import network_device
from proto_saga_ns.masks.segmenters import Segmenter
from proto_saga_ns.masks.segmenters.backends import BACKENDS
from proto_saga_ns.masks.segmenters.sam_weights import weights_path
from proto_saga_ns.plugin.data.mask_options import MaskOptions

Backend = Literal["sam", "sam2", "superpixel"]


@dataclass(frozen=True)
class AutomaticChoice:
    """What ``auto`` takes where there is no folder of masks, and why."""

    backend: Backend
    reason: str
    """one or more sentences for people, with the way to choose otherwise"""


def make_segmenter(backend: Backend, options: MaskOptions) -> Segmenter:
    """The segmenter of this name with its options; loads no model yet."""
    return BACKENDS[backend].make(getattr(options, backend))


def choose_automatically(options: MaskOptions) -> AutomaticChoice:
    """Segment Anything if nothing is missing for it: package, weights, and a GPU; else superpixels.

    Nothing is downloaded without being asked for. A checkpoint named in the options is such a wish, and goes
    before the question of a GPU and of whether it exists.
    """
    if options.sam.checkpoint is not None:
        return AutomaticChoice("sam", f"the weights {options.sam.checkpoint} are named.")
    weights = weights_path(options.sam.model)
    if not weights.is_file():
        return AutomaticChoice(
            "superpixel",
            "Better: --mask-source sam, which downloads the weights of Segment Anything once; or put label maps "
            "of any segmenter",
        )
    if not _is_installed("segment_anything"):
        return AutomaticChoice(
            "superpixel",
            f"Better: the weights {weights} are here, but the package for them is not: pip install "
            '"proto_saga_ns[sam]"; or put label maps of any segmenter',
        )
    if network_device().type != "cuda":
        return AutomaticChoice(
            "superpixel",
            f"Better: the weights {weights} are here, but no GPU, and without one they need minutes a view: give "
            "--mask-source sam if you can wait; or put label maps of any segmenter",
        )
    return AutomaticChoice("sam", f"the weights {weights} are here.")


def _is_installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None
