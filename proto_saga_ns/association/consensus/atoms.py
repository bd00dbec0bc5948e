"""Atoms: small groups of Gaussians, close in space and in embedding, that association never takes apart.

k-means, with Gaussians weighted by what they contribute to the pixels of all views. Lloyd's algorithm is spelled out
here because scikit-learn's adds up in an order that changes with its threads.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

ROUNDS = 4
CHUNK_ELEMENTS = 1 << 20
"""Of a product that stays in the processor's cache."""
SAMPLES_PER_ATOM = 16
EMBEDDING_WEIGHT = 0.5
"""Of directions of embeddings against positions. Embeddings of one object differ more than they help, so that at 1 it
falls apart into atoms that lie through each other; at 0 what touches shares atoms (docs/results.md)."""
NO_ATOM = -1


@dataclass(frozen=True)
class Atoms:
    """K atoms.

    Attributes:
        of_gaussian: atom of each Gaussian, 0..K-1; -1 for one that no view shows.
        count: K.
    """

    of_gaussian: Int[np.ndarray, " N"]
    count: int


def find_atoms(
    means: Float[np.ndarray, "N 3"],
    embeddings: Float[np.ndarray, "N D"],
    weights: Int[np.ndarray, " N"],
    count: int,
    seed: int = 0,
) -> Atoms:
    """Group the Gaussians that have weight.

    Args:
        means: centres, world frame.
        embeddings: of any length; their direction counts.
        weights: 0 for Gaussians that no view shows; they have no atom.
        count: how many atoms are wanted; fewer if there are fewer Gaussians.
        seed: of the start.
    """
    shown = np.flatnonzero(weights > 0)
    of_gaussian = np.full(len(means), NO_ATOM, dtype=np.int64)
    if len(shown) == 0:
        return Atoms(of_gaussian, 0)
    points = joint_features(means[shown], embeddings[shown], weights[shown].astype(np.float64))
    centers = _centers(points, weights[shown].astype(np.float64), min(count, len(shown)), np.random.default_rng(seed))
    names, atoms = np.unique(nearest_centers(points, centers), return_inverse=True)
    of_gaussian[shown] = atoms
    return Atoms(of_gaussian, len(names))


def joint_features(
    means: Float[np.ndarray, "N 3"], embeddings: Float[np.ndarray, "N D"], weights: Float[np.ndarray, " N"]
) -> Float[np.ndarray, "N D+3"]:
    """Positions and directions of embeddings side by side, each with a total variance of one, times their weights.

    Positions far outside are drawn near first, so that a distant background does not use up the variance.
    """
    lengths = np.linalg.norm(embeddings, axis=1, keepdims=True)
    directions = embeddings / np.maximum(lengths, 1e-12)
    blocks = [_unit_variance(block.astype(np.float64), weights) for block in (_contracted(means, weights), directions)]
    return np.concatenate([blocks[0], EMBEDDING_WEIGHT * blocks[1]], axis=1).astype(np.float32)


def _contracted(means: Float[np.ndarray, "N 3"], weights: Float[np.ndarray, " N"]) -> Float[np.ndarray, "N 3"]:
    """Relative to the weighted median; beyond twice the median distance r, at most four times r away."""
    offsets = means - np.array([_weighted_median(axis, weights) for axis in means.T])
    distances = np.linalg.norm(offsets, axis=1)
    radius = max(2 * _weighted_median(distances, weights), 1e-12)
    relative = np.maximum(distances / radius, 1.0)[:, None]
    return offsets / radius * (2 - 1 / relative) / relative


def _weighted_median(values: Float[np.ndarray, " N"], weights: Float[np.ndarray, " N"]) -> float:
    order = np.argsort(values, kind="stable")
    cumulated = np.cumsum(weights[order])
    return float(values[order[np.searchsorted(cumulated, cumulated[-1] / 2)]])


def _unit_variance(block: Float[np.ndarray, "N C"], weights: Float[np.ndarray, " N"]) -> Float[np.ndarray, "N C"]:
    centered = block - np.average(block, axis=0, weights=weights)
    variance = np.average((centered**2).sum(axis=1), weights=weights)
    return centered / np.sqrt(max(variance, 1e-24))


def _centers(
    points: Float[np.ndarray, "N F"], weights: Float[np.ndarray, " N"], count: int, rng: np.random.Generator
) -> Float[np.ndarray, "K F"]:
    """Lloyd's algorithm, on a sample where there are many points."""
    limit = SAMPLES_PER_ATOM * count
    if len(points) > limit:
        drawn = np.sort(rng.choice(len(points), limit, replace=False))
        points, weights = points[drawn], weights[drawn]
    chosen = rng.choice(len(points), count, replace=False, p=weights / weights.sum())
    centers = points[np.sort(chosen)]
    for _ in range(ROUNDS):
        centers = _means(points, weights, nearest_centers(points, centers), centers)
    return centers


def nearest_centers(points: Float[np.ndarray, "N F"], centers: Float[np.ndarray, "K F"]) -> Int[np.ndarray, " N"]:
    """The nearest centre of each point, the first of equals; float32."""
    # Half of the squared distance but for what is the same for all centres, as one product.
    products = np.concatenate([-centers.T, (centers**2).sum(axis=1)[None] / 2]).astype(np.float32)
    nearest = np.empty(len(points), dtype=np.int64)
    size = max(CHUNK_ELEMENTS // len(centers), 1)
    for start in range(0, len(points), size):
        chunk = points[start : start + size]
        nearest[start : start + size] = (_with_one(chunk) @ products).argmin(axis=1)
    return nearest


def _with_one(points: Float[np.ndarray, "N F"]) -> Float[np.ndarray, "N F+1"]:
    return np.concatenate([points, np.ones((len(points), 1))], axis=1, dtype=np.float32)


def _means(
    points: Float[np.ndarray, "N F"],
    weights: Float[np.ndarray, " N"],
    nearest: Int[np.ndarray, " N"],
    centers: Float[np.ndarray, "K F"],
) -> Float[np.ndarray, "K F"]:
    """Weighted means; a centre without points stays where it is."""
    count = len(centers)
    totals = np.bincount(nearest, weights, count)
    sums = np.stack([np.bincount(nearest, weights * column, count) for column in points.T], axis=1)
    means = sums / np.maximum(totals, 1e-300)[:, None]
    return np.where(totals[:, None] > 0, means, centers).astype(np.float32)
