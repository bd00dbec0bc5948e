"""What the model does with a checkpoint that another version wrote."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import torch

from proto_saga_ns.scene.state import scene_from_state
from tests.commands import run
from tests.conftest import TrainedRun

EXTRA_STATE = "_model._extra_state"


def change_checkpoint(trained: TrainedRun, change: Callable[[dict[str, Any]], None]) -> None:
    """Change what the model keeps beside its parameters."""
    content = torch.load(trained.checkpoint, map_location="cpu", weights_only=True)
    change(content["pipeline"][EXTRA_STATE])
    torch.save(content, trained.checkpoint)


def of_version(version: int) -> Callable[[dict[str, Any]], None]:
    def change(state: dict[str, Any]) -> None:
        text = json.loads(state["scene"]["json"])
        state["scene"]["json"] = json.dumps({**text, "version": version})

    return change


def of_the_first_version(state: dict[str, Any]) -> None:
    text = {"version": 1, "instances": [], "options": {}, "mask_instances": {}, "tau": 10.0, "min_alpha": 0.5}
    state["scene"] = {"prototypes": torch.zeros(0, 16), "json": json.dumps(text)}


def damaged(state: dict[str, Any]) -> None:
    del state["scene"]["masks.part"]


@pytest.mark.parametrize(
    ("change", "said"),
    [(of_the_first_version, "format 1,"), (of_version(99), "format 99,"), (damaged, "damaged")],
)
def test_a_scene_that_cannot_be_read_is_left_out_and_made_again(
    copy_of_run: TrainedRun, change: Callable[[dict[str, Any]], None], said: str
) -> None:
    change_checkpoint(copy_of_run, change)
    info = run("proto-saga", "info", "--load-config", copy_of_run.config)
    assert said in " ".join(info.stdout.split()), "the Gaussians are loaded with a warning"
    assert info.returncode == 2 and "no segmentation" in info.stderr and "associate" in info.stderr
    if said == "format 1,":
        again = run("proto-saga", "associate", "--load-config", copy_of_run.config)
        assert again.returncode == 0, again.stdout + again.stderr
        state = torch.load(copy_of_run.checkpoint, map_location="cpu", weights_only=True)["pipeline"][EXTRA_STATE]
        assert scene_from_state(state["scene"]).instances


def test_a_model_of_another_format_is_refused(copy_of_run: TrainedRun) -> None:
    change_checkpoint(copy_of_run, lambda state: state.update(format=99))
    info = run("proto-saga", "info", "--load-config", copy_of_run.config)
    assert info.returncode == 2 and "model format 99" in info.stderr
