"""Association: finding, for each mask of each view, its instance (Sec. 3.2).

The options are known at once; what needs torch is loaded when it is asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from proto_saga_ns.association.options import BANK, GAGA, PAPER, PAPER_AS_RUN, AssociationOptions, ConsensusOptions

if TYPE_CHECKING:
    from proto_saga_ns.association.claims import View
    from proto_saga_ns.association.instances import (
        Association,
        apply_association,
        associate,
        ground_truth_association,
    )
    from proto_saga_ns.association.mask_tracks import look_numbered_per_view

__all__ = [
    "BANK",
    "GAGA",
    "PAPER",
    "PAPER_AS_RUN",
    "Association",
    "AssociationOptions",
    "ConsensusOptions",
    "View",
    "apply_association",
    "associate",
    "ground_truth_association",
    "look_numbered_per_view",
]

_MODULES = {
    "Association": "instances",
    "View": "claims",
    "apply_association": "instances",
    "associate": "instances",
    "ground_truth_association": "instances",
    "look_numbered_per_view": "mask_tracks",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
