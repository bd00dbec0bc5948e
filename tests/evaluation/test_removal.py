"""What was left and what was broken where an object was taken out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pytorch_msssim import ssim
from scipy.ndimage import distance_transform_cdt

from proto_saga_ns.evaluation.removal import Removal, RemovalProtocol, grown, ssim_map

RNG = np.random.default_rng(0)
TRUTH = RNG.random((24, 30, 3)).astype(np.float32)
REGION = np.zeros((24, 30), bool)
REGION[8:16, 10:20] = True
OPAQUE = np.ones((24, 30))


def test_ssim_is_that_of_another_library_away_from_the_border() -> None:
    other = (TRUTH + 0.2 * RNG.random(TRUTH.shape)).clip(0, 1).astype(np.float32)
    pair = [torch.from_numpy(image).permute(2, 0, 1)[None] for image in (TRUTH, other)]
    inner = ssim_map(TRUTH, other)[5:-5, 5:-5]  # that one leaves out pixels whose window is not whole
    assert inner.mean() == pytest.approx(float(ssim(*pair, data_range=1.0)), abs=1e-5)
    assert ssim_map(TRUTH, TRUTH) == pytest.approx(np.ones((24, 30)))


def test_a_region_grows_by_a_fiftieth_of_the_diagonal() -> None:
    mask = RNG.random((60, 80)) > 0.99
    assert (grown(mask) == (np.asarray(distance_transform_cdt(~mask, "chessboard")) <= 2)).all()
    assert not grown(np.zeros((6, 8), bool)).any()


def test_inside_and_outside_are_told_apart() -> None:
    before = np.where(REGION[..., None], 0, TRUTH)
    protocol = RemovalProtocol()
    after = TRUTH.copy()
    after[~REGION] = (after[~REGION] + 0.1) % 1.0001
    protocol.add("a", TRUTH, Removal(before, after, OPAQUE, OPAQUE), REGION)
    figures = protocol.figures()
    assert figures["PSNR inside"] == pytest.approx(100) and figures["PSNR outside"] < 30
    assert figures["PSNR inside before"] < 10 and figures["PSNR outside before"] == pytest.approx(100)
    assert figures["holes"] == 0 and figures["test views"] == 1


def test_holes_are_pixels_that_lose_their_opacity() -> None:
    alpha, was_empty = OPAQUE.copy(), OPAQUE.copy()
    alpha[8:16, 10:15] = 0.2
    alpha[0, 0] = 0  # outside of the object
    was_empty[8:16, 10:12] = 0.3  # was none before
    protocol = RemovalProtocol()
    protocol.add("a", TRUTH, Removal(TRUTH, TRUTH, OPAQUE, alpha), REGION)
    protocol.add("b", TRUTH, Removal(TRUTH, TRUTH, was_empty, alpha), REGION)
    assert [found["holes"] for found in protocol.by_view().values()] == pytest.approx([50, 30])
    assert protocol.figures()["holes"] == pytest.approx(40)


def test_a_view_without_the_object_counts_outside_only() -> None:
    protocol = RemovalProtocol()
    protocol.add("away", TRUTH, Removal(TRUTH, TRUTH, OPAQUE, OPAQUE), np.zeros_like(REGION))
    with pytest.raises(ValueError, match="no view shows"):
        protocol.figures()
    protocol.add("a", TRUTH, Removal(TRUTH, 0 * TRUTH, OPAQUE, OPAQUE), REGION)
    figures = protocol.figures()
    assert figures["test views"] == 2 and figures["test views with the object"] == 1
    assert figures["PSNR inside"] < 10 and 50 < figures["PSNR outside"] < 60


@pytest.mark.usefixtures("unchecked_shapes")
def test_sizes_must_agree() -> None:
    with pytest.raises(ValueError, match="region"):
        RemovalProtocol().add("b", TRUTH, Removal(TRUTH, TRUTH, OPAQUE, OPAQUE), REGION[:-1])
