"""Prototypes: one feature per instance, and the segmentation of a view by the nearest of them (Sec. 3.3).

Row ``t - 1`` of a (T, D) matrix of prototypes belongs to instance ``t``; label 0 is no instance.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int, Int32, Int64
from torch import Tensor
from torch.nn import functional as F

DEFAULT_TAU = 10.0
DEFAULT_MIN_ALPHA = 0.5

MIN_LENGTH = 1e-12
"""Shorter features and prototypes have no direction."""

# Elements of the score matrix that is filled chunk by chunk. A CPU wants it in cache, a GPU few launches.
CPU_CHUNK_ELEMENTS = 1 << 20
GPU_CHUNK_ELEMENTS = 1 << 25


def view_prototypes(
    features: Float[Tensor, "H W D"], labels: Int[Tensor, "H W"], num_instances: int
) -> tuple[Float[Tensor, "T D"], Int64[Tensor, " T"]]:
    """Mean feature over the pixels of each instance in one view (Eq. 17).

    Args:
        features: rendered feature map.
        labels: consistent label map of the view, 0 = unlabelled; moved to the features' device.
        num_instances: T; labels lie in [0, T].

    Returns:
        The means, zero for an instance without pixels, and the number of pixels of each instance.

    Raises:
        ValueError: sizes differ or a label is out of range.
    """
    sums, counts = _sum_by_label(features, labels, num_instances)
    return (sums / counts.clamp_min(1)[:, None]).to(features.dtype), counts


class PrototypeEnsemble:
    """Averages the prototypes of views as the views come (Eqs. 17 and 18).

    An instance's average is over the views that contain it: a view without it has nothing to say about it.

    Attributes:
        pixels: (T,) labelled pixels of each instance over all views.
        n_views: (T,) number of views that contain the instance.
    """

    def __init__(self, num_instances: int, dim: int) -> None:
        self.pixels: Int64[Tensor, " T"] = torch.zeros(num_instances, dtype=torch.int64)
        self.n_views: Int64[Tensor, " T"] = torch.zeros(num_instances, dtype=torch.int64)
        self._sums = torch.zeros(num_instances, dim, dtype=torch.float64)
        self._views: list[tuple[Int64[Tensor, " S"], Float[Tensor, "S D"]]] = []

    @torch.no_grad()
    def add(self, features: Float[Tensor, "H W D"], labels: Int[Tensor, "H W"]) -> None:
        """Take one view, as ``view_prototypes`` does.

        Raises:
            ValueError: sizes differ or a label is out of range.
        """
        means, counts = (part.cpu() for part in view_prototypes(features, labels, len(self.pixels)))
        seen = torch.nonzero(counts)[:, 0]
        self.pixels += counts
        self.n_views[seen] += 1
        self._sums[seen] += means[seen].double()
        self._views.append((seen + 1, means[seen]))

    def prototypes(self) -> Float[Tensor, "T D"]:
        """The averages over views, on the CPU; zero for an instance that no view contains."""
        return (self._sums / self.n_views.clamp_min(1)[:, None]).float()

    def view_prototypes(self) -> list[tuple[Int64[Tensor, " S"], Float[Tensor, "S D"]]]:
        """For each view, the instances (ids from 1) that it contains and their prototypes v_k(t)."""
        return list(self._views)


@torch.no_grad()
def classify(
    features: Float[Tensor, "H W D"],
    prototypes: Float[Tensor, "T D"],
    alpha: Float[Tensor, "H W"],
    tau: float = DEFAULT_TAU,
    min_alpha: float = DEFAULT_MIN_ALPHA,
) -> tuple[Int32[Tensor, "H W"], Float[Tensor, "H W"]]:
    """Give each pixel the instance whose prototype has the highest cosine with its feature (Eq. 19).

    Memory beyond the results is bounded, whatever the number of instances.

    Args:
        features: rendered feature map, any scale.
        prototypes: any scale; a zero one has no direction and never wins. Moved to the features' device.
        alpha: accumulated opacity in [0, 1].
        tau: temperature of the cosine softmax.
        min_alpha: pixels below it get label 0.

    Returns:
        Labels in [0, T], and the softmax probability of the winner. Both are 0 where alpha is too small or
        the feature is zero or not finite.
    """
    confidence = features.new_zeros(features.shape[:2])
    return _classify(features, prototypes, alpha, min_alpha, tau, confidence), confidence


@torch.no_grad()
def nearest_instance(
    features: Float[Tensor, "H W D"],
    prototypes: Float[Tensor, "T D"],
    alpha: Float[Tensor, "H W"],
    min_alpha: float = DEFAULT_MIN_ALPHA,
) -> Int32[Tensor, "H W"]:
    """The labels of ``classify`` alone, in half its time."""
    return _classify(features, prototypes, alpha, min_alpha, 1.0, None)


def _classify(
    features: Float[Tensor, "H W D"],
    prototypes: Float[Tensor, "T D"],
    alpha: Float[Tensor, "H W"],
    min_alpha: float,
    tau: float,
    confidence: Float[Tensor, "H W"] | None,
) -> Int32[Tensor, "H W"]:
    """Labels of a view; fills ``confidence`` if it is given."""
    flat = F.normalize(features.reshape(-1, features.shape[-1]), dim=1, eps=MIN_LENGTH)
    unrecognised = (alpha.reshape(-1).to(flat.device) < min_alpha) | ~(flat.square().sum(dim=1) > 0.5)
    labels = torch.zeros(len(flat), dtype=torch.int32, device=flat.device)
    prototypes = prototypes.to(flat)
    ids = torch.nonzero(prototypes.norm(dim=1) > MIN_LENGTH)[:, 0]
    probabilities = None if confidence is None else confidence.view(-1)
    if len(ids):
        weights = tau * F.normalize(prototypes[ids], dim=1)
        _classify_chunks(flat, weights, (ids + 1).to(torch.int32), labels, probabilities)
    if probabilities is not None:
        probabilities.masked_fill_(unrecognised, 0.0)
    return labels.masked_fill_(unrecognised, 0).view(features.shape[:2])


def _classify_chunks(
    features: Float[Tensor, "P D"],
    weights: Float[Tensor, "T D"],
    ids: Int32[Tensor, " T"],
    labels: Int32[Tensor, " P"],
    confidence: Float[Tensor, " P"] | None,
) -> None:
    """Fill ``labels`` with the ids of the highest scores and ``confidence`` with their softmax.

    One buffer serves all chunks: fresh memory for each would cost more than the arithmetic.
    """
    elements = CPU_CHUNK_ELEMENTS if features.device.type == "cpu" else GPU_CHUNK_ELEMENTS
    size = min(max(elements // len(weights), 64), max(len(features), 1))
    buffer = features.new_empty(size, len(weights))
    for start in range(0, len(features), size):
        rows = slice(start, start + size)
        scores = buffer[: len(features[rows])]
        torch.mm(features[rows], weights.T, out=scores)
        winners = _argmax(scores)
        labels[rows] = ids[winners]
        if confidence is not None:
            best = scores.gather(1, winners[:, None])
            confidence[rows] = scores.sub_(best).exp_().sum(dim=1).reciprocal_()


def _argmax(scores: Float[Tensor, "P T"]) -> Int64[Tensor, " P"]:
    """Column of the highest score of each row, the first of equal ones."""
    if scores.device.type == "cpu":
        # numpy's is vectorised; torch's takes twice the time.
        return torch.from_numpy(scores.numpy().argmax(axis=1))
    return scores.argmax(dim=1)


def _sum_by_label(
    features: Float[Tensor, "H W D"], labels: Int[Tensor, "H W"], num_instances: int
) -> tuple[Float[Tensor, "T D"], Int64[Tensor, " T"]]:
    """Sums in double precision: a mask may have a million pixels, and a GPU adds them in any order."""
    if labels.shape != features.shape[:2]:
        raise ValueError(f"labels are {tuple(labels.shape)}, the feature map is {tuple(features.shape[:2])}")
    index = torch.as_tensor(labels, device=features.device).reshape(-1).long()
    if index.numel() and not 0 <= int(index.min()) <= int(index.max()) <= num_instances:
        raise ValueError(f"labels run from {index.min()} to {index.max()}, expected 0 to {num_instances}")
    flat = features.reshape(-1, features.shape[-1]).double()
    sums = flat.new_zeros(num_instances + 1, flat.shape[1]).index_add_(0, index, flat)
    counts = torch.bincount(index, minlength=num_instances + 1)
    return sums[1:], counts[1:]
