"""What the model does with a checkpoint that another version wrote."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import torch

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.plugin.run import Run
from proto_saga_ns.scene.state import scene_from_state
from tests.commands import run
from tests.conftest import TrainedRun
from tests.scene.scenes import same_segmentation

EXTRA_STATE = "_model._extra_state"


def of_the_first_version(scene: dict[str, Any]) -> dict[str, Any]:
    """It had prototypes in place of masks."""
    text = {"version": 1, "instances": [], "options": {}, "mask_instances": {}, "tau": 10.0, "min_alpha": 0.5}
    return {"prototypes": torch.zeros(0, 16), "json": json.dumps(text)}


def of_a_later_version(scene: dict[str, Any]) -> dict[str, Any]:
    return {**scene, "json": json.dumps({**json.loads(scene["json"]), "version": 99})}


def damaged(scene: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in scene.items() if name != "masks.member"}


@pytest.mark.parametrize(
    ("change", "said"), [(of_the_first_version, "format 1,"), (of_a_later_version, "format 99,"), (damaged, "damaged")]
)
def test_a_scene_that_cannot_be_read_is_left_out_with_a_warning(
    opened: Run, change: Callable[[dict[str, Any]], dict[str, Any]], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    state = opened.model.get_extra_state()
    opened.model.set_extra_state({**state, "scene": change(state["scene"])})
    assert opened.model.scene is None
    warning = " ".join(capsys.readouterr().out.split())
    assert said in warning and "proto-saga associate" in warning
    with pytest.raises(ProtoSagaError, match="no segmentation"):
        _ = opened.scene


def test_the_scene_of_a_model_survives_its_state(opened: Run) -> None:
    before = opened.scene
    opened.model.set_extra_state(opened.model.get_extra_state())
    assert opened.scene is not before
    assert same_segmentation(opened.scene, before) and opened.scene.display == before.display


def test_a_model_of_another_format_is_refused(opened: Run) -> None:
    with pytest.raises(ProtoSagaError, match="model format 99"):
        opened.model.set_extra_state({**opened.model.get_extra_state(), "format": 99})


def test_a_scene_of_another_version_is_made_again(copy_of_run: TrainedRun) -> None:
    content = torch.load(copy_of_run.checkpoint, map_location="cpu", weights_only=True)
    state = content["pipeline"][EXTRA_STATE]
    content["pipeline"][EXTRA_STATE] = {**state, "scene": of_the_first_version(state["scene"])}
    torch.save(content, copy_of_run.checkpoint)
    process = run("proto-saga", "associate", "--load-config", copy_of_run.config)
    assert process.returncode == 0, process.stdout + process.stderr
    assert "format 1," in " ".join(process.stdout.split())
    written = torch.load(copy_of_run.checkpoint, map_location="cpu", weights_only=True)["pipeline"][EXTRA_STATE]
    assert scene_from_state(written["scene"]).ids == scene_from_state(state["scene"]).ids
