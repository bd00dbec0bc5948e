"""Consistency from matches, mask by mask: the approximation in Fig. 2 of MastSAM, for frames without depth.

Matched points of two frames a and b show the same place. A mask of a becomes a vector over the ids of b: how many of
its matched points land in each (those that land where b has no id are a component of their own). The same mask in b is
the one-hot vector of its id. Of their similarity there are two readings, and both are reported:

- *share*: the part of the matched points that land in the mask of the same id. This is Eq. 5 with the matched points
  for counterparts, averaged over the mask, and so the approximation of ``pixel_consistency``.
- *cosine* of the two vectors. Never lower than the share: a mask of which a third lands elsewhere still has 0.89.

Masks are weighted by their area in pixels, as the mean over pixels in Eq. 6 has it, wherever the matches lie. Both
directions count. Masks without a match cannot be compared; how much is compared is reported.

**Degenerate answers score 100** here, too: see ``consistency``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int, Int64

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.evaluation.consistency import Degeneracy
from proto_saga_ns.labels import resize_label_map
from proto_saga_ns.mastsam.frames import Frame
from proto_saga_ns.mastsam.matches import Matches, pixels_of

MatchFrames = Callable[[Frame, Frame], Matches]


@dataclass(frozen=True)
class MaskConsistency:
    """Figures of a sequence.

    Attributes:
        share: mean over masks, by area, of the share of matched points that keep their id, in [0, 1].
        cosine: the same of the cosine of feature vectors.
        compared: share of the labelled area that is in masks with a match.
        num_pairs: pairs of frames.
        num_matches: matched points in all pairs.
        degeneracy: to be looked at beside the score.
    """

    share: float
    cosine: float
    compared: float
    num_pairs: int
    num_matches: int
    degeneracy: Degeneracy

    def figures(self) -> dict[str, float | int]:
        """What a table shows; ratios as percentages."""
        return {
            "consistency": 100 * self.share,
            "consistency (cosine of masks)": 100 * self.cosine,
            "compared pixels": 100 * self.compared,
            **self.degeneracy.figures(),
            "pairs of frames": self.num_pairs,
            "matches": self.num_matches,
        }


def mask_consistency(
    frames: Sequence[Frame],
    label_maps: Sequence[Int[np.ndarray, "_ _"]],
    match: MatchFrames,
    *,
    window: int = 1,
) -> MaskConsistency:
    """Match neighbouring frames, and compare the masks of each pair.

    Args:
        frames: in the order of the sequence; read one after another.
        label_maps: of each frame; resized (nearest) to its size.
        match: finds the matches of two frames.
        window: compare frames that are at most so many places apart; 1 compares adjacent ones, as the paper does.

    Raises:
        ProtoSagaError: fewer than two frames, or no labelled pixel has a match.
    """
    total, num_pairs, num_matches = np.zeros(4), 0, 0
    for a in range(len(frames)):
        for b in range(a + 1, min(a + window + 1, len(frames))):
            pair = frames[a], frames[b]
            labels_a = resize_label_map(label_maps[a], *pair[0].size)
            labels_b = resize_label_map(label_maps[b], *pair[1].size)
            matches = match(*pair)
            total += compare_masks(labels_a, labels_b, matches)
            total += compare_masks(labels_b, labels_a, matches.reversed())
            num_pairs, num_matches = num_pairs + 1, num_matches + len(matches)
    share, cosine, compared, labelled = total.tolist()
    if not compared:
        raise ProtoSagaError(
            f"No labelled pixel has a match in the {num_pairs} pairs of {len(frames)} frames. Give frames in the order "
            "of a sequence that overlap, or another matcher."
        )
    degeneracy = Degeneracy.of(label_maps)
    return MaskConsistency(share / compared, cosine / compared, compared / labelled, num_pairs, num_matches, degeneracy)


def compare_masks(
    labels_a: Int[np.ndarray, "H W"], labels_b: Int[np.ndarray, "H2 W2"], matches: Matches
) -> tuple[float, float, float, float]:
    """Sums over the masks of a, in pixels.

    Returns:
        Area times share, area times cosine, area of the masks with a match, area of all masks.
    """
    areas = np.bincount(labels_a.reshape(-1))
    areas[0] = 0
    ids, features = mask_features(_at(labels_a, matches.xy_a), _at(labels_b, matches.xy_b))
    same = features[np.arange(len(ids)), ids] if len(ids) else np.zeros(0)
    area = areas[ids]
    share = float((area * same / features.sum(axis=1)).sum())
    cosine = float((area * same / np.linalg.norm(features, axis=1)).sum())
    return share, cosine, float(area.sum()), float(areas.sum())


def mask_features(
    from_ids: Int[np.ndarray, " N"], to_ids: Int[np.ndarray, " N"]
) -> tuple[Int64[np.ndarray, " K"], Int64[np.ndarray, "K L"]]:
    """Each mask of a as a vector over the ids of b.

    Args:
        from_ids, to_ids: what each matched point lies on in a and in b.

    Returns:
        The ids of a that have a match, ascending, without 0, and for each how many points land on ids 0 to L - 1 of b.
    """
    ids = np.unique(from_ids[from_ids > 0]).astype(np.int64)
    size = int(max(from_ids.max(initial=0), to_ids.max(initial=0))) + 1
    labelled = from_ids > 0
    cells = np.searchsorted(ids, from_ids[labelled]) * size + to_ids[labelled]
    return ids, np.bincount(cells, minlength=len(ids) * size).reshape(len(ids), size)


def _at(labels: Int[np.ndarray, "H W"], xy: np.ndarray) -> Int[np.ndarray, " N"]:
    row, column = pixels_of(xy).T
    return labels[row, column]
