"""From a trained model to a segmented scene, and from there to the segmentation of any view."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float, Int32, UInt8
from nerfstudio.utils.colormaps import apply_colormap
from torch import Tensor

from proto_saga_ns.association import View
from proto_saga_ns.association.consensus import RememberedViews, blend_views
from proto_saga_ns.export.videos.pictures import Output, side_by_side, straight_alpha, to_uint8
from proto_saga_ns.labels.view_names import view_name
from proto_saga_ns.plugin.model.outputs import segment_at_level
from proto_saga_ns.plugin.model.render import Rendered, render
from proto_saga_ns.recognition.granularity import OBJECTS
from proto_saga_ns.scene.shown import at_granularity

if TYPE_CHECKING:
    from nerfstudio.cameras.cameras import Cameras

    from proto_saga_ns.plugin.data.datamanager import ProtoSagaDatamanager
    from proto_saga_ns.plugin.model.proto_saga import ProtoSagaModel
    from proto_saga_ns.plugin.model.render import CameraView
    from proto_saga_ns.scene import SegmentedScene
    from proto_saga_ns.scene.display import Display


@dataclass(frozen=True)
class SegmentedView:
    """A view of a segmented scene.

    Attributes:
        rgb: rendered colours in [0, 1].
        labels: instance ids (or those of groups or parts), 0 where nothing was recognised.
        confidence: probability of the instance that won, 0 where the label is 0.
    """

    rgb: Float[Tensor, "H W 3"]
    labels: Int32[np.ndarray, "H W"]
    confidence: Float[Tensor, "H W"]


class TrainingViews:
    """The training views of a run as association and prototypes need them, made one at a time.

    Poses are those that the camera optimizer ended with.
    """

    def __init__(self, model: ProtoSagaModel, datamanager: ProtoSagaDatamanager) -> None:
        self._model = model
        self._label_maps = datamanager.train_label_maps
        self._cameras = datamanager.train_cameras_undistorted  # of the CPU: reading sizes from a GPU waits for it
        self.mask_ids = datamanager.view_label_maps.ids
        self.names = [view_name(Path(name)) for name in datamanager.train_dataset.image_filenames]

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> View:
        if index >= len(self):
            raise IndexError(index)
        view = self.geometry(index)
        return View(
            name=self.names[index],
            viewmat=view.viewmats[0],
            K=view.intrinsics[0],
            width=view.width,
            height=view.height,
            label_map=self._label_maps[index],
            classifier=self._model.view_classifiers[index].detach(),
            mask_ids=self.mask_ids[index],
        )

    def __iter__(self) -> Iterator[View]:
        return (self[index] for index in range(len(self)))

    def geometry(self, index: int) -> CameraView:
        """Pose and lens of a training view."""
        return self._model.view_of(self._camera(index), corrected=True)

    @property
    def embedding_dim(self) -> int:
        """D."""
        return self._model.config.embedding_dim

    @property
    def embeddings(self) -> Float[Tensor, "N D"]:
        """Of all Gaussians."""
        return self._model.embeddings.detach()

    @cached_property
    def blended(self) -> RememberedViews:
        """What each Gaussian contributes to each mask of each view; found when it is first asked for."""
        return blend_views(self._model.gaussians(cropped=False).geometry.detach(), self)

    def label_map(self, index: int) -> Int32[Tensor, "H W"]:
        """Label map of a training view, undistorted."""
        return self._label_maps[index]

    def render(
        self, index: int, embeddings: Float[Tensor, "N D"] | None = None, scene: SegmentedScene | None = None
    ) -> Rendered:
        """Feature map (and the rest) of a training view, perhaps of other embeddings than the model's."""
        return render_view(self._model, self._camera(index), corrected=True, embeddings=embeddings, scene=scene)

    def _camera(self, index: int) -> Cameras:
        camera = self._cameras[index : index + 1]
        camera.metadata = {"cam_idx": index}
        return camera


def render_view(
    model: ProtoSagaModel,
    camera: Cameras,
    corrected: bool = False,
    embeddings: Float[Tensor, "N D"] | None = None,
    scene: SegmentedScene | None = None,
) -> Rendered:
    """Colours, features and opacity of one camera at full resolution, all spherical harmonics in use.

    Votes too, if a scene is given that has them. Without regard to the crop box that a viewer has left in the model:
    what is found by such views is about the whole scene.
    """
    gaussians = model.gaussians(scene=scene, cropped=False)
    if embeddings is not None:
        gaussians = replace(gaussians, embeddings=embeddings, geometry=gaussians.geometry.detach())
    return render(
        gaussians,
        model.view_of(camera, corrected),
        sh_degree=model.config.sh_degree or None,
        with_depth=False,
    )[0]


@torch.no_grad()
def segment_view(
    model: ProtoSagaModel, scene: SegmentedScene, camera: Cameras, granularity: float = OBJECTS
) -> SegmentedView:
    """Segment one view of a model by a segmented scene: its objects, or with another granularity groups or parts.

    Raises:
        ProtoSagaError: the scene has no other level than that of the objects, or no parts of the model's Gaussians.
    """
    scene = at_granularity(scene, granularity, model.num_points)
    rendered = render_view(model, camera, scene=scene)
    _, confidence, labels = segment_at_level(scene, rendered)
    rgb = rendered.over(model.background_color.to(model.device))
    return SegmentedView(rgb, labels.cpu().numpy(), confidence)


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
    alone = model.render_some(model.view_of(camera, corrected=False), shown.to(model.device))
    return to_uint8(straight_alpha(alone.rgb.cpu().numpy(), alone.alpha.cpu().numpy()))


def _colored(output: torch.Tensor) -> np.ndarray:
    return apply_colormap(output).cpu().numpy()
