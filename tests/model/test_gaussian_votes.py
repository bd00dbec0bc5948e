"""Votes of real training views on the Gaussians of a real model."""

from __future__ import annotations

from dataclasses import replace

import torch
from nerfstudio.data.scene_box import OrientedBox

from proto_saga_ns.cli.run import load_run
from proto_saga_ns.model.association import training_views
from proto_saga_ns.model.gaussian_votes import segmented_views, vote
from tests.conftest import TrainedRun


def test_votes_of_a_trained_run(trained_run: TrainedRun) -> None:
    run = load_run(trained_run.config)
    views = training_views(run.model, run.pipeline.datamanager)
    voted = vote(run.model, views, segmented_views(views, run.scene))
    ids = {instance.id for instance in run.scene.instances}
    count = run.model.num_points
    assert voted.ids.shape == (count,) and set(voted.ids.unique().tolist()) <= ids | {0}
    assert len(voted.ids[voted.ids > 0].unique()) > 1
    assert (voted.confidence[voted.ids == 0] == 0).all() and voted.confidence.max() <= 1.0
    assert (voted.confidence[voted.ids > 0] > 0).float().mean() > 0.8

    constant = [torch.full_like(views.label_map(index), 7) for index in range(len(views))]
    seen = vote(run.model, views, constant)
    assert set(seen.ids.unique().tolist()) <= {0, 7} and set(seen.confidence.unique().tolist()) <= {0.0, 1.0}
    assert torch.equal(seen.confidence == 0, voted.confidence.where(voted.ids > 0, seen.confidence) == 0)
    assert (seen.ids[voted.ids > 0] == 7).all()

    # What is opaque and alone in its pixels looks like its embedding.
    own = replace(run.scene, gaussians=None).instances_of(run.model.embeddings)
    sure = (voted.confidence > 0.95) & (run.model.opacities.detach().sigmoid()[:, 0] > 0.9)
    assert sure.any() and (own.ids == voted.ids)[sure].float().mean() > 0.5


def test_a_crop_that_the_viewer_left_changes_no_training_view(trained_run: TrainedRun) -> None:
    """Association may begin, in the viewer or after training, while somebody looks at a part of the scene."""
    model = (run := load_run(trained_run.config)).model
    views = training_views(model, run.pipeline.datamanager)
    whole, voted = views.features(0), vote(model, views, segmented_views(views, run.scene))
    size, middle = model.means.detach().std(dim=0), model.means.detach().median(dim=0).values
    model.set_crop(OrientedBox(R=torch.eye(3), T=middle, S=size))
    assert 0 < len(model.gaussians().means) < model.num_points
    assert torch.equal(views.features(0), whole)
    assert torch.equal(vote(model, views, segmented_views(views, run.scene)).ids, voted.ids)
