"""Masks show the same instance if groups of Gaussians ("atoms") lie in them together in most views that see them.

No view comes first, so nothing depends on the order of views or of labels.
"""

from proto_saga_ns.association.consensus.agreement import MergeTree
from proto_saga_ns.association.consensus.blended_views import BlendedView, BlendedViews, RememberedViews, blend_views
from proto_saga_ns.association.consensus.consensus import Consensus, find_consensus

__all__ = [
    "BlendedView",
    "BlendedViews",
    "Consensus",
    "MergeTree",
    "RememberedViews",
    "blend_views",
    "find_consensus",
]
