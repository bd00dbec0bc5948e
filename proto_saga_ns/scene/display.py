"""What of a segmented scene is shown, and how; saved with it, so that ns-render shows what the viewer showed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal, get_args

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from proto_saga_ns.recognition.gaussian_instances import GaussianInstances
from proto_saga_ns.recognition.granularity import OBJECTS

Background = Literal["dimmed", "black", "white", "transparent"]

REST = 0
"""Stands among instance ids for everything that belongs to no instance."""


@dataclass(frozen=True)
class Display:
    """Which instances are shown, and how.

    Attributes:
        selected: instances that are highlighted, and all that the output ``object`` shows; none means all.
        hidden: instances that are taken out of the scene in our outputs, even if selected; 0 is what belongs to no
            instance, and Gaussians that are hardly seen.
        background: of the output ``object``: the rest of the scene dimmed, or taken out before black, white or a
            checkerboard (which stands for transparency).
        outline: width in pixels of the line around selected instances; 0 draws none.
        overlay_opacity: of the instance colours in ``segmentation_overlay``, in [0, 1].
        min_confidence: pixels recognised with less are shown as unlabelled, in [0, 1].
        granularity: in [0, 1]; of the colours of instances. 0.5 tells objects apart, less groups, more parts
            (``levels.py``).
    """

    selected: tuple[int, ...] = ()
    hidden: tuple[int, ...] = ()
    background: Background = "dimmed"
    outline: int = 2
    overlay_opacity: float = 0.6
    min_confidence: float = 0.0
    granularity: float = OBJECTS

    def __post_init__(self) -> None:
        if self.background not in get_args(Background):
            raise ValueError(f"background {self.background!r}, expected one of {get_args(Background)}")
        if self.outline < 0:
            raise ValueError(f"outline of {self.outline} pixels")
        for value in (self.overlay_opacity, self.min_confidence, self.granularity):
            if not 0 <= value <= 1:
                raise ValueError(f"{value} is not in [0, 1]")

    def is_hidden(self, ids: Int[Tensor, "*shape"]) -> Bool[Tensor, "*shape"]:
        """Where a map of instance ids shows something hidden."""
        return _is_in(ids, self.hidden)

    def is_shown(self, ids: Int[Tensor, "*shape"]) -> Bool[Tensor, "*shape"]:
        """Where a map of instance ids shows what ``object`` shows: the selected (or all), less the hidden."""
        visible = ~self.is_hidden(ids)
        return visible & _is_in(ids, self.selected) if self.selected else visible

    def hides(self, gaussians: GaussianInstances) -> Bool[Tensor, " N"]:
        """Which Gaussians are taken out of the scene: of what is hidden; if the rest is, those hardly seen, too."""
        hidden = self.is_hidden(gaussians.ids)
        return hidden | (gaussians.confidence == 0) if REST in self.hidden else hidden

    def shows(self, gaussians: GaussianInstances) -> Bool[Tensor, " N"]:
        """Which Gaussians ``object`` shows before another background."""
        visible = ~self.hides(gaussians)
        return visible & _is_in(gaussians.seen_ids, self.selected) if self.selected else visible

    def selecting(self, ids: Iterable[int]) -> Display:
        """The same with other instances selected; what is selected is not hidden."""
        chosen = tuple(sorted({*ids} - {REST}))
        return replace(self, selected=chosen, hidden=_without(self.hidden, chosen))

    def hiding(self, ids: Iterable[int]) -> Display:
        """The same with more instances hidden; what is hidden is not selected."""
        gone = {*self.hidden, *ids}
        return replace(self, hidden=tuple(sorted(gone)), selected=_without(self.selected, gone))

    def isolating(self, ids: Iterable[int], known: Iterable[int]) -> Display:
        """The same with everything hidden but ``ids``."""
        kept = {*ids}
        return replace(self, selected=tuple(sorted(kept - {REST})), hidden=tuple(sorted({REST, *known} - kept)))

    def limited_to(self, known: Iterable[int]) -> Display:
        """The same without the ids of instances that are no more."""
        known = {REST, *known}
        return replace(
            self,
            selected=tuple(number for number in self.selected if number in known),
            hidden=tuple(number for number in self.hidden if number in known),
        )


def _without(ids: tuple[int, ...], gone: Iterable[int]) -> tuple[int, ...]:
    return tuple(number for number in ids if number not in {*gone})


def _is_in(ids: Int[Tensor, "*shape"], wanted: tuple[int, ...]) -> Bool[Tensor, "*shape"]:
    return torch.isin(ids, torch.tensor(wanted, dtype=ids.dtype, device=ids.device))
