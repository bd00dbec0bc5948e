"""PSNR, SSIM and LPIPS: laws, the same figures as splatfacto's own, and what is said without LPIPS's weights."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn
from torchmetrics.functional.image.lpips import _LPIPS

from proto_saga_ns.plugin.model import image_quality
from proto_saga_ns.plugin.model.image_quality import FIGURES, ImageQuality
from proto_saga_ns.plugin.run import load_run
from tests.conftest import TrainedRun


@pytest.fixture
def fresh_lpips() -> Iterator[None]:
    """LPIPS is loaded anew in the test, and again after it."""
    image_quality._metric.cache_clear()
    yield
    image_quality._metric.cache_clear()


@pytest.fixture
def no_weights(fresh_lpips: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No weights are in the hub's folder, and none can be downloaded."""

    def unreachable(*_: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", unreachable)
    return tmp_path


@pytest.fixture
def random_weights(fresh_lpips: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real LPIPS over an AlexNet of random weights."""

    class RandomLpips(nn.Module):
        def __init__(self, normalize: bool) -> None:
            super().__init__()
            self.net = _LPIPS(pnet_rand=True)
            self.normalize = normalize

        def forward(self, target: torch.Tensor, prediction: torch.Tensor) -> torch.Tensor:
            return self.net(target, prediction, normalize=self.normalize).mean()

    monkeypatch.setattr(image_quality, "_fetch_weights", lambda: None)
    monkeypatch.setattr("torchmetrics.image.lpip.LearnedPerceptualImagePatchSimilarity", RandomLpips)


def pictures(count: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(count)
    return [torch.rand(48, 64, 3, generator=generator) for _ in range(count)]


def test_equal_images_are_as_close_as_can_be_and_order_of_views_does_not_matter(random_weights: None) -> None:
    (a, b), same, forth, back = pictures(2), ImageQuality(), ImageQuality(), ImageQuality()
    same.add(a, a)
    assert same.figures() == {"PSNR": float("inf"), "SSIM": pytest.approx(1), "LPIPS": pytest.approx(0)}
    for pair in ((a, b), (b, 0.9 * b)):
        forth.add(*pair)
    for pair in ((b, 0.9 * b), (a, b)):
        back.add(*pair)
    assert tuple(forth.figures()) == FIGURES and forth.figures() == pytest.approx(back.figures())
    assert 0 < forth.figures()["SSIM"] < 1 and forth.figures()["LPIPS"] > 0


def test_without_weights_there_is_no_lpips_and_it_is_said_where_they_go(
    no_weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    quality = ImageQuality()
    quality.add(*pictures(2))
    ImageQuality()
    assert quality.figures().keys() == {"PSNR", "SSIM"}
    said = "".join(capsys.readouterr().out.split())
    assert said.count("LPIPS") == 1 and "nonetwork" in said and str(image_quality.weights_file()) in said
    assert image_quality.weights_file().is_relative_to(no_weights)


def test_damaged_weights_count_as_none(no_weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image_quality.weights_file().parent.mkdir()
    image_quality.weights_file().write_bytes(b"half of a fi")
    assert not image_quality.has_lpips()
    assert str(image_quality.weights_file()) in "".join(capsys.readouterr().out.split())


@pytest.mark.usefixtures("unchecked_shapes")
def test_no_view_and_other_sizes_are_errors(no_weights: Path) -> None:
    with pytest.raises(ValueError, match="no view"):
        ImageQuality().figures()
    with pytest.raises(ValueError, match="shapes"):
        ImageQuality().add(torch.zeros(20, 20, 3), torch.zeros(20, 21, 3))


def test_figures_are_those_of_splatfacto(trained_run: TrainedRun, random_weights: None) -> None:
    run, quality, wanted = load_run(trained_run.config), ImageQuality(), []
    for _, camera, photo in run.cameras("test"):
        with torch.no_grad():
            outputs = run.model.get_outputs_for_camera(camera)
        wanted.append(run.model.get_image_metrics_and_images(outputs, {"image": photo})[0])
        quality.add(outputs["rgb"], photo)
    for name, value in quality.figures().items():
        assert value == pytest.approx(sum(view[name.lower()] for view in wanted) / len(wanted), rel=1e-5)
