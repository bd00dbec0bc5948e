"""Where the masks of phrases come from; nothing here is heavy, so that bad input is answered before a run is opened."""

from __future__ import annotations

from pathlib import Path

from proto_saga_ns.masks.phrases.find import TextFinder
from proto_saga_ns.masks.phrases.grounding import normalise_phrase
from proto_saga_ns.masks.phrases.options import TextOptions
from proto_saga_ns.masks.phrases.sources import TextMasks, masks_by_model, masks_in_boxes, masks_in_folder


def loaded_finder(options: TextOptions, phrase: str | None) -> TextFinder:
    """A finder with its models; without a phrase only what boxes need.

    Raises:
        ProtoSagaError: the phrase says nothing, an extra is not installed, or weights are missing or bad.
    """
    finder = TextFinder(options)
    if phrase is not None:
        normalise_phrase(phrase)
    finder.load(with_text=phrase is not None)
    return finder


def text_masks(folder: Path | None, boxes: Path | None, options: TextOptions) -> TextMasks:
    """From files, from boxes, or, if neither are given, by the text model; what they need is looked for at once.

    Args:
        folder: holds <phrase>.png.
        boxes: JSON file with the boxes of every phrase.

    Raises:
        ProtoSagaError: something is missing.
    """
    if folder is not None:
        return masks_in_folder(folder)
    finder = TextFinder(options)
    return masks_by_model(finder) if boxes is None else masks_in_boxes(boxes, finder)
