"""After training: masks of all views become instances, instances become the classifier of novel views."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float, Int, Int32
from nerfstudio.utils.rich_utils import CONSOLE
from torch import Tensor

from proto_saga_ns.association import (
    Association,
    AssociationOptions,
    ConsensusOptions,
    associate,
    look_numbered_per_view,
)
from proto_saga_ns.association.consensus import find_consensus
from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.kernels.device import memory_errors_are_explained
from proto_saga_ns.plugin.console_bar import console_bar
from proto_saga_ns.plugin.model.scene_classifiers import classifier_masks
from proto_saga_ns.plugin.model.views import TrainingViews
from proto_saga_ns.rasterize.contributions import Contributions, contributions, unoccluded
from proto_saga_ns.recognition.agreement import MaskAgreement
from proto_saga_ns.recognition.gaussian_instances import GaussianInstances, InstanceVotes, elect
from proto_saga_ns.recognition.prototypes import MaskedView, MaskTable
from proto_saga_ns.recognition.votes import BESIDE_VIEWS, Votes
from proto_saga_ns.scene import Display, EmbeddingColors, SegmentedScene

if TYPE_CHECKING:
    from proto_saga_ns.plugin.data.datamanager import ProtoSagaDatamanager
    from proto_saga_ns.plugin.model.options import SceneOptions
    from proto_saga_ns.plugin.model.proto_saga import ProtoSagaModel


LESS_MEMORY = (
    "Do it in main memory: CUDA_VISIBLE_DEVICES= proto-saga associate ... (Gaussians that were trained are saved); or "
    "give --no-votes to proto-saga associate, which takes less."
)


@torch.no_grad()
def segment_scene(
    model: ProtoSagaModel,
    datamanager: ProtoSagaDatamanager,
    options: AssociationOptions,
    scene_options: SceneOptions,
) -> SegmentedScene:
    """Associate the masks of all training views and make a classifier of novel views from the result.

    Raises:
        ProtoSagaError: if the masks changed since training, no mask shows any Gaussian, the options ask an embedding
            that was never trained, or the GPU has too little memory.
    """
    with memory_errors_are_explained("association", lambda: LESS_MEMORY):
        return _segmented(model, datamanager, options, scene_options)


def _segmented(
    model: ProtoSagaModel,
    datamanager: ProtoSagaDatamanager,
    options: AssociationOptions,
    scene_options: SceneOptions,
) -> SegmentedScene:
    if model.is_untrained:
        check_asks_votes_alone(options, scene_options)
    views = training_views(model, datamanager)
    options = settled_options(model, options)
    if model.config.classifiers == "shared":
        CONSOLE.log("One classifier was trained for all views: the ids of the masks are the instances.")
    association = associate_views(model, views, options)
    if not association.n_gaussians.any():
        raise ProtoSagaError(
            "Association found no instance: no Gaussian's centre falls on any mask, or too few views agree on any "
            "(min-views, min-support). Check masks and poses in ns-viewer; train longer."
        )
    pooled = pool_features(views, association.instance_of_mask)
    masks = classifier_masks(model, views, association, pooled, scene_options)
    masks_of_views = f"{sum(datamanager.labels_per_view)} masks of {len(views)} views"
    CONSOLE.log(f"{len(masks.ids)} instances from {masks_of_views} by {options.strategy}")
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
    # Clusters are no instances of masks, which then can agree with nothing.
    return as_views_show_it(model, views, scene, association.instance_of_mask if masks.view_names else None)


def as_views_show_it(
    model: ProtoSagaModel,
    views: TrainingViews,
    scene: SegmentedScene,
    instance_of_mask: Sequence[Int32[np.ndarray, " _labels"]] | None,
) -> SegmentedScene:
    """The scene with an instance for each Gaussian, and how far its instances agree with their masks.

    The training views are segmented once for both, and for better votes where there are any: masks vote with their
    errors, segmented views without most of them. Those of embeddings that know nothing would repeat the votes.
    """
    agreeing = MaskAgreement()

    def label_maps() -> Iterator[Int[Tensor, "H W"]]:
        for index, labels in enumerate(segmented_views(views, scene)):
            if instance_of_mask is not None:
                agreeing.add(labels.cpu().numpy(), instance_of_mask[index][views.label_map(index).numpy()])
            yield labels

    counted = count_votes(model, views, label_maps())
    votes = scene.votes
    if votes is not None and not model.is_untrained:
        votes = Votes.largest(counted.counts, len(model.means), votes.top, prototype_weight=BESIDE_VIEWS)
    agreement = {} if instance_of_mask is None else {member: agreeing.share(member) for member in scene.masks.ids}
    return replace(scene, gaussians=counted.elect(), votes=votes, agreement=agreement)


def check_asks_votes_alone(options: AssociationOptions, scene_options: SceneOptions) -> None:
    """Raise a ``ProtoSagaError`` if association or classifier need embeddings that know something."""
    strategy = options.with_strategy().strategy
    given = {
        f"strategy {strategy}": strategy == "consensus",
        "no-votes": scene_options.votes,
        f"classifier {scene_options.classifier}": scene_options.classifier == "prototypes",
    }
    wrong = [name for name, fits in given.items() if not fits]
    if wrong:
        raise ProtoSagaError(
            f"{' and '.join(wrong)} cannot work here: the Gaussians are those of a plain splat, whose embeddings were "
            "never trained and tell nothing apart. Leave it out: consensus, the default, counts the votes of masks. "
            "Or train embeddings: ns-train proto-saga-lite --data DIR --load-dir "
            "RUN/nerfstudio_models --pipeline.model.freeze-geometry True."
        )


def training_views(model: ProtoSagaModel, datamanager: ProtoSagaDatamanager) -> TrainingViews:
    """The training views of a run.

    Raises:
        ProtoSagaError: if there are other masks now than in training.
    """
    check_same_masks(model, datamanager)
    return TrainingViews(model, datamanager)


def check_same_masks(model: ProtoSagaModel, datamanager: ProtoSagaDatamanager) -> None:
    """Raise a ``ProtoSagaError`` if there are other views or masks now than the model was trained with."""
    found, trained = datamanager.labels_per_view, model.view_classifiers.labels_per_view
    if len(found) != len(trained):
        raise ProtoSagaError(
            f"{datamanager.config.dataparser.data} has {len(found)} training views now, the checkpoint was trained on "
            f"{len(trained)}. Restore the images and poses, or train again."
        )
    if not model.view_classifiers.fit(datamanager.view_label_maps.ids):
        raise ProtoSagaError(
            f"The masks in {datamanager.view_label_maps.source} have changed since training: {sum(found)} masks in "
            f"{len(found)} views, the checkpoint has classifiers for {sum(trained)} (or other ids) in {len(trained)}. "
            "Restore them, or train again."
        )


def settled_options(model: ProtoSagaModel, options: AssociationOptions) -> AssociationOptions:
    """The options with their strategy, unless one classifier serves all views: then ids are instances."""
    if model.config.classifiers == "per-view":
        return options.with_strategy()
    return AssociationOptions("memory-bank", mask_ids="trust", min_views=0)


def associate_views(model: ProtoSagaModel, views: TrainingViews, options: AssociationOptions) -> Association:
    """Association with progress bars, and with a warning if ids are trusted that hardly can be."""
    options = settled_options(model, options)
    if options.strategy == "consensus":
        return _by_consensus(model, views, options.consensus)
    if options.mask_ids != "ignore" and look_numbered_per_view(views.mask_ids):
        _warn_of_numbering(options)
    return associate(
        *(model.means.detach(), model.embeddings.detach(), views, options, model.config.tau), progress=console_bar
    )


@torch.no_grad()
def _by_consensus(model: ProtoSagaModel, views: TrainingViews, options: ConsensusOptions) -> Association:
    means, embeddings = (tensor.detach().cpu().numpy() for tensor in (model.means, model.embeddings))
    return find_consensus(means, embeddings, views.blended, options, console_bar).association()


def pool_features(views: TrainingViews, member_of_mask: Sequence[Int32[np.ndarray, " _labels"]]) -> MaskTable:
    """Masked average pooling of the feature maps of all training views (Eq. 17), for every mask."""
    embeddings = views.embeddings.cpu().numpy()

    def pooled() -> Iterator[MaskedView]:
        for index in console_bar(range(len(views)), "Averaging features"):
            members = torch.from_numpy(member_of_mask[index])
            pixels = views.label_map(index).flatten().bincount(minlength=len(members))
            means = torch.from_numpy(views.blended[index].mean_features(embeddings, pixels.numpy()))
            yield MaskedView(views.names[index], means[1:].float(), pixels[1:], members)

    return MaskTable.of_views(pooled(), views.embedding_dim)


def _warn_of_numbering(options: AssociationOptions) -> None:
    CONSOLE.print(
        f"[bold yellow]mask-ids={options.mask_ids} takes masks with the same id for the same instance in every view, "
        "but in almost every view these ids are 1, 2, 3, ... without a gap. They look like per-view numbering, as "
        "Segment Anything gives; then the segmentation will be wrong, and mask-ids=ignore is right. If every view "
        "really shows every instance, all is well."
    )


@dataclass(frozen=True)
class ViewVotes:
    """What the training views say about N Gaussians.

    Attributes:
        counts: what each contributes to the pixels of each id, over all views.
        seen_share: what it paints in the view that shows most of it, of what it would paint with nothing before it in
            the view that would show most; on the CPU. Views that do not show it do not matter, however many they are.
    """

    counts: Contributions
    seen_share: Float[Tensor, " N"]

    def elect(self) -> GaussianInstances:
        """The instance of each Gaussian, inside a crop box or not.

        Those that no view shows belong to none; those that are hardly seen have a confidence of 0.
        """
        return elect(self.counts, len(self.seen_share), self.seen_share)


@torch.no_grad()
def count_votes(model: ProtoSagaModel, views: TrainingViews, label_maps: Iterable[Int[Tensor, "H W"]]) -> ViewVotes:
    """Every Gaussian votes, in every training view, for the ids of the pixels that it contributes to.

    Args:
        label_maps: ids of the pixels of each view.
    """
    geometry = model.gaussians(cropped=False).geometry
    votes, number = InstanceVotes(), len(model.means)
    most, most_alone = (torch.zeros(number, dtype=torch.float64, device=model.means.device) for _ in range(2))
    for index, label_map in enumerate(label_maps):
        view = views[index]
        found = contributions(geometry, view.viewmat, view.K, label_map)
        votes.add(found)
        painted = torch.zeros_like(most).scatter_add_(0, found.gaussians.long(), found.weights.double())
        alone = unoccluded(geometry, view.viewmat, view.K, (view.width, view.height)).double()
        most, most_alone = torch.maximum(most, painted), torch.maximum(most_alone, alone)
    share = most / most_alone.clamp_min(torch.finfo(most.dtype).tiny)
    return ViewVotes(votes.total(), share.clamp(max=1).cpu())


def segmented_views(views: TrainingViews, scene: SegmentedScene) -> Iterator[Int[Tensor, "H W"]]:
    """Instance ids of the pixels of each training view, with a progress bar."""
    for index in console_bar(range(len(views)), "Giving Gaussians to instances"):
        rendered = views.render(index, scene=scene)
        yield scene.segment(rendered.features, rendered.alpha[..., 0], rendered.votes)[0]
