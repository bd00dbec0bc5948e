"""Association: finding, for each mask of each view, its instance (Sec. 3.2)."""

from proto_saga_ns.association.associate import (
    Association,
    apply_association,
    associate,
    ground_truth_association,
)
from proto_saga_ns.association.claims import View
from proto_saga_ns.association.mask_tracks import look_numbered_per_view
from proto_saga_ns.association.options import BANK, GAGA, PAPER, AssociationOptions, ConsensusOptions

__all__ = [
    "BANK",
    "GAGA",
    "PAPER",
    "Association",
    "AssociationOptions",
    "ConsensusOptions",
    "View",
    "apply_association",
    "associate",
    "ground_truth_association",
    "look_numbered_per_view",
]
