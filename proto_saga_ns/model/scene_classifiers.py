"""What classifies novel views: prototypes, or one of the alternatives that the paper compares them with (Table 4)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int
from nerfstudio.utils.rich_utils import CONSOLE
from rich.progress import Progress
from torch import Tensor
from torch.nn import Parameter

from proto_saga_ns.alternatives import (
    Clusters,
    TrainingOptions,
    hdbscan_prototypes,
    kmeans_prototypes,
    sample_features,
    train_shared_classifier,
)
from proto_saga_ns.association import Association, apply_association
from proto_saga_ns.prototypes import PrototypeEnsemble
from proto_saga_ns.scene import Instance

if TYPE_CHECKING:
    from proto_saga_ns.model.options import SceneOptions
    from proto_saga_ns.model.proto_saga import ProtoSagaModel
    from proto_saga_ns.model.segmentation import TrainingViews

FEATURES_FOR_HDBSCAN = 10_000


@dataclass(frozen=True)
class SceneClassifier:
    """One row of ``prototypes`` for each of ``instances``."""

    prototypes: Float[Tensor, "T D"]
    instances: tuple[Instance, ...]


def scene_classifier(
    model: ProtoSagaModel,
    views: TrainingViews,
    association: Association,
    ensemble: PrototypeEnsemble,
    options: SceneOptions,
) -> SceneClassifier:
    """The classifier that the options ask for. ``trained`` changes the model's embeddings."""
    if options.classifier == "prototypes":
        return SceneClassifier(ensemble.prototypes(), _associated_instances(association, ensemble))
    if options.classifier == "trained":
        prototypes = _train(model, views, association, options)
        return SceneClassifier(prototypes, _associated_instances(association, ensemble))
    if options.classifier == "kmeans":
        vectors = torch.cat([means for _, means in ensemble.view_prototypes()])
        return _clustered(kmeans_prototypes(vectors, association.num_instances, options.seed))
    return _clustered(hdbscan_prototypes(_features(views, options.seed), seed=options.seed))


def _associated_instances(association: Association, ensemble: PrototypeEnsemble) -> tuple[Instance, ...]:
    columns = (ensemble.pixels.tolist(), ensemble.n_views.tolist(), association.n_gaussians.tolist())
    return tuple(Instance(number, "", *counts) for number, counts in enumerate(zip(*columns, strict=True), start=1))


def _clustered(clusters: Clusters) -> SceneClassifier:
    """Clusters of features have neither pixels nor Gaussians of their own."""
    return SceneClassifier(
        clusters.prototypes, tuple(Instance(number + 1) for number in range(len(clusters.prototypes)))
    )


def _features(views: TrainingViews, seed: int) -> Float[Tensor, "S D"]:
    share = -(-FEATURES_FOR_HDBSCAN // len(views))
    parts = []
    for index in range(len(views)):
        rendered = views.render(index)
        parts.append(sample_features(rendered.features, rendered.alpha[..., 0], share, seed + index))
    return torch.cat(parts)


def _train(
    model: ProtoSagaModel, views: TrainingViews, association: Association, options: SceneOptions
) -> Float[Tensor, "T D"]:
    """Train one classifier for all views together with the embeddings, everything else frozen."""
    label_maps = [_consistent(views, association, index) for index in range(len(views))]
    training = replace(TrainingOptions(seed=options.seed, tau=model.config.tau), steps=options.trained_steps)
    with torch.enable_grad(), Progress(console=CONSOLE, transient=True) as progress:
        task = progress.add_task("Training one classifier for all views", total=training.steps)
        trained = train_shared_classifier(
            lambda index, embeddings: views.render(index, embeddings).features,
            *(model.embeddings.detach(), label_maps, association.num_instances, training),
            on_step=lambda step: progress.update(task, completed=step),
        )
    model.gauss_params["embeddings"] = Parameter(trained.embeddings)
    return trained.prototypes


def _consistent(views: TrainingViews, association: Association, index: int) -> Int[Tensor, "H W"]:
    labels = apply_association(views.label_map(index).numpy(), association.instance_of_mask[index])
    return torch.from_numpy(labels)
