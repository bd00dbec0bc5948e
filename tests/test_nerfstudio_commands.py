"""Nerfstudio's own commands on a run of ours: on a CPU, without a network."""

from __future__ import annotations

import json
import os
import re
import shutil
import time
import urllib.request
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from proto_saga_ns.scene import SegmentedScene
from proto_saga_ns.scene.state import scene_from_state, scene_to_state
from tests.commands import Started, has_libraries_of_a_screen, run
from tests.conftest import TrainedRun

OUTPUTS = ("rgb", "segmentation", "segmentation_overlay", "embedding", "confidence", "object")


def test_ns_eval_writes_finite_metrics(trained_run: TrainedRun, tmp_path: Path) -> None:
    process = run("ns-eval", "--load-config", trained_run.config, "--output-path", tmp_path / "metrics.json")
    assert process.returncode == 0, process.stdout + process.stderr
    results = json.loads((tmp_path / "metrics.json").read_text())["results"]
    assert results["psnr"] > 20
    assert all(np.isfinite(value) for value in results.values())


@pytest.mark.skipif(not has_libraries_of_a_screen(), reason="ns-export needs libEGL, libGL, libOpenGL and libusb")
def test_ns_export_writes_every_gaussian(trained_run: TrainedRun, tmp_path: Path) -> None:
    from plyfile import PlyData

    process = run("ns-export", "gaussian-splat", "--load-config", trained_run.config, "--output-dir", tmp_path)
    assert process.returncode == 0, process.stdout + process.stderr
    assert len(PlyData.read(tmp_path / "splat.ply")["vertex"]) > 100


def test_ns_render_dataset_shows_every_output(trained_run: TrainedRun, tmp_path: Path) -> None:
    process = run(
        *("ns-render", "dataset", "--load-config", trained_run.config, "--output-path", tmp_path),
        *("--split", "test", "--image-format", "png", "--rendered-output-names", *OUTPUTS),
    )
    assert process.returncode == 0, process.stdout + process.stderr
    stems = {path.stem for path in trained_run.scene.test_paths}
    for output in OUTPUTS:
        pictures = list((tmp_path / "test" / output).glob("*.png"))
        assert {path.stem for path in pictures} == stems
        assert all(np.asarray(Image.open(path)).std() > 1 for path in pictures), f"{output} is blank"


def test_ns_render_shows_what_the_saved_display_says(trained_run: TrainedRun, tmp_path: Path) -> None:
    config = copied_in_layout(trained_run, tmp_path / "outputs")
    checkpoint = max(config.parent.glob("nerfstudio_models/*.ckpt"))
    smallest = max(scene_of(checkpoint).ids)  # the first ones are floor and walls, which may fill the view
    save_display(checkpoint, selected=(smallest,), background="white")
    process = run(
        *("ns-render", "dataset", "--load-config", config, "--output-path", tmp_path, "--split", "test"),
        *("--image-format", "png", "--rendered-output-names", "rgb", "object"),
    )
    assert process.returncode == 0, process.stdout + process.stderr
    rgb, alone = (
        np.stack([np.asarray(Image.open(path)) for path in sorted((tmp_path / "test" / output).glob("*.png"))])
        for output in ("rgb", "object")
    )
    assert 0.2 < (alone == 255).all(-1).mean() < 1 and not (rgb == 255).all(-1).any()


def copied_in_layout(trained: TrainedRun, outputs: Path) -> Path:
    """A copy that nerfstudio's own commands read, too: they look where the configuration says that it is."""
    config = yaml.load(trained.config.read_text(), Loader=yaml.Loader)
    config.output_dir = outputs
    shutil.copytree(trained.folder, config.get_base_dir())
    path = config.get_base_dir() / "config.yml"
    path.write_text(yaml.dump(config))
    return path


def scene_of(checkpoint: Path) -> SegmentedScene:
    content = torch.load(checkpoint, map_location="cpu", weights_only=True)
    return scene_from_state(content["pipeline"]["_model._extra_state"]["scene"])


def save_display(checkpoint: Path, **changes: object) -> None:
    content = torch.load(checkpoint, map_location="cpu", weights_only=True)
    state = content["pipeline"]["_model._extra_state"]
    state["scene"] = scene_to_state(scene_from_state(state["scene"]).with_display(**changes))
    torch.save(content, checkpoint)


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ns-render needs an ffmpeg on the PATH")
def test_ns_render_writes_a_video_along_a_path(trained_run: TrainedRun, tmp_path: Path) -> None:
    outputs = ("--rendered-output-names", "rgb", "segmentation")
    video = tmp_path / "interpolated.mp4"
    process = run(
        *("ns-render", "interpolate", "--load-config", trained_run.config, "--pose-source", "train", *outputs),
        *("--interpolation-steps", "2", "--output-path", video),
    )
    assert process.returncode == 0, process.stdout + process.stderr
    assert video.stat().st_size > 1000
    path = tmp_path / "path.json"
    path.write_text(json.dumps(camera_path()))
    process = run(
        *("ns-render", "camera-path", "--load-config", trained_run.config, "--camera-path-filename", path),
        *("--output-path", tmp_path / "along.mp4", *outputs),
    )
    assert process.returncode == 0, process.stdout + process.stderr
    assert (tmp_path / "along.mp4").stat().st_size > 1000


def camera_path() -> dict:
    """Three cameras on a line, as nerfstudio's viewer writes them."""
    cameras = []
    for shift in (0.0, 0.05, 0.1):
        pose = np.eye(4)
        pose[:3, 3] = (shift, 0, 0.8)
        cameras.append({"camera_to_world": pose.flatten().tolist(), "fov": 60, "aspect": 4 / 3})
    return {"render_height": 48, "render_width": 64, "camera_type": "perspective", "seconds": 0.2,
            "camera_path": cameras}  # fmt: skip


def test_ns_viewer_serves_the_scene_to_this_machine_only(trained_run: TrainedRun) -> None:
    port = 7400 + os.getpid() % 400
    viewer = Started("ns-viewer", "--load-config", trained_run.config, "--viewer.websocket-port", port)
    try:
        page = wait_for_page(f"http://127.0.0.1:{port}", viewer)
    finally:
        viewer.kill()
    assert "<html" in page.lower()
    assert not re.search(r"Traceback", viewer.stdout)


def wait_for_page(url: str, viewer: Started, seconds: float = 60) -> str:
    end = time.monotonic() + seconds
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as response:
                return response.read().decode(errors="replace")
        except OSError:
            assert time.monotonic() < end, viewer.stdout
            time.sleep(0.5)
