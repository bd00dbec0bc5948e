"""After training: masks of all views become instances, instances become the classifier of novel views."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Int32
from nerfstudio.utils.rich_utils import CONSOLE
from rich.progress import track

from proto_saga_ns.association import (
    Association,
    AssociationOptions,
    ConsensusOptions,
    associate,
    look_numbered_per_view,
)
from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.mask_table import MaskedView, MaskTable
from proto_saga_ns.model.gaussian_votes import vote
from proto_saga_ns.model.render import Gaussians
from proto_saga_ns.model.scene_classifiers import classifier_masks
from proto_saga_ns.model.segmentation import TrainingViews
from proto_saga_ns.prototypes import view_prototypes
from proto_saga_ns.scene import Display, EmbeddingColors, SegmentedScene

if TYPE_CHECKING:
    from proto_saga_ns.data.datamanager import ProtoSagaDatamanager
    from proto_saga_ns.model.options import SceneOptions
    from proto_saga_ns.model.proto_saga import ProtoSagaModel


@torch.no_grad()
def segment_scene(
    model: ProtoSagaModel,
    datamanager: ProtoSagaDatamanager,
    options: AssociationOptions,
    scene_options: SceneOptions,
) -> SegmentedScene:
    """Associate the masks of all training views and make a classifier of novel views from the result.

    Raises:
        ProtoSagaError: if the masks changed since training, or no mask shows any Gaussian.
    """
    views = training_views(model, datamanager)
    association = associate_views(model, views, options)
    if not association.n_gaussians.any():
        raise ProtoSagaError(
            "Association found no instance: no Gaussian's centre falls on any mask, or too few views agree on any "
            "(min-views, min-support). Check masks and poses in ns-viewer; train longer."
        )
    pooled = pool_features(views, association.instance_of_mask)
    masks = classifier_masks(model, views, association, pooled, scene_options)
    CONSOLE.log(f"{len(masks.ids)} instances from {sum(datamanager.labels_per_view)} masks of {len(views)} views")
    with_votes = scene_options.votes and scene_options.classifier == "prototypes"
    scene = SegmentedScene(
        masks=masks,
        votes=association.votes if with_votes else None,
        levels=association.levels if with_votes else None,
        embedding_colors=EmbeddingColors.fit(model.embeddings.detach()),
        display=Display(overlay_opacity=model.config.overlay_opacity),
        tau=model.config.tau,
        min_alpha=model.config.min_alpha,
        options={"association": asdict(options), "scene": asdict(scene_options)},
    )
    return replace(scene, gaussians=vote(model, views, scene))


def training_views(model: ProtoSagaModel, datamanager: ProtoSagaDatamanager) -> TrainingViews:
    """The training views of a run.

    Raises:
        ProtoSagaError: if there are other masks now than in training.
    """
    found, trained = datamanager.labels_per_view, model.view_classifiers.labels_per_view
    if found != trained:
        raise ProtoSagaError(
            f"The masks in {datamanager.view_label_maps.source} have changed since training: {sum(found)} masks in "
            f"{len(found)} views, the checkpoint has classifiers for {sum(trained)} in {len(trained)}. Restore "
            "them, or train again."
        )
    return TrainingViews(model, datamanager)


def associate_views(model: ProtoSagaModel, views: TrainingViews, options: AssociationOptions) -> Association:
    """Association with progress bars, and with a warning if ids are trusted that hardly can be."""
    if options.strategy == "consensus":
        return _by_consensus(model, views, options.consensus)
    if options.mask_ids != "ignore" and look_numbered_per_view(views.mask_ids):
        _warn_of_numbering(options)
    return associate(
        *(model.means.detach(), model.embeddings.detach(), views, options, model.config.tau),
        progress=lambda order: _progress(order, "Associating masks"),
    )


@torch.no_grad()
def _by_consensus(model: ProtoSagaModel, views: TrainingViews, options: ConsensusOptions) -> Association:
    from proto_saga_ns.association.consensus import blend_views, find_consensus  # with parts of scipy that take long

    gaussians = Gaussians.from_parameters(dict(model.gauss_params.items()))
    blended = blend_views(*gaussians.geometry, views, model.config.rasterize_mode == "antialiased")
    means, embeddings = (tensor.detach().cpu().numpy() for tensor in (gaussians.means, gaussians.embeddings))
    stages = iter(("Blending views", "Sorting masks", "Voting"))
    found = find_consensus(means, embeddings, blended, options, progress=lambda order: _progress(order, next(stages)))
    return found.association()


def pool_features(views: TrainingViews, part_of_mask: Sequence[Int32[np.ndarray, " L+1"]]) -> MaskTable:
    """Masked average pooling of the feature maps of all training views (Eq. 17), for every mask."""

    def pooled() -> Iterator[MaskedView]:
        for index in _progress(range(len(views)), "Averaging features"):
            parts = torch.from_numpy(part_of_mask[index])
            features = views.render(index).features
            means, pixels = view_prototypes(features, views.label_map(index), len(parts) - 1)
            yield MaskedView(views.names[index], means.cpu(), pixels.cpu(), parts)

    return MaskTable.of_views(pooled(), views.embedding_dim)


def _warn_of_numbering(options: AssociationOptions) -> None:
    CONSOLE.print(
        f"[bold yellow]mask-ids={options.mask_ids} takes masks with the same id for the same instance in every view, "
        "but in almost every view these ids are 1, 2, 3, ... without a gap. They look like per-view numbering, as "
        "Segment Anything gives; then the segmentation will be wrong, and mask-ids=ignore is right. If every view "
        "really shows every instance, all is well."
    )


def _progress(indices: Iterable[int], description: str) -> Iterable[int]:
    return track(list(indices), description=description, console=CONSOLE, transient=True)
