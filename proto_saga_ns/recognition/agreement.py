"""How often the segmentation of the training views agrees with the masks that it was made from.

A training view is known twice: as its masks were given to instances, and as the finished scene segments it. Where an
instance is real, the two show the same pixels in most views. A fragment that one mask in ten founded, or an instance
whose prototype recognises other things, is found by no truth but by this.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
from jaxtyping import Int

VISIBLE_SHARE = 1 / 2000
"""Share of a view from which on an instance counts as shown."""
DOUBTFUL = 0.4
"""Instances that agree with their masks in a smaller share of the views than this are doubtful."""
DOUBT = f"its masks and its pixels agree in less than {DOUBTFUL:.0%} of the training views that show it"
"""Why an instance is doubtful, for people."""


class MaskAgreement:
    """Takes the training views one at a time."""

    def __init__(self) -> None:
        self._shown: Counter[int] = Counter()
        self._agreeing: Counter[int] = Counter()

    def add(self, segmented: Int[np.ndarray, "H W"], masks: Int[np.ndarray, "H W"]) -> None:
        """Take one view.

        Args:
            segmented: the view's ids as the scene segments it; 0 = none.
            masks: the ids of its masks.
        """
        mine, given = segmented.reshape(-1), masks.reshape(-1)
        count = int(max(mine.max(initial=0), given.max(initial=0))) + 1
        both = np.bincount(mine[mine == given], minlength=count)
        sizes = [np.bincount(ids, minlength=count) for ids in (mine, given)]
        shown = np.maximum(*sizes) >= VISIBLE_SHARE * segmented.size
        shown[0] = False
        agreeing = shown & (2 * both > sum(sizes) - both)  # an IoU above one half
        self._shown.update(np.flatnonzero(shown).tolist())
        self._agreeing.update(np.flatnonzero(agreeing).tolist())

    def share(self, number: int) -> float:
        """Of the views that show an id, by its masks or segmented, those in which the two have an IoU above one half.

        0 if no view shows it.
        """
        return self._agreeing[number] / max(self._shown[number], 1)
