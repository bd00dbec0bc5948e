"""An instance for each Gaussian of a trained model, by votes of the training views."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from nerfstudio.utils.rich_utils import CONSOLE
from rich.progress import track

from proto_saga_ns.gaussian_instances import GaussianInstances, InstanceVotes, elect
from proto_saga_ns.model.render import Gaussians
from proto_saga_ns.rasterize.contributions import Contributions, contributions

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from jaxtyping import Int
    from torch import Tensor

    from proto_saga_ns.model.proto_saga import ProtoSagaModel
    from proto_saga_ns.model.segmentation import TrainingViews
    from proto_saga_ns.scene import SegmentedScene


@torch.no_grad()
def vote(model: ProtoSagaModel, views: TrainingViews, scene: SegmentedScene) -> GaussianInstances:
    """Give each Gaussian to the instance whose pixels it contributes most to.

    The pixels are those of the training views, segmented by the scene.

    Returns:
        An instance for each of the model's Gaussians, inside a crop box or not. Those that no training view shows
        belong to none.
    """
    return vote_with(model, views, segmented_views(views, scene))


def vote_with(
    model: ProtoSagaModel, views: TrainingViews, label_maps: Iterable[Int[Tensor, "H W"]]
) -> GaussianInstances:
    """The same with other label maps of instance ids, one for each training view."""
    return elect(count_votes(model, views, label_maps), len(model.means))


def count_votes(model: ProtoSagaModel, views: TrainingViews, label_maps: Iterable[Int[Tensor, "H W"]]) -> Contributions:
    """What each Gaussian contributes to the pixels of each id, over all training views."""
    gaussians = Gaussians.from_parameters(dict(model.gauss_params.items()))
    antialiased = model.config.rasterize_mode == "antialiased"
    votes = InstanceVotes()
    for index, label_map in enumerate(label_maps):
        view = views[index]
        votes.add(contributions(*gaussians.geometry, view.viewmat, view.K, label_map, antialiased))
    return votes.total()


def segmented_views(views: TrainingViews, scene: SegmentedScene) -> Iterator[Int[Tensor, "H W"]]:
    """Instance ids of the pixels of each training view, with a progress bar."""
    indices = range(len(views))
    for index in track(indices, description="Giving Gaussians to instances", console=CONSOLE, transient=True):
        rendered = views.render(index, scene=scene)
        yield scene.segment(rendered.features, rendered.alpha[..., 0], rendered.votes)[0]
