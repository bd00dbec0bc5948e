"""Pictures of a segmented scene as ``proto-saga render`` writes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from jaxtyping import UInt8

from proto_saga_ns.videos.pictures import Output, side_by_side, straight_alpha, to_uint8

if TYPE_CHECKING:
    import numpy as np
    from nerfstudio.cameras.cameras import Cameras

    from proto_saga_ns.model.proto_saga import ProtoSagaModel
    from proto_saga_ns.scene.display import Display


def has_alpha(outputs: Sequence[Output], display: Display) -> bool:
    """Whether pictures of these outputs are transparent somewhere; only ``object`` has a background to leave out."""
    return "object" in outputs and display.background == "transparent"


@torch.no_grad()
def picture(model: ProtoSagaModel, camera: Cameras, outputs: Sequence[Output]) -> UInt8[np.ndarray, "H W C"]:
    """Outputs of one camera side by side, as the display of the model's scene asks.

    Single-channel outputs get the colours that ns-render gives them. ``object`` before a transparent background keeps
    its real opacity instead of the checkerboard of viewer and ns-render, and makes the picture RGBA.
    """
    assert model.scene is not None
    cut_out = has_alpha(outputs, model.scene.display)
    needs_outputs = not cut_out or set(outputs) != {"object"}
    rendered = model.get_outputs_for_camera(camera) if needs_outputs else {}
    return side_by_side(
        [
            object_alone(model, camera) if name == "object" and cut_out else to_uint8(_colored(rendered[name]))
            for name in outputs
        ]
    )


@torch.no_grad()
def object_alone(model: ProtoSagaModel, camera: Cameras) -> UInt8[np.ndarray, "H W 4"]:
    """What the output ``object`` shows, without anything behind it, as straight RGBA."""
    assert model.scene is not None
    shown = model.scene.display.shows(model.scene.instances_of(model.embeddings))
    model.set_crop(None)
    alone = model.render_some(model.view_of(camera.to(model.device), corrected=False), shown.to(model.device))
    return to_uint8(straight_alpha(alone.rgb.cpu().numpy(), alone.alpha.cpu().numpy()))


def _colored(output: torch.Tensor) -> np.ndarray:
    from nerfstudio.utils.colormaps import apply_colormap

    return apply_colormap(output).cpu().numpy()
