"""Masks show the same instance if groups of Gaussians ("atoms") lie in them together in most views that see them.

No view comes first, so nothing depends on the order of views or of labels.
"""

from proto_saga_ns.association.consensus.agglomeration import MergeTree
from proto_saga_ns.association.consensus.blended_views import BlendedView, BlendedViews, RememberedViews
from proto_saga_ns.association.consensus.pipeline import Consensus, find_consensus
from proto_saga_ns.association.consensus.rendered_views import blend_views

__all__ = [
    "BlendedView",
    "BlendedViews",
    "Consensus",
    "MergeTree",
    "RememberedViews",
    "blend_views",
    "find_consensus",
]
