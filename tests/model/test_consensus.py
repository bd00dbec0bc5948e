"""Consensus on a real model: its association makes a segmented scene like any other."""

from __future__ import annotations

import numpy as np
import torch

from proto_saga_ns.association import ground_truth_association
from proto_saga_ns.association.consensus import ConsensusOptions, blend_views, find_consensus
from proto_saga_ns.cli.run import Run
from proto_saga_ns.fused import classify_with_votes
from proto_saga_ns.labels import read_label_map
from proto_saga_ns.model.association import pool_features, training_views
from proto_saga_ns.model.render import Gaussians
from proto_saga_ns.model.segmentation import TrainingViews
from tests.conftest import TrainedRun


def true_masks(views: TrainingViews, folder: TrainedRun) -> list[np.ndarray]:
    truths = (read_label_map(folder.scene.folder / "instances" / f"{name}.png") for name in views.names)
    return [ground_truth_association(views.label_map(index).numpy(), truth) for index, truth in enumerate(truths)]


@torch.no_grad()
def test_consensus_of_a_trained_run(loaded: Run, trained_run: TrainedRun) -> None:
    model = loaded.model
    views = training_views(model, loaded.pipeline.datamanager)
    gaussians = Gaussians.from_parameters(dict(model.gauss_params.items()))
    geometry = (gaussians.means, gaussians.quats, gaussians.scales, gaussians.opacities)
    found = find_consensus(
        model.means.numpy(), model.embeddings.numpy(), blend_views(*geometry, views), ConsensusOptions()
    )
    association = found.association()
    pairs = [
        (true, own)
        for truth, instances in zip(true_masks(views, trained_run), association.instance_of_mask, strict=True)
        for true, own in zip(truth[1:].tolist(), instances[1:].tolist(), strict=True)
    ]
    # Each instance is one object, and each object is one instance in almost every view.
    owner = {own: max({t for t, _ in pairs}, key=lambda t: pairs.count((t, own))) for _, own in pairs if own}
    assert len(set(owner.values())) == len(owner) == association.num_instances
    assert np.mean([owner.get(own) == true for true, own in pairs]) > 0.9

    masks = pool_features(views, association.instance_of_mask)
    channels = torch.from_numpy(found.votes.of_instances(np.array(masks.ids)))
    rendered = views.render(0, embeddings=torch.cat([model.embeddings, channels], dim=1))
    features, votes = rendered.features.split([views.embedding_dim, len(masks.ids)], dim=-1)
    labels, _ = classify_with_votes(features, votes, masks.prototypes, rendered.alpha[..., 0])
    given = association.instance_of_mask[0][views.label_map(0).numpy()]
    agree = np.append(0, masks.ids)[labels.numpy()] == given
    assert agree[given > 0].mean() > 0.9
