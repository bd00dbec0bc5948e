"""An instance for each Gaussian of a trained model, by votes of the training views."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int
from nerfstudio.utils.rich_utils import CONSOLE
from rich.progress import track
from torch import Tensor

from proto_saga_ns.gaussian_instances import GaussianInstances, InstanceVotes, elect
from proto_saga_ns.model.render import Gaussians
from proto_saga_ns.rasterize.contributions import Contributions, contributions
from proto_saga_ns.rasterize.unoccluded import unoccluded

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from proto_saga_ns.model.proto_saga import ProtoSagaModel
    from proto_saga_ns.model.segmentation import TrainingViews
    from proto_saga_ns.scene import SegmentedScene


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
    gaussians = Gaussians.from_parameters(dict(model.gauss_params.items()))
    antialiased = model.config.rasterize_mode == "antialiased"
    votes, number = InstanceVotes(), len(model.means)
    most, most_alone = (torch.zeros(number, dtype=torch.float64, device=model.means.device) for _ in range(2))
    for index, label_map in enumerate(label_maps):
        view = views[index]
        found = contributions(*gaussians.geometry, view.viewmat, view.K, label_map, antialiased)
        votes.add(found)
        painted = torch.zeros_like(most).scatter_add_(0, found.gaussians.long(), found.weights.double())
        size = (view.width, view.height)
        alone = unoccluded(*gaussians.geometry, view.viewmat, view.K, size, antialiased).double()
        most, most_alone = torch.maximum(most, painted), torch.maximum(most_alone, alone)
    share = most / most_alone.clamp_min(torch.finfo(most.dtype).tiny)
    return ViewVotes(votes.total(), share.clamp(max=1).cpu())


def segmented_views(views: TrainingViews, scene: SegmentedScene) -> Iterator[Int[Tensor, "H W"]]:
    """Instance ids of the pixels of each training view, with a progress bar."""
    indices = range(len(views))
    for index in track(indices, description="Giving Gaussians to instances", console=CONSOLE, transient=True):
        rendered = views.render(index, scene=scene)
        yield scene.segment(rendered.features, rendered.alpha[..., 0], rendered.votes)[0]
