"""How often the CPU waits for the GPU where it counts: in every step, and in every view.

All numbers are upper bounds of what there is; who can lower one, does so here.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from common.pretended_cuda import Transfers
from nerfstudio.engine.callbacks import TrainingCallbackLocation

from proto_saga_ns.association import BANK, AssociationOptions
from proto_saga_ns.plugin.model.associate import segment_scene
from proto_saga_ns.plugin.model.options import SceneOptions
from proto_saga_ns.plugin.model.views import segment_view
from proto_saga_ns.plugin.run import Run
from tests.pretended_cuda.conftest import trainer_of
from tests.scenes import TinyScene

WAITS_OF_A_STEP = 3
"""All by the cross entropy: two for bounds of the labels, one for whether there are any."""
COPIES_OF_A_STEP = 8
"""To the GPU, of a few numbers each: the camera, and what splatfacto's loss and metrics make anew."""
WAITS_OF_A_SEGMENTED_VIEW = 2
"""Whether there are prototypes, and the label map that is returned."""
WAITS_OF_AN_ASSOCIATED_VIEW = {"consensus": 22, "memory-bank": 31}
"""Without Triton contributions are gradients, which wait for the labels that there are."""
WAITS_OF_AN_ASSOCIATION = 15
"""Beside those of its views; one tries gsplat out."""
TRAINED = 12
"""A step in which nothing is densified."""


def test_a_step_of_training(gpu: Transfers, tiny_scene: TinyScene, tmp_path: Path) -> None:
    trainer = trainer_of(tiny_scene.folder, tmp_path)
    trainer.pipeline.train()

    def call_back(step: int, location: TrainingCallbackLocation) -> None:
        for callback in trainer.callbacks:
            callback.run_callback_at_location(step, location=location)

    for step in (TRAINED - 1, TRAINED):
        gpu.counts.clear()
        call_back(step, TrainingCallbackLocation.BEFORE_TRAIN_ITERATION)
        trainer.train_iteration(step)
        call_back(step, TrainingCallbackLocation.AFTER_TRAIN_ITERATION)
    assert gpu.count("from the GPU") <= WAITS_OF_A_STEP, str(gpu)
    assert gpu.count("to the GPU") <= COPIES_OF_A_STEP, str(gpu)


def test_a_segmented_view(on_gpu: Run, gpu: Transfers) -> None:
    (_, first, _), (_, second, _), *_ = on_gpu.cameras("test")
    segment_view(on_gpu.model, on_gpu.scene, first)  # votes are moved to the GPU once
    gpu.counts.clear()
    segment_view(on_gpu.model, on_gpu.scene, second)
    assert gpu.count("from the GPU") <= WAITS_OF_A_SEGMENTED_VIEW, str(gpu)


@pytest.mark.parametrize("options", [AssociationOptions(strategy="consensus"), BANK], ids=lambda o: o.strategy)
def test_an_associated_view(on_gpu: Run, gpu: Transfers, options: AssociationOptions) -> None:
    views = len(on_gpu.pipeline.datamanager.train_dataset)
    segment_scene(on_gpu.model, on_gpu.pipeline.datamanager, options, SceneOptions())
    allowed = WAITS_OF_AN_ASSOCIATED_VIEW[str(options.strategy)] * views + WAITS_OF_AN_ASSOCIATION
    assert gpu.count("from the GPU") <= allowed, str(gpu)
