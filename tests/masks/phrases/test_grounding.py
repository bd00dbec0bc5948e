"""Grounding DINO: the real classes with small random weights, loaded as the real weights are."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.masks.phrases.grounding import GroundingDino, normalise_phrase
from proto_saga_ns.masks.phrases.options import TextOptions
from tests.masks.phrases.tiny_grounding import save_tiny_grounding_dino
from tests.masks.segmenters.tiny_models import photo

WIDTH, HEIGHT = 96, 64
PHRASE = "red chair. a table."


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_grounding_dino(tmp_path_factory.mktemp("grounding"))


def make(folder: Path | str, **changes: Any) -> GroundingDino:
    return GroundingDino(TextOptions(grounding_dino=str(folder), **{"box_threshold": 0.0, **changes}))


def test_boxes_are_what_the_model_says_in_pixels(folder: Path) -> None:
    grounding = make(folder, box_threshold=0.5)
    found = grounding.boxes(photo((WIDTH, HEIGHT)), PHRASE)
    model, processor = grounding.load()
    inputs = processor(images=Image.fromarray(photo((WIDTH, HEIGHT))), text=PHRASE, return_tensors="pt")
    with torch.no_grad():
        outputs = model(**inputs)
    expected = []
    for (x, y, w, h), logits in zip(outputs.pred_boxes[0].tolist(), outputs.logits[0].sigmoid(), strict=True):
        if logits.max() > 0.5:
            corners = ((x - w / 2) * WIDTH, (y - h / 2) * HEIGHT, (x + w / 2) * WIDTH, (y + h / 2) * HEIGHT)
            expected.append((float(logits.max()), corners))
    expected.sort(reverse=True)
    assert 1 < len(expected) < len(outputs.pred_boxes[0])
    np.testing.assert_allclose(found.scores, [score for score, _ in expected], rtol=1e-5)
    limits = [WIDTH, HEIGHT, WIDTH, HEIGHT]
    np.testing.assert_allclose(found.xyxy, np.clip([box for _, box in expected], 0, limits), atol=1e-3)


def test_every_box_lies_in_the_image_and_tells_its_words(folder: Path) -> None:
    for size in ((WIDTH, HEIGHT), (50, 90)):
        found = make(folder).boxes(photo(size), PHRASE)
        assert found.xyxy.shape == (12, 4) and found.scores.shape == (12,) and len(found.words) == 12
        assert (found.xyxy[:, :2] <= found.xyxy[:, 2:]).all() and (np.diff(found.scores) <= 0).all()
        assert (found.xyxy >= 0).all() and (found.xyxy <= [*size, *size]).all()
        assert set(" ".join(found.words).split()) <= {"red", "chair", "a", "table"}
    # Above a threshold that no word reaches, the boxes stay and have no words.
    silent = make(folder, text_threshold=np.nextafter(1, 0)).boxes(photo(size), PHRASE)
    assert any(found.words) and not any(silent.words)
    np.testing.assert_array_equal(silent.xyxy, found.xyxy)


def test_a_higher_threshold_keeps_the_best(folder: Path) -> None:
    every = make(folder).boxes(photo(), PHRASE)
    for threshold in (0.2, 0.5, float(np.nextafter(1, 0))):
        some = make(folder, box_threshold=threshold).boxes(photo(), PHRASE)
        kept = int((every.scores > threshold).sum())
        np.testing.assert_array_equal(some.xyxy, every.xyxy[:kept])
        assert some.xyxy.shape == (kept, 4) and some.words == every.words[:kept]
    assert kept < len(every.scores)


def test_the_same_question_has_the_same_answer_however_it_is_spelt(folder: Path) -> None:
    grounding = make(folder)
    first = grounding.boxes(photo(), PHRASE)
    for other, spelling in ((grounding, "  Red\n CHAIR .. A table "), (make(folder), PHRASE)):
        again = other.boxes(photo(), spelling)
        np.testing.assert_array_equal(again.xyxy, first.xyxy)
        assert again.words == first.words
    assert not np.array_equal(grounding.boxes(photo(), "a small green lamp").scores, first.scores)


@given(st.text(max_size=30))
def test_phrases_as_the_model_was_trained_on_them(phrase: str) -> None:
    if not any(character.isalnum() for character in phrase):
        with pytest.raises(ProtoSagaError, match="is empty"):
            normalise_phrase(phrase)
        return
    said = normalise_phrase(phrase)
    assert said == said.lower() and said.endswith(".") and not said.startswith(".")
    assert normalise_phrase(said) == said
    letters = [character for character in phrase.lower() if character.isalnum()]
    assert [character for character in said if character.isalnum()] == letters


def test_phrases_with_more_words_than_the_model_takes(folder: Path) -> None:
    assert len(make(folder).boxes(photo(), "red " * 21).scores) == 12
    with pytest.raises(ProtoSagaError, match="has 25 word pieces; Grounding DINO takes 24"):
        make(folder).boxes(photo(), "red " * 22)


def test_models_that_cannot_be_had_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ProtoSagaError, match=r"nobody/nothing cannot.* does not answer.*--grounding-dino.*--boxes"):
        make("nobody/nothing").load()
    with pytest.raises(ProtoSagaError, match=f"there is no folder {tmp_path}/absent"):
        make(tmp_path / "absent").load()
    with pytest.raises(ProtoSagaError, match=f"{tmp_path} cannot be loaded.*a folder that holds one"):
        make(tmp_path).load()
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(ProtoSagaError, match=f"{tmp_path} cannot be loaded.*a folder that holds one"):
        make(tmp_path).load()


def test_a_folder_without_a_tokenizer_is_no_model(folder: Path, tmp_path: Path) -> None:
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    with pytest.raises(ProtoSagaError, match=f"{tmp_path} cannot be loaded"):
        make(tmp_path).load()


def test_without_the_extra_the_message_says_how_to_install_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ProtoSagaError, match=r'pip install "proto_saga_ns\[text\]"'):
        make(folder).load()
