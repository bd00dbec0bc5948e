"""Atoms: small groups of Gaussians, close in space and in embedding, that association never takes apart.

k-means, with Gaussians weighted by what they contribute to the pixels of all views. Lloyd's algorithm is spelled out
here because scikit-learn's adds up in an order that changes with its threads.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

ROUNDS = 4
CHUNK_ELEMENTS = 1 << 20
"""Of a product that stays in the processor's cache."""
SAMPLES_PER_ATOM = 16
EMBEDDING_WEIGHT = 0.5
"""Of directions of embeddings against positions. Embeddings of one object differ more than they help, so that at 1 it
falls apart into atoms that lie through each other; at 0 what touches shares atoms (docs/results.md)."""
NO_ATOM = -1
MOST_AT_ONCE = 6000
"""Atoms of a scene that is not cut into blocks: as many as a room needs."""
MOST_IN_BLOCK = 2000
"""Atoms. All Gaussians of a block are compared with all of its centres."""


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
    once: Float[np.ndarray, " N"] | None = None,
) -> Atoms:
    """Group the Gaussians that have weight.

    Where more than ``MOST_AT_ONCE`` atoms are wanted, the scene is cut into blocks, each of which is grouped alone, as
    if it were a scene. So time is linear in Gaussians; and an embedding that outweighs a place in a house does not
    outweigh it in a room.

    Args:
        means: centres, world frame.
        embeddings: of any length; their direction counts.
        weights: 0 for Gaussians that no view shows; they have no atom.
        count: how many atoms are wanted; fewer if there are fewer Gaussians.
        seed: of the start.
        once: what decides how many atoms a block gets; by default the weights. Weights in all views would give more to
            what more views show.
    """
    shown = np.flatnonzero(weights > 0)
    of_gaussian = np.full(len(means), NO_ATOM, dtype=np.int64)
    rng, found = np.random.default_rng(seed), 0
    shares = (weights if once is None else once)[shown].astype(np.float64)
    for block, wanted in blocks(means[shown], shares, min(count, len(shown))):
        chosen = shown[block]
        own_weights = weights[chosen].astype(np.float64)
        points = joint_features(means[chosen], embeddings[chosen], own_weights)
        centers = _centers(points, own_weights, wanted, rng)
        names, atoms = np.unique(nearest_centers(points, centers), return_inverse=True)
        of_gaussian[chosen] = found + atoms
        found += len(names)
    return Atoms(of_gaussian, found)


def blocks(
    means: Float[np.ndarray, "M 3"], shares: Float[np.ndarray, " M"], count: int
) -> list[tuple[Int[np.ndarray, " _B"], int]]:
    """The scene cut in halves, along the axis on which it is widest, until no block gets more than ``MOST_IN_BLOCK``.

    It is one block if it gets no more than ``MOST_AT_ONCE``.

    Args:
        means: centres.
        shares: in which a block gets atoms.
        count: of all atoms, M at the most.

    Returns:
        The Gaussians of each block, ascending, and its number of atoms: from 1 to the number of its Gaussians.
    """
    most = count if count <= MOST_AT_ONCE else MOST_IN_BLOCK
    found, left = [], [(np.arange(len(means)), count)] if len(means) else []
    while left:
        members, wanted = left.pop()
        if wanted <= most:
            found.append((members, wanted))
            continue
        lower = _lower_half(means[members], shares[members])
        sums = float(shares[members[lower]].sum()), float(shares[members[~lower]].sum())
        share = sums[0] / sum(sums) if sum(sums) > 0 else lower.mean()
        size = int(lower.sum())
        here = int(np.clip(round(wanted * share), max(wanted - (len(members) - size), 1), min(size, wanted - 1)))
        left += [(members[~lower], wanted - here), (members[lower], here)]
    return found


def _lower_half(means: Float[np.ndarray, "M 3"], shares: Float[np.ndarray, " M"]) -> Bool[np.ndarray, " M"]:
    """Which half of the weight lies below the weighted median of the widest axis; neither half is empty."""
    weights = shares if shares.any() else np.ones(len(shares))
    spreads = [_weighted_median(np.abs(axis - _weighted_median(axis, weights)), weights) for axis in means.T]
    order = np.argsort(means[:, int(np.argmax(spreads))], kind="stable")
    cumulated = np.cumsum(weights[order])
    size = int(np.searchsorted(cumulated, cumulated[-1] / 2)) + 1
    lower = np.zeros(len(means), dtype=bool)
    lower[order[: min(size, len(means) - 1)]] = True
    return lower


def atom_places(
    means: Float[np.ndarray, "N 3"], weights: Int[np.ndarray, " N"], atoms: Atoms
) -> Float[np.ndarray, "K 3"]:
    """Centres of atoms, by weight."""
    shown = np.flatnonzero(atoms.of_gaussian != NO_ATOM)
    owners, own = atoms.of_gaussian[shown], weights[shown].astype(np.float64)
    sums = [np.bincount(owners, own * axis, atoms.count) for axis in means[shown].T]
    return np.stack(sums, axis=1) / np.bincount(owners, own, atoms.count)[:, None]


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
