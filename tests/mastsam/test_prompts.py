"""Segment Anything is asked as its own predictor is asked by hand, and looks at each frame once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from proto_saga_ns.masks.segmenters.sam import load_sam
from proto_saga_ns.mastsam.frames import Frame
from proto_saga_ns.mastsam.prompts import Prompter, SamPrompter, SamPromptSettings, batches_of_equal_size
from tests.masks.segmenters.tiny_models import photo, save_tiny_sam

WIDTH, HEIGHT = 96, 48
GROUPS = [
    np.array([[10.5, 20.5]]),
    np.array([[50.0, 30.0], [60.0, 31.5], [20.0, 45.0]]),
    np.array([[90.2, 5.7]]),
    np.array([[0.5, 0.5], [95.5, 47.5], [40.0, 40.0]]),
    np.array([[30.0, 10.0]]),
]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_sam(tmp_path_factory.mktemp("sam") / "tiny.pth")


def make(checkpoint: Path, **options: Any) -> SamPrompter:
    return SamPrompter(SamPromptSettings(checkpoint=checkpoint, **options))


@pytest.fixture
def prompter(checkpoint: Path) -> SamPrompter:
    found = make(checkpoint)
    found.set_frame(Frame("a", photo((WIDTH, HEIGHT))))
    return found


def test_it_is_a_prompter(prompter: SamPrompter) -> None:
    kept: Prompter = prompter
    assert kept.name == "sam" and "sha256" in kept.settings["weights"]


@pytest.mark.parametrize("labels", [None, np.array([1, 0, 1])])
def test_the_same_as_by_hand(prompter: SamPrompter, checkpoint: Path, labels: np.ndarray | None) -> None:
    from segment_anything import SamPredictor

    by_hand = SamPredictor(load_sam(checkpoint))
    by_hand.set_image(photo((WIDTH, HEIGHT)))
    # The model's image is 64 pixels wide: half of its pixel is three quarters of ours.
    masks, scores, _ = by_hand.predict(GROUPS[1] - 0.75, np.ones(3) if labels is None else labels)
    mask, score = prompter.mask_of(GROUPS[1], labels)
    assert mask.shape == (HEIGHT, WIDTH) and mask.dtype == bool
    assert score == pytest.approx(scores.max(), abs=1e-5)
    assert (mask == masks[scores.argmax()]).all()


def test_the_corner_of_the_image_is_the_corner_for_the_model(
    prompter: SamPrompter, monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor = prompter._predictor
    assert predictor is not None
    seen: list[torch.Tensor] = []
    layer = predictor.model.prompt_encoder.pe_layer
    original = layer.forward_with_coords

    def spy(coordinates: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
        seen.append(coordinates.clone() / torch.tensor([size[1], size[0]]))
        return original(coordinates, size)

    monkeypatch.setattr(layer, "forward_with_coords", spy)
    prompter.mask_of(np.array([[0.0, 0.0], [WIDTH, HEIGHT]]))
    # The photo fills half of the model's square image; the last point is SAM's padding.
    assert torch.allclose(seen[0][0, :2], torch.tensor([[0, 0], [1, 1 / 2]]), atol=1e-6)


def test_all_at_once_is_the_same_as_one_by_one(prompter: SamPrompter, checkpoint: Path) -> None:
    signs = [None, np.array([1, 0, 1]), None, None, np.array([1])]
    one_by_one = [prompter.mask_of(points, sign) for points, sign in zip(GROUPS, signs, strict=True)]
    small = make(checkpoint, points_per_batch=2)
    small.set_frame(Frame("a", photo((WIDTH, HEIGHT))))
    for found in (prompter.masks_of(GROUPS, signs), small.masks_of(GROUPS, signs)):
        for batched, single in zip(found, one_by_one, strict=True):
            assert batched.score == pytest.approx(single.score, abs=1e-5)
            # A pixel whose logit is nearly zero may fall either way.
            assert (batched.mask != single.mask).mean() < 1e-3
    assert prompter.masks_of([]) == []


def test_each_frame_is_embedded_once(prompter: SamPrompter, monkeypatch: pytest.MonkeyPatch) -> None:
    predictor = prompter._predictor
    assert predictor is not None
    embedded: list[object] = []
    encoder = predictor.model.image_encoder
    encoder.register_forward_hook(lambda *_: embedded.append(None))
    frames = [Frame(name, np.roll(photo((WIDTH, HEIGHT)), shift, 1)) for name, shift in [("a", 0), ("b", 30)]]
    masks = []
    for frame in (frames[0], frames[0], frames[1]):
        prompter.set_frame(frame)
        prompter.masks_of(GROUPS)
        masks.append(prompter.mask_of(GROUPS[0]))
    assert len(embedded) == 2
    assert masks[0].score == masks[1].score != masks[2].score


def test_what_cannot_be_asked(prompter: SamPrompter, checkpoint: Path) -> None:
    with pytest.raises(RuntimeError, match="set a frame"):
        make(checkpoint).mask_of(GROUPS[0])
    with pytest.raises(ValueError, match="group 1 has no points"):
        prompter.masks_of([GROUPS[0], np.zeros((0, 2))])
    with pytest.raises(ValueError):
        prompter.masks_of(GROUPS, [None])


def test_batches_hold_groups_of_one_size() -> None:
    assert batches_of_equal_size([1, 3, 1, 3, 1], 2) == [[0, 2], [4], [1, 3]]
    assert batches_of_equal_size([], 2) == []
