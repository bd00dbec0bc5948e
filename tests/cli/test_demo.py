"""The demo, shortened: every command of the main job runs and leaves what the README promises."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image

from tests.commands import run


def test_the_demo_leaves_pictures_figures_and_a_report(tmp_path: Path) -> None:
    process = run("proto-saga", "demo", "--output-dir", tmp_path / "demo", "--steps", "40", "--no-video", timeout=600)
    assert process.returncode == 0, process.stdout + process.stderr
    for command in (
        "$ ns-train proto-saga-lite",
        "$ proto-saga segment",
        "$ proto-saga evaluate",
        "$ proto-saga report",
    ):
        assert command in process.stdout
    assert len(list((tmp_path / "demo" / "label_maps").glob("*.png"))) == 12
    assert len(list((tmp_path / "demo" / "views").glob("*.png"))) == 12
    assert np.asarray(Image.open(tmp_path / "demo" / "views.png")).std() > 10
    figures = json.loads((tmp_path / "demo" / "evaluation.json").read_text())
    assert f"Report      {tmp_path / 'demo' / 'report.html'}" in process.stdout
    page = (tmp_path / "demo" / "report.html").read_text()
    assert "ground truth" in page and f"{figures['mIoU']:.2f}" in page
    assert {"PSNR", "mIoU", "precision", "recall"} <= figures.keys()
