"""Whether Gaussians and poses belong together: by what the training views show of the Gaussians."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Bool, Float
from nerfstudio.utils.rich_utils import CONSOLE
from torch import Tensor

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.plugin.adopt.plain_splat import ModelState, PlainSplat
from proto_saga_ns.plugin.model.checkpoint import GAUSSIAN_PREFIX
from proto_saga_ns.plugin.model.image_quality import psnr
from proto_saga_ns.plugin.model.views import TrainingViews
from proto_saga_ns.rasterize.pinhole import see_centers
from proto_saga_ns.splats.transform import Similarity

if TYPE_CHECKING:
    from proto_saga_ns.plugin.data.datamanager import ProtoSagaDatamanager
    from proto_saga_ns.plugin.model.proto_saga import ProtoSagaModel
    from proto_saga_ns.plugin.model.render import CameraView

LEAST_SEEN = 0.01
"""Share of the Gaussians whose centres must lie in some training view."""
VIEWS_COMPARED = 4
POOR_PSNR = 15.0
"""dB; a picture of something else, or from elsewhere, seldom reaches it."""


@dataclass(frozen=True)
class Fit:
    """How Gaussians and training views go together.

    Attributes:
        seen: share of the Gaussians whose centre lies in at least one training view.
        psnr: dB, mean over a few training views.
    """

    seen: float
    psnr: float


def load_best(model: ProtoSagaModel, datamanager: ProtoSagaDatamanager, splat: PlainSplat) -> None:
    """Load the parameters that look most like the training images, and say what was found.

    Args:
        model: to load them into; its embeddings become random.
        datamanager: of the training views.
        splat: whose parameters there may be several of, for several frames that its file may be in.

    Raises:
        ProtoSagaError: hardly any Gaussian lies in any training view, or the parameters are for another model.
    """
    states = splat.states(training_frame(datamanager))
    fits: dict[str, Fit] = {}
    for name, state in states.items():
        load(model, state, splat.source)
        fits[name] = measure_fit(model, datamanager)
    best = max(fits, key=lambda name: (fits[name].seen >= LEAST_SEEN, fits[name].psnr))
    CONSOLE.print(_report(splat.source, len(model.means), best, fits), soft_wrap=True)
    check_fit(fits[best], splat)
    load(model, states[best], splat.source)


def training_frame(datamanager: ProtoSagaDatamanager) -> Similarity:
    """From the coordinates of the input data to those of the training views."""
    outputs = datamanager.train_dataparser_outputs
    return Similarity.from_dataparser(outputs.dataparser_transform.numpy(), outputs.dataparser_scale)


def _report(source: Path, count: int, best: str, fits: Mapping[str, Fit]) -> str:
    others = [f"it would be {fit.psnr:.1f} dB in the frame {name}" for name, fit in fits.items() if name != best]
    frame = f"; taken to be in the frame {best}: {', '.join(others)}" if others else ""
    return f"{count} Gaussians of {source}: PSNR {fits[best].psnr:.1f} dB in a few training views{frame}"


def load(model: ProtoSagaModel, state: ModelState, source: Path) -> None:
    """Load parameters; what they lack stays as the model has it."""
    own = model.state_dict()
    for name, value in state.items():
        if name.startswith(GAUSSIAN_PREFIX):
            continue
        if name not in own or own[name].shape != value.shape:
            raise ProtoSagaError(
                f"{source} has {name} of shape {tuple(value.shape)}, for other training views than the "
                f"{model.num_train_data} that the data has now. Restore the images and poses that it was trained on."
            )
    model.load_state_dict(dict(state))


def check_fit(fit: Fit, splat: PlainSplat) -> None:
    """Raise a ``ProtoSagaError`` if the Gaussians lie elsewhere than the views look; warn if they look otherwise."""
    if fit.seen < LEAST_SEEN:
        raise ProtoSagaError(
            f"Only {fit.seen:.2%} of the Gaussians of {splat.source} lie in any training view: they are in other "
            f"coordinates than the poses of {splat.config.data}. {splat.remedy}"
        )
    if fit.psnr < POOR_PSNR:
        CONSOLE.print(
            f"[bold yellow]The Gaussians of {splat.source} look little like the training images: PSNR {fit.psnr:.1f} "
            f"dB. {splat.remedy}",
            soft_wrap=True,
        )


@torch.no_grad()
def measure_fit(model: ProtoSagaModel, datamanager: ProtoSagaDatamanager) -> Fit:
    """Look at the Gaussians of a model from the training views."""
    views = TrainingViews(model, datamanager)
    seen = torch.zeros(len(model.means), dtype=torch.bool, device=model.device)
    for index in range(len(views)):
        seen |= centers_in_view(model.means, views.geometry(index))
    chosen = np.unique(np.linspace(0, len(views) - 1, VIEWS_COMPARED).round().astype(int)).tolist()
    background = model.background_color.to(model.device)
    shown = [views.render(index).over(background).cpu() for index in chosen]
    found = [psnr(*pair) for pair in zip(shown, _photos(datamanager, chosen), strict=True)]
    return Fit(float(seen.float().mean()), float(np.mean(found)))


def centers_in_view(means: Tensor, view: CameraView) -> Bool[Tensor, " N"]:
    """Which points lie before the camera and inside its image."""
    return see_centers(means, view.viewmats[0], view.intrinsics[0], view.width, view.height).inside


def _photos(datamanager: ProtoSagaDatamanager, indices: list[int]) -> Iterator[Float[Tensor, "H W 3"]]:
    """Training images in [0, 1]."""
    for index in indices:
        image = datamanager.cached_train[index]["image"][..., :3].cpu()
        yield image if image.is_floating_point() else image / 255
