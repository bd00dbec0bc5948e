"""To which instances each Gaussian belongs, by the masks that it contributes to."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int32
from scipy.sparse import coo_array, csr_array

from proto_saga_ns.association.claims import Progress
from proto_saga_ns.association.consensus.blended_views import BlendedView, BlendedViews
from proto_saga_ns.association.consensus.mask_instances import Instances
from proto_saga_ns.votes import Votes


def count_votes(
    views: BlendedViews, instances: Instances, num_gaussians: int, pure: float, top: int, progress: Progress = iter
) -> Votes:
    """Add up the votes of all masks that are pure enough.

    A mask votes for its instance with the weight of the Gaussian in it times its purity. Memory is linear in the
    different pairs of a Gaussian and an instance.

    Args:
        views: blend weights.
        instances: of the masks.
        num_gaussians: N.
        pure: purity above which a mask votes.
        top: F.
        progress: wrapped around the view indices.
    """
    shape = (num_gaussians, len(instances.support) + 1)
    total = csr_array(shape, dtype=np.int64)
    for index in progress(range(len(views))):
        total = total + _votes_of_view(views[index], instances.of_mask[index], instances.purity[index], pure, shape)
    return _largest(coo_array(total), num_gaussians, top)


def _votes_of_view(
    view: BlendedView,
    of_mask: Int32[np.ndarray, " L+1"],
    purity: Float[np.ndarray, " L+1"],
    pure: float,
    shape: tuple[int, int],
) -> csr_array:
    ids = np.where(purity > pure, of_mask, 0)[view.labels]
    voting = ids > 0
    # Whole units again, so that sums stay exact.
    units = np.rint(view.units[voting] * purity[view.labels[voting]]).astype(np.int64)
    return csr_array(coo_array((units, (view.gaussians[voting], ids[voting])), shape=shape))


def _largest(total: coo_array, num_gaussians: int, top: int) -> Votes:
    """The ``top`` largest entries of each row as shares of the row's sum; the smallest ids among equals."""
    rows, ids = total.coords
    sums = np.bincount(rows, total.data, num_gaussians)
    order = np.lexsort((ids, -total.data, rows))
    rows, ids, units = rows[order], ids[order], total.data[order]
    rank = np.arange(len(rows)) - np.searchsorted(rows, np.arange(num_gaussians))[rows]
    kept = (rank < top) & (units > 0)
    labels = np.zeros((num_gaussians, top), dtype=np.int32)
    shares = np.zeros((num_gaussians, top), dtype=np.float32)
    labels[rows[kept], rank[kept]] = ids[kept]
    shares[rows[kept], rank[kept]] = units[kept] / sums[rows[kept]]
    return Votes(torch.from_numpy(labels), torch.from_numpy(shares))
