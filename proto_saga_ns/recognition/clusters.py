"""Prototypes by clustering: of the prototypes of views, or of rendered features without any association.

Both cluster directions, as features are compared by their cosine: vectors are brought to unit length first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int, Int64
from torch import Tensor
from torch.nn import functional as F

from proto_saga_ns.recognition.prototypes import DEFAULT_MIN_ALPHA, MIN_LENGTH


@dataclass(frozen=True)
class Clusters:
    """Result of a clustering.

    Attributes:
        prototypes: mean of the unit vectors of each cluster.
        assignment: row of the prototype of each vector; -1 for a vector that belongs to none.
    """

    prototypes: Float[Tensor, "T D"]
    assignment: Int64[Tensor, " N"]


def kmeans_prototypes(vectors: Float[Tensor, "N D"], num_clusters: int, seed: int = 0) -> Clusters:
    """K-Means over the prototypes v_k(t) of all views (Table 4, ``K-Means``).

    The paper sets the number of clusters to the number of instances that association found; k-means++ as its
    reference has it, with one start. Fewer different vectors than clusters give fewer clusters.

    Args:
        vectors: prototypes v_k(t) of all views, below each other; zero ones belong to no cluster.
        num_clusters: wanted.
        seed: of the start.
    """
    # Imported late: scikit-learn takes half a second that only users of this alternative shall pay.
    from sklearn.cluster import KMeans

    unit, usable = _unit_vectors(vectors)
    num_clusters = min(num_clusters, len(np.unique(unit, axis=0)))
    if num_clusters == 0:
        return _no_clusters(vectors)
    found = KMeans(num_clusters, n_init="auto", random_state=seed).fit_predict(unit)
    return _clusters(vectors, unit, usable, found)


def hdbscan_prototypes(
    features: Float[Tensor, "N D"],
    min_cluster_size: int = 50,
    min_samples: int = 10,
    max_features: int = 10_000,
    seed: int = 0,
) -> Clusters:
    """HDBSCAN over rendered features or prototypes of views, which needs no number of instances (Sec. 3.3).

    Time grows with the square of the number of features, so at most ``max_features`` of them, drawn at
    random, are clustered. The others and noise have the assignment -1; ``classify`` finds the nearest
    prototype for any feature.

    Args:
        features: of pixels of several views (``sample_features``); zero ones belong to no cluster.
        min_cluster_size: features that make an instance.
        min_samples: neighbours that make a region dense; more of them call more features noise.
        max_features: how many are clustered.
        seed: of the draw.
    """
    from sklearn.cluster import HDBSCAN

    unit, usable = _unit_vectors(features)
    if len(unit) > max_features:
        drawn = np.sort(np.random.default_rng(seed).choice(len(unit), max_features, replace=False))
        unit, usable = unit[drawn], usable[drawn]
    if len(unit) < max(min_cluster_size, min_samples, 2):
        return _no_clusters(features)
    sizes: dict[str, Any] = {"min_cluster_size": min_cluster_size, "min_samples": min_samples}
    found = HDBSCAN(**sizes, copy=False).fit_predict(unit)  # type: ignore[arg-type]  (its stub says str)
    return _clusters(features, unit, usable, found)


def sample_features(
    features: Float[Tensor, "H W D"], alpha: Float[Tensor, "H W"], count: int, seed: int = 0
) -> Float[Tensor, "S D"]:
    """At most ``count`` features of a view's opaque pixels, drawn at random without repetition, on the CPU.

    Args:
        features: rendered feature map.
        alpha: accumulated opacity; pixels under 0.5 are nobody's.
        count: how many.
        seed: of the draw; take another one for every view.
    """
    opaque = features.detach()[alpha >= DEFAULT_MIN_ALPHA].cpu()
    generator = torch.Generator().manual_seed(seed)
    return opaque[torch.randperm(len(opaque), generator=generator)[:count]]


def _unit_vectors(
    vectors: Float[Tensor, "N D"],
) -> tuple[Float[np.ndarray, "M D"], Int64[np.ndarray, " M"]]:
    """The vectors that have a direction, at unit length, and their rows."""
    values = vectors.detach().cpu().double()
    lengths = values.norm(dim=1)
    usable = torch.nonzero((lengths > MIN_LENGTH) & lengths.isfinite())[:, 0]
    return F.normalize(values[usable], dim=1).numpy(), usable.numpy()


def _clusters(
    vectors: Float[Tensor, "N D"],
    unit: Float[np.ndarray, "M D"],
    usable: Int64[np.ndarray, " M"],
    found: Int[np.ndarray, " M"],
) -> Clusters:
    """Means and assignment of the clusters that ``found`` names; negative ones are noise."""
    names, members = np.unique(found[found >= 0], return_inverse=True)
    sums = np.zeros((len(names), unit.shape[1]))
    np.add.at(sums, members, unit[found >= 0])
    means = sums / np.bincount(members, minlength=len(names))[:, None]
    assignment = np.full(len(vectors), -1, np.int64)
    assignment[usable[found >= 0]] = members
    return Clusters(torch.from_numpy(means).float(), torch.from_numpy(assignment))


def _no_clusters(vectors: Float[Tensor, "N D"]) -> Clusters:
    return Clusters(torch.zeros(0, vectors.shape[1]), torch.full((len(vectors),), -1))
