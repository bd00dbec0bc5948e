"""Boxes of what a phrase means, by Grounding DINO through the package ``transformers`` (extra ``text``)."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.kernels.device import memory_errors_are_explained, network_device
from proto_saga_ns.masks.phrases.options import SWIN_B, TextOptions
from proto_saga_ns.masks.segmenters.hub import load_pretrained

if TYPE_CHECKING:
    from transformers import GroundingDinoForObjectDetection

WITHOUT_MODEL = 'Boxes drawn by hand need no such model: proto-saga find "..." --boxes X0 Y0 X1 Y1.'


@dataclass(frozen=True)
class FoundBoxes:
    """Boxes of what a phrase means, the best first.

    Attributes:
        xyxy: left, top, right, bottom in pixels from the image's top left corner, inside the image.
        scores: how well each agrees with its best word, in [0, 1].
        words: those words of the phrase that each was found for; may be empty.
    """

    xyxy: Float[np.ndarray, "B 4"]
    scores: Float[np.ndarray, " B"]
    words: tuple[str, ...]


def normalise_phrase(phrase: str) -> str:
    """The phrase as Grounding DINO was trained on it: lower case, single spaces, each part ended by a dot.

    Several things are parted by dots: "Red chair. Table" becomes "red chair. table.".

    Raises:
        ProtoSagaError: there is no letter or digit in it.
    """
    if not any(character.isalnum() for character in phrase):
        raise ProtoSagaError(f'The phrase "{phrase}" is empty. Say what to look for, such as "red chair".')
    parts = (" ".join(part.lower().split()) for part in phrase.split("."))
    return ". ".join(part for part in parts if part) + "."


class GroundingDino:
    """Grounding DINO. Loads the model when first needed."""

    def __init__(self, options: TextOptions | None = None) -> None:
        self._options = options or TextOptions()
        self._loaded: tuple[GroundingDinoForObjectDetection, Any] | None = None

    def load(self) -> tuple[GroundingDinoForObjectDetection, Any]:
        """Model and processor, loaded once.

        Raises:
            ProtoSagaError: the extra is not installed, or the weights are missing or bad.
        """
        if self._loaded is None:
            self._loaded = _load(self._options)
        return self._loaded

    def boxes(self, rgb: UInt8[np.ndarray, "H W 3"], phrase: str) -> FoundBoxes:
        """Boxes of what a phrase means in an image.

        Raises:
            ProtoSagaError: see ``load`` and ``normalise_phrase``; or the phrase is too long.
        """
        text = normalise_phrase(phrase)
        model, processor = self.load()
        inputs = processor(images=Image.fromarray(rgb), text=text, return_tensors="pt")
        _check_length(inputs["input_ids"].shape[1], model.config.max_text_len, phrase)
        outputs = _ask(model, inputs)
        # The ids of the words are handed over: transformers 4 does not always find them in the outputs.
        [found] = processor.post_process_grounded_object_detection(
            outputs,
            inputs["input_ids"],
            threshold=self._options.box_threshold,
            text_threshold=self._options.text_threshold,
            target_sizes=[rgb.shape[:2]],
        )
        words = [_words(text, processor.tokenizer.all_special_tokens) for text in found["text_labels"]]
        return _best_first(found["boxes"].cpu().numpy(), found["scores"].cpu().numpy(), words, rgb.shape[:2])


def _ask(model: GroundingDinoForObjectDetection, inputs: Any) -> Any:
    import torch

    smaller = "Try the smaller model: --grounding-dino IDEA-Research/grounding-dino-tiny."
    with torch.no_grad(), memory_errors_are_explained("Grounding DINO", lambda: smaller):
        return model(**inputs.to(model.device))


def _words(decoded: str, special: list[str]) -> str:
    """The words that word pieces were decoded to, without dots and tokens such as [SEP]."""
    return " ".join(word for word in decoded.replace(".", " ").split() if word not in special)


def _best_first(
    xyxy: Float[np.ndarray, "B 4"], scores: Float[np.ndarray, " B"], words: list[str], size: tuple[int, ...]
) -> FoundBoxes:
    height, width = size
    order = np.argsort(-scores, kind="stable")
    # The model says centre and size, so a box may reach beyond the image.
    inside = xyxy.astype(np.float64).clip(0, [width, height, width, height])
    return FoundBoxes(inside[order], scores[order], tuple(words[index] for index in order))


def _check_length(tokens: int, most: int, phrase: str) -> None:
    """The model would cut a longer phrase, and fail on the rest."""
    if tokens > most:
        raise ProtoSagaError(
            f'The phrase "{phrase[:60]}..." has {tokens} word pieces; Grounding DINO takes {most}. Use fewer words.'
        )


def _load(options: TextOptions) -> tuple[GroundingDinoForObjectDetection, Any]:
    if find_spec("transformers") is None:
        raise ProtoSagaError(
            "Finding things by a phrase needs the package transformers, 4.56 or newer, which is not installed. "
            f'Install it with: pip install "proto_saga_ns[text]". {WITHOUT_MODEL}'
        )
    try:
        classes = ("GroundingDinoForObjectDetection", "AutoProcessor")
        model, processor = load_pretrained(options.grounding_dino, options.revision, *classes)
        return model.to(network_device()).eval(), _checked(processor)
    except (OSError, ValueError, KeyError, RuntimeError, ImportError, AttributeError, TypeError) as error:
        reason = " ".join(str(error).split())[:300]
        raise ProtoSagaError(
            f"The model {options.grounding_dino} cannot be loaded: {reason} Give the name of a Grounding DINO on "
            "huggingface.co, or a folder that holds one, with --grounding-dino. Without a connection: on another "
            f"machine `hf download {SWIN_B} --local-dir DIR`, then bring the folder here. {WITHOUT_MODEL}"
        ) from error


def _checked(processor: Any) -> Any:
    """A processor that can turn answers into boxes.

    Raises:
        ValueError: it is that of another kind of model.
    """
    if not hasattr(processor, "post_process_grounded_object_detection"):
        raise ValueError(f"its processor is a {type(processor).__name__}, not that of Grounding DINO.")
    return processor
