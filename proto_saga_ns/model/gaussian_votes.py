"""An instance for each Gaussian of a trained model, by votes of the training views."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from nerfstudio.utils.rich_utils import CONSOLE
from rich.progress import track

from proto_saga_ns.gaussian_instances import GaussianInstances, InstanceVotes, elect
from proto_saga_ns.model.render import Gaussians
from proto_saga_ns.rasterize.contributions import Contributions, contributions
from proto_saga_ns.rasterize.exact import UNITS_PER_PIXEL
from proto_saga_ns.rasterize.unoccluded import unoccluded

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from jaxtyping import Float, Int
    from torch import Tensor

    from proto_saga_ns.model.proto_saga import ProtoSagaModel
    from proto_saga_ns.model.segmentation import TrainingViews
    from proto_saga_ns.scene import SegmentedScene


def vote(model: ProtoSagaModel, views: TrainingViews, label_maps: Iterable[Int[Tensor, "H W"]]) -> GaussianInstances:
    """Give each Gaussian to the instance whose pixels it contributes most to.

    Args:
        label_maps: instance ids of the pixels of each training view.

    Returns:
        An instance for each of the model's Gaussians, inside a crop box or not. Those that no training view shows
        belong to none; those that are hardly seen have a confidence of 0.
    """
    return elect(count_votes(model, views, label_maps), len(model.means), count_unoccluded(model, views))


@torch.no_grad()
def count_votes(model: ProtoSagaModel, views: TrainingViews, label_maps: Iterable[Int[Tensor, "H W"]]) -> Contributions:
    """What each Gaussian contributes to the pixels of each id, over all training views."""
    gaussians, antialiased = _geometry(model)
    votes = InstanceVotes()
    for index, label_map in enumerate(label_maps):
        view = views[index]
        votes.add(contributions(*gaussians, view.viewmat, view.K, label_map, antialiased))
    return votes.total()


@torch.no_grad()
def count_unoccluded(model: ProtoSagaModel, views: TrainingViews) -> Float[Tensor, " N"]:
    """What each Gaussian would contribute to all training views if nothing were before it; pixels, on the CPU.

    The sum is the same in any order of views: whole numbers of 2^-20 pixels.
    """
    gaussians, antialiased = _geometry(model)
    units = torch.zeros(len(model.means), dtype=torch.int64)
    for index in range(len(views)):
        camera = views.geometry(index)
        size = (camera.width, camera.height)
        alone = unoccluded(*gaussians, camera.viewmats[0], camera.intrinsics[0], size, antialiased)
        units += (alone.double().cpu() * UNITS_PER_PIXEL).round().long()
    return units / UNITS_PER_PIXEL


def _geometry(model: ProtoSagaModel) -> tuple[tuple[Tensor, Tensor, Tensor, Tensor], bool]:
    """Of all Gaussians, inside a crop box or not; and whether they are drawn antialiased."""
    gaussians = Gaussians.from_parameters(dict(model.gauss_params.items()))
    return gaussians.geometry, model.config.rasterize_mode == "antialiased"


def segmented_views(views: TrainingViews, scene: SegmentedScene) -> Iterator[Int[Tensor, "H W"]]:
    """Instance ids of the pixels of each training view, with a progress bar."""
    indices = range(len(views))
    for index in track(indices, description="Giving Gaussians to instances", console=CONSOLE, transient=True):
        rendered = views.render(index, scene=scene)
        yield scene.segment(rendered.features, rendered.alpha[..., 0], rendered.votes)[0]
