"""Consensus on a real model: its association makes a segmented scene like any other."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
import torch

from proto_saga_ns.association import AssociationOptions, ground_truth_association
from proto_saga_ns.labels import read_label_map
from proto_saga_ns.plugin.model.associate import associate_views, segment_scene, training_views
from proto_saga_ns.plugin.model.options import SceneOptions
from proto_saga_ns.plugin.model.views import TrainingViews
from proto_saga_ns.plugin.run import Run
from proto_saga_ns.rasterize.sparse_channels import TiledChannels
from proto_saga_ns.recognition.votes import BESIDE_VIEWS
from tests.conftest import TrainedRun


def true_masks(views: TrainingViews, folder: TrainedRun) -> list[np.ndarray]:
    truths = (read_label_map(folder.scene.folder / "instances" / f"{name}.png") for name in views.names)
    return [ground_truth_association(views.label_map(index).numpy(), truth) for index, truth in enumerate(truths)]


@torch.no_grad()
def test_consensus_of_a_trained_run(loaded: Run, trained_run: TrainedRun) -> None:
    model = loaded.model
    views = training_views(model, loaded.pipeline.datamanager)
    association = associate_views(model, views, AssociationOptions(strategy="consensus"))
    pairs = [
        (true, own)
        for truth, instances in zip(true_masks(views, trained_run), association.instance_of_mask, strict=True)
        for true, own in zip(truth[1:].tolist(), instances[1:].tolist(), strict=True)
    ]
    # Each instance is one object, and each object is one instance in almost every view.
    owner = {own: max({t for t, _ in pairs}, key=lambda t: pairs.count((t, own))) for _, own in pairs if own}
    assert len(set(owner.values())) == len(owner) == association.num_instances
    assert np.mean([owner.get(own) == true for true, own in pairs]) > 0.9


def test_votes_and_prototypes_segment_together(loaded: Run) -> None:
    """The scene has votes; they are rendered, saved, used for pictures, and left out on demand."""
    model, datamanager = loaded.model, loaded.pipeline.datamanager
    options = AssociationOptions(strategy="consensus")
    scene = segment_scene(model, datamanager, options, SceneOptions())
    assert scene.votes is not None and scene.gaussians is not None
    views = training_views(model, datamanager)
    rendered = views.render(0, scene=scene)
    alone = views.render(0)
    assert alone.votes is None and isinstance(rendered.votes, TiledChannels)
    torch.testing.assert_close(rendered.features, alone.features)
    own = scene.votes.of(scene.masks.ids).dense()
    blended = views.render(0, embeddings=own).features
    torch.testing.assert_close(rendered.votes.dense(), blended)
    labels = scene.segment(rendered.features, rendered.alpha[..., 0], rendered.votes)[0].numpy()
    given = np.array(scene.mask_instances[views.names[0]])[views.label_map(0).numpy()]
    assert (labels == given)[given > 0].mean() > 0.9

    # The votes are those of the segmented training views, as the instances of the Gaussians are.
    owned = scene.gaussians.ids > 0
    assert owned.any() and torch.equal(scene.votes.labels[owned, 0], scene.gaussians.ids[owned])
    assert (scene.gaussians.confidence[owned] <= scene.votes.shares[owned, 0] + 1e-6).all()
    assert scene.votes.prototype_weight == BESIDE_VIEWS

    without = segment_scene(model, datamanager, options, SceneOptions(votes=False))
    assert without.votes is None and without.ids == scene.ids
    torch.testing.assert_close(without.prototypes, scene.prototypes)


@pytest.mark.parametrize("ids", ["seed", "trust"])
def test_consensus_takes_no_ids(ids: Literal["seed", "trust"]) -> None:
    with pytest.raises(ValueError, match="--mask-ids: nothing to --strategy consensus"):
        AssociationOptions(strategy="consensus", mask_ids=ids)
