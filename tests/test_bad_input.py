"""Bad input to the real commands: one line on stderr that names the file, exit code 2, and nothing left behind."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.commands import Finished, run
from tests.conftest import TrainedRun, train_arguments
from tests.scenes import TinyScene


@pytest.fixture
def scene(tiny_scene: TinyScene, tmp_path: Path) -> Path:
    """A copy of the tiny scene, to be spoilt."""
    return Path(shutil.copytree(tiny_scene.folder, tmp_path / "scene"))


def assert_user_error(process: Finished, *words: str) -> None:
    lines = [line for line in process.stderr.splitlines() if "error:" in line]
    assert process.returncode == 2, process.stdout + process.stderr
    assert len(lines) == 1 and lines[0].startswith("proto-saga: error:"), process.stderr
    assert "Traceback" not in process.stderr + process.stdout
    for word in words:
        assert word in lines[0], lines[0]


def train(scene: Path, *options: object) -> Finished:
    return run("ns-train", *train_arguments(scene, scene.parent / "out", 5), *options)


def assert_no_checkpoint(scene: Path) -> None:
    assert not list((scene.parent / "out").rglob("*.ckpt"))


def edit_transforms(scene: Path, edit: Callable[[dict], None]) -> None:
    file = scene / "transforms.json"
    content = json.loads(file.read_text())
    edit(content)
    file.write_text(json.dumps(content))


def spoil_pose(content: dict) -> None:
    content["frames"][1]["transform_matrix"][0][3] = float("nan")


def drop_pose(content: dict) -> None:
    del content["frames"][1]["transform_matrix"]


def mask_paths(content: dict) -> None:
    for frame in content["frames"]:
        frame["mask_path"] = "moving.png"


def masks_of_moving_things(scene: Path, size: tuple[int, int] | None) -> None:
    edit_transforms(scene, mask_paths)
    if size is not None:
        Image.new("L", size, 255).save(scene / "moving.png")


def first_mask(scene: Path) -> Path:
    return min((scene / "masks").glob("*.png"))


def rgb_mask(scene: Path) -> None:
    Image.fromarray(np.zeros((48, 64, 3), np.uint8)).save(first_mask(scene))


def small_mask(scene: Path) -> None:
    Image.fromarray(np.ones((20, 30), np.uint8)).save(first_mask(scene))


def truncated_mask(scene: Path) -> None:
    first_mask(scene).write_bytes(first_mask(scene).read_bytes()[:60])


def empty_masks(scene: Path) -> None:
    for mask in (scene / "masks").glob("*.png"):
        Image.fromarray(np.zeros((48, 64), np.uint8)).save(mask)


def nan_points(scene: Path) -> None:
    from plyfile import PlyData

    data = PlyData.read(scene / "points.ply")
    data["vertex"]["x"][3] = np.nan
    data.write(scene / "points.ply")


def cut_points(scene: Path) -> None:
    lines = (scene / "points.ply").read_text().splitlines(keepends=True)
    (scene / "points.ply").write_text("".join(lines[:40]))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (rgb_mask, ["view_000.png", "8 or 16 bit"]),
        (small_mask, ["view_000.png", "64"]),
        (truncated_mask, ["view_000.png"]),
        (empty_masks, ["masks"]),
        (nan_points, ["points", "NaN"]),
        (cut_points, ["points.ply", "cut off", "--load-3D-points"]),
        (lambda scene: edit_transforms(scene, spoil_pose), ["transforms.json", "pose"]),
        (lambda scene: edit_transforms(scene, drop_pose), ["transforms.json", "pose"]),
        (lambda scene: masks_of_moving_things(scene, None), ["moving.png", "does not exist", "mask_path"]),
        (lambda scene: masks_of_moving_things(scene, (32, 24)), ["moving.png is 32x24", "64x48"]),
        (lambda scene: (scene / "transforms.json").unlink(), ["transforms.json"]),
        (lambda scene: (scene / "transforms.json").write_text("{"), ["transforms.json"]),
    ],
    ids=[
        "rgb",
        "size",
        "truncated",
        "empty",
        "points",
        "cut-points",
        "nan-pose",
        "no-pose",
        "no-moving-mask",
        "small-moving-mask",
        "no-transforms",
        "broken-json",
    ],
)
def test_spoilt_data(scene: Path, spoil: Callable[[Path], None], words: list[str]) -> None:
    spoil(scene)
    assert_user_error(train(scene), *words)
    assert_no_checkpoint(scene)


def test_data_that_is_not_there(scene: Path) -> None:
    assert_user_error(train(scene / "nowhere"), "nowhere")


def test_poses_of_another_format_name_the_command_that_reads_them(scene: Path) -> None:
    (scene / "transforms.json").rename(scene / "transforms_train.json")
    assert_user_error(train(scene), "transforms.json does not exist", f"ns-train proto-saga-lite --data {scene} ")
    assert train(scene).stderr.rstrip().endswith(" blender-data.")


def test_a_folder_of_masks_that_is_not_there(scene: Path) -> None:
    shutil.rmtree(scene / "masks")
    assert_user_error(train(scene, "nerfstudio-data", "--mask-source", "folder"), "masks", "--mask-dir")
    process = train(scene, "nerfstudio-data", "--mask-dir", "mine")
    assert_user_error(process, "--mask-dir mine does not exist", str(Path.cwd() / "mine"), str(scene / "mine"))


def test_images_with_the_same_stem(scene: Path) -> None:
    def duplicate(content: dict) -> None:
        first = content["frames"][0]
        other = first["file_path"].replace("images/", "more/")
        (scene / "more").mkdir()
        shutil.copy(scene / first["file_path"], scene / other)
        content["frames"].append({**first, "file_path": other})
        content["train_filenames"].append(other)

    edit_transforms(scene, duplicate)
    assert_user_error(train(scene), "view_000")


def test_a_few_missing_masks_are_said_and_no_error(scene: Path) -> None:
    first_mask(scene).unlink()
    process = train(scene)
    assert process.returncode == 0, process.stdout + process.stderr
    assert "view_000" in process.stdout


def test_a_checkpoint_of_another_method(scene: Path, tmp_path: Path) -> None:
    models = tmp_path / "models"
    models.mkdir()
    state = {"_model.field.weight": torch.zeros(3)}
    content = {"step": 9, "pipeline": state, "optimizers": {}, "schedulers": {}, "scalers": {}}
    torch.save(content, models / "step-000000009.ckpt")
    assert_user_error(train(scene, "--load-dir", models), "no Gaussians", "another method")
    assert_no_checkpoint(scene)


def test_a_checkpoint_with_other_embeddings(trained_run: TrainedRun, scene: Path) -> None:
    options = ["--load-dir", trained_run.checkpoint.parent, "--pipeline.model.embedding-dim", 8]
    assert_user_error(train(scene, *options), "embeddings", "embedding-dim")


def test_a_place_without_a_checkpoint_to_resume_from(trained_run: TrainedRun, scene: Path, tmp_path: Path) -> None:
    run_folder = trained_run.folder
    assert_user_error(train(scene, "--load-dir", run_folder), "holds no checkpoint", "nerfstudio_models: give that")
    assert_user_error(train(scene, "--load-checkpoint", tmp_path / "gone.ckpt"), "no checkpoint", "gone.ckpt")
    (tmp_path / "cut.ckpt").write_bytes(trained_run.checkpoint.read_bytes()[:3000])
    assert_user_error(train(scene, "--load-checkpoint", tmp_path / "cut.ckpt"), "cut.ckpt is damaged or cut off")
    assert_no_checkpoint(scene)


def test_resuming_with_other_views_or_masks(trained_run: TrainedRun, scene: Path) -> None:
    models = Path(shutil.copytree(trained_run.checkpoint.parent, scene.parent / "models"))
    (models / ".DS_Store").touch()
    labels = np.array(Image.open(first_mask(scene)))
    labels[:5, :5] = labels.max() + 1
    Image.fromarray(labels).save(first_mask(scene))
    assert_user_error(train(scene, "--load-dir", models), "changed since training")
    (scene / "images" / "view_000.png").unlink()
    assert_user_error(train(scene, "--load-dir", models), "training views now", "Restore")
    assert_no_checkpoint(scene)


def test_a_view_of_one_pixel_works_at_full_resolution_alone(scene: Path) -> None:
    def shrink(content: dict) -> None:
        first = content["frames"][content["train_filenames"].index(content["frames"][0]["file_path"])]
        first |= {"w": 1, "h": 1, "fl_x": 1.0, "fl_y": 1.0, "cx": 0.5, "cy": 0.5}
        Image.new("RGB", (1, 1), "red").save(scene / first["file_path"])
        Image.fromarray(np.ones((1, 1), np.uint8)).save(scene / "masks" / f"{Path(first['file_path']).stem}.png")

    edit_transforms(scene, shrink)
    process = train(scene)
    assert process.returncode == 0, process.stdout + process.stderr
    assert_user_error(train(scene, "--pipeline.model.num-downscales", 2), "is 1x1", "1/4", "--pipeline.model.num-down")


def test_more_gaussians_than_memory_holds(scene: Path) -> None:
    options = ["--pipeline.model.random-init", "True", "--pipeline.model.num-random", 10**9]
    assert_user_error(train(scene, *options), "--pipeline.model.num-random 1000000000", "GiB")
    assert_no_checkpoint(scene)


def test_no_steps_at_all(scene: Path) -> None:
    assert_user_error(train(scene, "--max-num-iterations", 0), "--max-num-iterations 0")


def test_an_output_folder_that_cannot_be_made(scene: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    assert_user_error(train(scene, "--output-dir", tmp_path / "file" / "runs"), str(tmp_path / "file"), "is a file")
    assert_user_error(train(scene, "--output-dir", "/proc/runs"), "Cannot write the run to /proc/runs", "--output-dir")


def test_a_device_that_splats_are_not_trained_on(scene: Path) -> None:
    assert_user_error(train(scene, "--machine.device-type", "mps"), "--machine.device-type mps", "cuda or cpu")


def test_several_devices(scene: Path) -> None:
    assert_user_error(train(scene, "--machine.num-devices", 2), "--machine.num-devices 2", "CUDA_VISIBLE_DEVICES")


def test_masks_that_changed_since_training(copy_of_run: TrainedRun, scene: Path) -> None:
    before = copy_of_run.checkpoint.read_bytes()
    labels = np.array(Image.open(first_mask(scene)))
    labels[:5, :5] = labels.max() + 1
    Image.fromarray(labels).save(first_mask(scene))
    process = run("proto-saga", "associate", "--load-config", copy_of_run.config, "--data", scene)
    assert_user_error(process, "changed since training")
    assert copy_of_run.checkpoint.read_bytes() == before


@pytest.mark.parametrize("command", ["info", "segment", "associate"])
def test_a_configuration_that_is_not_there(tmp_path: Path, command: str) -> None:
    options = ["--output-dir", tmp_path / "out"] if command == "segment" else []
    process = run("proto-saga", command, "--load-config", tmp_path / "config.yml", *options)
    assert_user_error(process, "config.yml")
    assert not (tmp_path / "out").exists()


def test_a_run_of_another_method(tmp_path: Path) -> None:
    import yaml
    from nerfstudio.configs.method_configs import method_configs

    (tmp_path / "config.yml").write_text(yaml.dump(method_configs["splatfacto"]))
    process = run("proto-saga", "info", "--load-config", tmp_path / "config.yml")
    assert_user_error(process, "splatfacto", "proto-saga associate")


def test_a_run_without_checkpoint(copy_of_run: TrainedRun) -> None:
    copy_of_run.checkpoint.unlink()
    assert_user_error(run("proto-saga", "info", "--load-config", copy_of_run.config), "holds no checkpoint")


def test_a_run_that_was_not_associated(copy_of_run: TrainedRun) -> None:
    content = torch.load(copy_of_run.checkpoint, map_location="cpu", weights_only=True)
    content["pipeline"]["_model._extra_state"]["scene"] = None
    torch.save(content, copy_of_run.checkpoint)
    process = run("proto-saga", "info", "--load-config", copy_of_run.config)
    assert_user_error(process, "proto-saga associate")


def test_missing_ground_truth_and_missing_predictions(trained_run: TrainedRun, tmp_path: Path) -> None:
    empty, truth = tmp_path / "empty", trained_run.scene.folder / "instances"
    empty.mkdir()
    process = run("proto-saga", "evaluate", "--load-config", trained_run.config, "--ground-truth", empty)
    assert_user_error(process, "no ground truth")
    file = tmp_path / "figures.json"
    process = run("proto-saga", "evaluate", "--predictions", empty, "--ground-truth", truth, "--json", file)
    assert_user_error(process, "view_000.png")
    assert not file.exists()
    assert_user_error(run("proto-saga", "evaluate", "--ground-truth", truth), "--load-config")


def test_arguments_that_do_not_fit_the_protocol(tmp_path: Path, scene: Path) -> None:
    def evaluate(protocol: str, *options: object) -> Finished:
        return run("proto-saga", "evaluate", "--protocol", protocol, *options)

    maps, file = scene / "instances", tmp_path / "figures.json"
    both = ("--predictions", maps, "--ground-truth", maps, "--json", file)
    assert_user_error(evaluate("instance", *both, "--epsilon", 1), "--epsilon", "consistency")
    assert_user_error(evaluate("best-mask", *both, "--data", scene), "--data", "instance and consistency")
    assert_user_error(evaluate("best-mask", "--predictions", maps), "--ground-truth")
    assert_user_error(evaluate("best-mask", "--ground-truth", maps, "--load-config", file), "--load-config")
    assert_user_error(evaluate("consistency", *both), "--data")
    assert_user_error(evaluate("consistency", *both, "--data", scene, "--merge-objects"), "--merge-objects")
    assert_user_error(evaluate("consistency", *both, "--data", scene, "--window", 0), "--window")
    assert not file.exists()


def test_a_sequence_with_a_missing_prediction(scene: Path, tmp_path: Path) -> None:
    shutil.copytree(scene / "instances", tmp_path / "maps")
    (tmp_path / "maps" / "view_003.png").unlink()
    options = ("--predictions", tmp_path / "maps", "--ground-truth", scene / "instances")
    process = run("proto-saga", "evaluate", "--protocol", "best-mask", *options)
    assert_user_error(process, "maps/view_003.png", "no prediction")


def test_a_folder_that_cannot_be_written(trained_run: TrainedRun, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    output = tmp_path / "file" / "maps"
    process = run("proto-saga", "segment", "--load-config", trained_run.config, "--output-dir", output)
    assert_user_error(process, str(tmp_path / "file"))
