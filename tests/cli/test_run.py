"""Opening a run says what a person should know about it."""

from __future__ import annotations

import pytest
import torch

from proto_saga_ns.cli.run import load_run
from proto_saga_ns.errors import ProtoSagaError
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


@pytest.mark.parametrize("share", [0.0, 0.5, 0.999])
def test_half_a_checkpoint_is_named_with_the_remedy(copy_of_run: TrainedRun, share: float) -> None:
    content = copy_of_run.checkpoint.read_bytes()
    copy_of_run.checkpoint.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ProtoSagaError, match=r"step-\d+\.ckpt is damaged or cut off.*nerfstudio_models_before_change"):
        load_run(copy_of_run.config)
