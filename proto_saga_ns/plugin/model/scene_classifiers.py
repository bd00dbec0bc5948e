"""What classifies novel views: prototypes, or one of the alternatives that the paper compares them with (Table 4)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import Parameter
from torch.nn import functional as F

from proto_saga_ns.association import Association, apply_association
from proto_saga_ns.plugin.console_bar import console_bar
from proto_saga_ns.plugin.model.classifiers import SharedClassifier
from proto_saga_ns.recognition.clusters import hdbscan_prototypes, kmeans_prototypes, sample_features
from proto_saga_ns.recognition.prototypes import MaskTable
from proto_saga_ns.recognition.trained import TrainingOptions, train_shared_classifier

if TYPE_CHECKING:
    from proto_saga_ns.plugin.model.options import SceneOptions
    from proto_saga_ns.plugin.model.proto_saga import ProtoSagaModel
    from proto_saga_ns.plugin.model.views import TrainingViews

FEATURES_FOR_HDBSCAN = 10_000


def classifier_masks(
    model: ProtoSagaModel, views: TrainingViews, association: Association, masks: MaskTable, options: SceneOptions
) -> MaskTable:
    """The table whose prototypes are the classifier that the options ask for.

    Args:
        model: ``trained`` changes its embeddings.
        views: the training views.
        association: of their masks.
        masks: their pooled features, by the association's instances.
        options: which classifier.
    """
    if options.classifier == "prototypes":
        return _own_classifier(model, masks)
    if options.classifier == "trained":
        weights = F.normalize(_train(model, views, association, options).cpu(), dim=1)
        return replace(masks, features=F.pad(weights, (0, 0, 1, 0))[masks.member.long()])
    if options.classifier == "kmeans":
        clusters = kmeans_prototypes(masks.view_prototypes[1], association.num_instances, options.seed)
    else:
        clusters = hdbscan_prototypes(_features(views, options.seed), seed=options.seed)
    return MaskTable.without_views(clusters.prototypes, range(1, len(clusters.prototypes) + 1))


def _own_classifier(model: ProtoSagaModel, masks: MaskTable) -> MaskTable:
    """The masks themselves, or, if training had one classifier for all views, with its rows for their features."""
    if not isinstance(model.view_classifiers, SharedClassifier):
        return masks
    rows = model.view_classifiers.of_masks(masks.view, masks.label)
    return replace(masks, features=F.normalize(rows, dim=1).detach().cpu())


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
    with torch.enable_grad():
        trained = train_shared_classifier(
            lambda index, embeddings: views.render(index, embeddings).features,
            *(model.embeddings.detach(), label_maps, association.num_instances, training),
            progress=console_bar,
        )
    model.gauss_params["embeddings"] = Parameter(trained.embeddings)
    return trained.prototypes


def _consistent(views: TrainingViews, association: Association, index: int) -> Int[Tensor, "H W"]:
    labels = apply_association(views.label_map(index).numpy(), association.instance_of_mask[index])
    return torch.from_numpy(labels)
