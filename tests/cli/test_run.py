"""Opening a run says what a person should know about it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.plugin.run import load_run, read_config
from tests.conftest import TrainedRun

GAUSSIANS = "_model.gauss_params."


def test_a_segmentation_of_other_gaussians_is_told(copy_of_run: TrainedRun, capsys: pytest.CaptureFixture[str]) -> None:
    """As when training was resumed after association and killed later."""
    assert load_run(copy_of_run.config).scene.votes is not None
    assert "Training went on" not in capsys.readouterr().out
    content = torch.load(copy_of_run.checkpoint, map_location="cpu", weights_only=True)
    state = content["pipeline"]
    state |= {name: value[:-1] for name, value in state.items() if name.startswith(GAUSSIANS)}
    torch.save(content, copy_of_run.checkpoint)
    run = load_run(copy_of_run.config)
    assert run.scene.votes_of(run.model.num_points) is None
    assert "Training went on" in capsys.readouterr().out


def test_masks_are_found_from_any_folder_and_move_with_the_data(
    copy_of_run: TrainedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, moved = tmp_path / "data", tmp_path / "other" / "data"
    (data / "mine").mkdir(parents=True)
    config: Any = read_config(copy_of_run.config)
    monkeypatch.chdir(tmp_path)
    config.data, config.pipeline.datamanager.dataparser.mask_dir = Path("data"), Path("mine")
    config.make_paths_absolute()
    saved = config.pipeline.datamanager.dataparser
    assert (config.data, saved.data, saved.mask_dir) == (data, data, data / "mine")
    shutil.copytree(copy_of_run.scene.folder, moved)
    (moved / "masks").rename(moved / "mine")
    copy_of_run.config.write_text(yaml.dump(config))
    manager = load_run(copy_of_run.config, moved).pipeline.datamanager
    assert manager.view_label_maps.source == str(moved / "mine")


@pytest.mark.parametrize("share", [0.0, 0.5, 0.999])
def test_half_a_checkpoint_is_named_with_the_remedy(copy_of_run: TrainedRun, share: float) -> None:
    content = copy_of_run.checkpoint.read_bytes()
    copy_of_run.checkpoint.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ProtoSagaError, match=r"step-\d+\.ckpt is damaged or cut off.*nerfstudio_models_before_change"):
        load_run(copy_of_run.config)
