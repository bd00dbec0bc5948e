"""What is found on a GPU is what is found on the CPU."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from common.pretended_cuda import all_on_gpu
from nerfstudio.data.scene_box import OrientedBox

from proto_saga_ns.association import PAPER, AssociationOptions
from proto_saga_ns.plugin.model.associate import segment_scene
from proto_saga_ns.plugin.model.evaluate import evaluate_views
from proto_saga_ns.plugin.model.options import SceneOptions
from proto_saga_ns.plugin.model.views import segment_view
from proto_saga_ns.plugin.run import Run
from proto_saga_ns.scene.shown import instances_at_level
from tests.conftest import TrainedRun

CONFIDENCE = 2e-6
"""How far confidences may be apart: sums in another order."""
STRATEGIES = {
    "consensus": AssociationOptions(strategy="consensus"),
    "preset paper": PAPER,
    "memory-bank": AssociationOptions(strategy="memory-bank"),
    "seed": AssociationOptions(strategy="memory-bank", mask_ids="seed"),
    "trust": AssociationOptions(strategy="memory-bank", mask_ids="trust"),
}


def close(here: torch.Tensor, there: torch.Tensor, atol: float = CONFIDENCE) -> None:
    torch.testing.assert_close(there.cpu(), here, rtol=0, atol=atol)


def test_all_of_a_loaded_model_is_on_the_gpu(on_gpu: Run) -> None:
    model = on_gpu.model
    assert all_on_gpu((*model.parameters(), *model.buffers(), *model.view_classifiers.parameters()))


@pytest.mark.parametrize("granularity", [0.5, 0.2, 0.9])
@pytest.mark.parametrize("votes", [True, False])
def test_views_are_segmented_alike(on_cpu: Run, on_gpu: Run, granularity: float, votes: bool) -> None:
    for (_, here, _), (_, there, _) in zip(on_cpu.cameras("test"), on_gpu.cameras("test"), strict=True):
        scene = on_cpu.scene if votes else replace(on_cpu.scene, votes=None)
        expected = segment_view(on_cpu.model, scene, here, granularity)
        found = segment_view(on_gpu.model, scene, there, granularity)
        assert np.array_equal(found.labels, expected.labels)
        close(expected.confidence, found.confidence)
        close(expected.rgb, found.rgb)


@pytest.mark.parametrize("options", STRATEGIES.values(), ids=STRATEGIES)
def test_masks_are_associated_alike(on_cpu: Run, on_gpu: Run, options: AssociationOptions) -> None:
    expected, found = (
        segment_scene(run.model, run.pipeline.datamanager, options, SceneOptions()) for run in (on_cpu, on_gpu)
    )
    assert found.ids == expected.ids and found.mask_instances == expected.mask_instances
    assert torch.equal(found.gaussians.ids, expected.gaussians.ids)
    close(expected.prototypes, found.prototypes)
    close(expected.gaussians.confidence, found.gaussians.confidence)
    assert found.agreement == pytest.approx(expected.agreement)
    assert (found.votes is None) == (expected.votes is None)
    if found.votes is not None:
        assert torch.equal(found.votes.labels, expected.votes.labels)
        close(expected.votes.shares, found.votes.shares)


@pytest.mark.parametrize("classifier", ["kmeans", "hdbscan", "trained"])
def test_every_classifier_of_novel_views_is_found_there(on_gpu: Run, classifier) -> None:
    embeddings = on_gpu.model.gauss_params["embeddings"]
    options = SceneOptions(classifier=classifier, trained_steps=2)
    try:
        on_gpu.model.scene = segment_scene(on_gpu.model, on_gpu.pipeline.datamanager, STRATEGIES["consensus"], options)
    finally:
        on_gpu.model.gauss_params["embeddings"] = embeddings
    _, camera, _ = next(on_gpu.cameras("test"))
    assert segment_view(on_gpu.model, on_gpu.scene, camera).labels.any()


@pytest.mark.parametrize("decided", [True, False])
def test_gaussians_belong_to_the_same_instances(on_cpu: Run, on_gpu: Run, decided: bool) -> None:
    scene = on_cpu.scene if decided else replace(on_cpu.scene, gaussians=None)
    for granularity in (0.5, 0.2, 0.9):
        shown = scene.with_display(granularity=granularity)
        expected, found = (instances_at_level(shown, run.model.embeddings, run.model.means) for run in (on_cpu, on_gpu))
        assert torch.equal(found.ids, expected.ids)
        close(expected.confidence, found.confidence)


BOXES = {
    "whole": None,
    "crop": OrientedBox.from_params((0.0, 0.0, 0.0), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
    "nothing": OrientedBox.from_params((99.0, 0.0, 0.0), (0.0, 0.0, 0.0), (0.1, 0.1, 0.1)),
}


@pytest.mark.parametrize("box", BOXES.values(), ids=BOXES)
@pytest.mark.parametrize(
    "display",
    [
        {},
        {"hidden": (0, 3)},
        {"selected": (3, 4), "background": "transparent", "outline": 3},
        {"granularity": 0.9, "selected": (3,), "background": "white", "min_confidence": 0.6},
    ],
)
def test_the_viewer_shows_the_same_pictures(on_cpu: Run, on_gpu: Run, display, box) -> None:
    outputs = []
    for run in (on_cpu, on_gpu):
        before, (_, camera, _) = run.model.scene, next(run.cameras("test"))
        run.model.scene = on_cpu.scene.with_display(**display)
        outputs.append(run.model.get_outputs_for_camera(camera, box))
        run.model.set_crop(None)
        run.model.scene = before
    assert all_on_gpu(outputs[1].values())
    for name, expected in outputs[0].items():
        close(expected, outputs[1][name], atol=1e-4 if name == "depth" else 1e-5)


def test_figures_are_the_same(on_cpu: Run, on_gpu: Run, trained_run: TrainedRun) -> None:
    truth = trained_run.scene.folder / "instances"
    here, there = (evaluate_views(run.model, run.scene, run.cameras("test"), truth) for run in (on_cpu, on_gpu))
    assert there[0].figures() == here[0].figures()
    assert there[1].figures() == pytest.approx(here[1].figures(), abs=1e-3)
