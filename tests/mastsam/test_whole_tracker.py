"""The whole tracker on photos, with the real parts: the real classes with small random weights, and SIFT."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from proto_saga_ns.labels import read_label_map, write_label_map
from proto_saga_ns.mastsam.image_sequence import ImageSequence
from proto_saga_ns.mastsam.matchers.mast3r import Mast3rMatcher, Mast3rSettings, find_checkout, import_mast3r
from proto_saga_ns.mastsam.matchers.sift import SiftMatcher, SiftSettings
from proto_saga_ns.mastsam.matches import Matcher
from proto_saga_ns.mastsam.prompts import SamPrompter, SamPromptSettings
from proto_saga_ns.mastsam.sequence import SequenceOptions, Tracking, write_tracks
from proto_saga_ns.progress import unseen
from tests.masks.segmenters.tiny_models import save_tiny_sam
from tests.mastsam.scenes import DINING, dining
from tests.mastsam.test_mast3r import THIN


def three_photos(folder: Path, size: tuple[int, int]) -> ImageSequence:
    """Neighbouring views of the demo scene with the masks that come with it."""
    images, masks = [], []
    for frame in dining()[3:6]:
        images.append(folder / f"{frame.name}.png")
        Image.fromarray(frame.image).resize(size).save(images[-1])
        labels = Image.fromarray(read_label_map(DINING / "masks" / f"{frame.name}.png").astype(np.uint16))
        masks.append(folder / f"{frame.name}_mask.png")
        write_label_map(masks[-1], np.asarray(labels.resize(size, Image.Resampling.NEAREST)).astype(np.int32))
    return ImageSequence(images, masks)


def tracked_photos(sequence: ImageSequence, matcher: Matcher, folder: Path, **more: Any) -> list[np.ndarray]:
    """Label maps as they are written."""
    tracking = Tracking(sequence, matcher, SequenceOptions(), folder / "work", **more)
    tracking.run(unseen)
    write_tracks(tracking, sequence, folder / "out", 0)
    return [read_label_map(folder / "out" / f"{path.stem}.png") for path in sequence.images]


def test_photos_with_segment_anything_and_sift(tmp_path: Path) -> None:
    checkpoint = save_tiny_sam(tmp_path / "tiny.pth")
    size = (320, 240)
    sequence = three_photos(tmp_path, size)
    matcher = SiftMatcher(SiftSettings(max_points=512))
    prompter = SamPrompter(SamPromptSettings(checkpoint=checkpoint))
    prompted = tracked_photos(sequence, matcher, tmp_path / "prompted", prompter=prompter)
    voted = tracked_photos(sequence, matcher, tmp_path / "voted")
    for found in (prompted, voted):
        assert [labels.shape for labels in found] == [size[::-1]] * 3
        # Instances of the first photo are in the others.
        assert all(len(np.intersect1d(found[0][found[0] > 0], labels)) > 0 for labels in found[1:])
    # Random weights find other masks than those of the folder.
    assert (prompted[1] != voted[1]).any()


def test_photos_with_mast3r(tmp_path: Path) -> None:
    if find_checkout() is None:
        pytest.skip("the extra mastsam is not installed")
    torch.manual_seed(0)
    import_mast3r().model_class(**THIN, landscape_only=False).save_pretrained(tmp_path / "weights")
    options = Mast3rSettings(weights=str(tmp_path / "weights"), long_edge=128, confidence=0.0)
    sequence = three_photos(tmp_path, (128, 96))
    found = tracked_photos(sequence, Mast3rMatcher(options), tmp_path)
    assert [labels.shape for labels in found] == [(96, 128)] * 3 and all(labels.any() for labels in found)
    assert len(list((tmp_path / "work" / "matches").iterdir())) == 3
