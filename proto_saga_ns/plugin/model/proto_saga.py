"""Splatfacto with an embedding per Gaussian and a classifier per training view (Proto-SaGa, Sec. 3.1)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import torch
from gsplat.strategy import DefaultStrategy
from jaxtyping import Bool, Float, Int, UInt8
from nerfstudio.cameras.cameras import Cameras
from nerfstudio.model_components.lib_bilagrid import total_variation_loss
from nerfstudio.models.splatfacto import RGB2SH, SplatfactoModel, SplatfactoModelConfig
from nerfstudio.utils.rich_utils import CONSOLE
from torch import Tensor, nn
from torch.nn import Parameter

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.plugin.limits import check_seeds
from proto_saga_ns.plugin.model import checkpoint
from proto_saga_ns.plugin.model.classifiers import INTERVAL, SharedClassifier, ViewClassifiers, neighbour_divergence
from proto_saga_ns.plugin.model.image_loss import image_loss
from proto_saga_ns.plugin.model.image_quality import lpips_or_nan, without_lpips
from proto_saga_ns.plugin.model.outputs import embedding_outputs, segmentation_outputs
from proto_saga_ns.plugin.model.render import CameraView, Gaussians, Rendered, camera_view, downscaled_labels, render
from proto_saga_ns.recognition.cosine_softmax import cross_entropy
from proto_saga_ns.scene import EmbeddingColors, SegmentedScene
from proto_saga_ns.scene.shown import part_channels
from proto_saga_ns.scene.state import scene_from_state, scene_to_state


@dataclass
class ProtoSagaModelConfig(SplatfactoModelConfig):
    """Splatfacto, embeddings and view classifiers."""

    _target: type = field(default_factory=lambda: ProtoSagaModel)
    embedding_dim: int = 16
    """numbers that each Gaussian carries for segmentation (D in the paper)"""
    lambda_ce: float = 0.05
    """weight of the cross entropy between view classifiers and label maps (Eq. 8)"""
    tau: float = 10.0
    """temperature of the cosine softmax (Eqs. 6, 14 and 19)"""
    embedding_init_scale: float = 1e-3
    """standard deviation of the initial embeddings; only directions count, so small ones turn faster"""
    classifier_init_scale: float = 1e-3
    """standard deviation of the initial view classifiers"""
    classifiers: Literal["per-view", "shared"] = "per-view"
    """per-view: each training view has a classifier of its own, and masks are associated afterwards. shared: one
    classifier for all views, as Gaussian Grouping has it; masks with the same id must show the same instance in every
    view (--mask-source mastsam, or masks of another tracker), nothing is associated, and the rows of the classifier
    are the prototypes"""
    lambda_neighbours: float = 0.0
    """classifiers shared: weight of the divergence between the class probabilities of nearby Gaussians, every fifth
    step; 2 in Gaussian Grouping"""
    segmentation_moves_geometry: bool = True
    """whether the cross entropy also trains means, shapes and opacities, as in the paper; without it a step costs a
    second rasterization"""
    freeze_geometry: bool = False
    """train embeddings and view classifiers only; for a splat that is good already (give it with --load-dir)"""
    min_alpha: float = 0.5
    """pixels that accumulate less opacity than this are left unlabelled"""
    overlay_opacity: float = 0.6
    """opacity of the instance colours in the output segmentation_overlay, until it is changed in the viewer"""


class ProtoSagaModel(SplatfactoModel):
    """Gaussians with embeddings, classifiers for the training views, and after association a segmented scene.

    Attributes:
        scene: the segmentation, once association has run; saved in the state dict.
        schedule_offset: where splatfacto's schedules (densification, resolution) stand at step 0; beyond their end
            for an imported splat.
        is_imported_splat: whether the checkpoint loaded last was a plain splatfacto one.
    """

    config: ProtoSagaModelConfig
    strategy: DefaultStrategy

    def populate_modules(self) -> None:
        """Splatfacto's modules with seed colours set without a GPU, embeddings and (still no) classifiers."""
        given = None if self.config.random_init or self.seed_points is None else len(self.seed_points[0])
        check_seeds(given, self.config)
        colors = self._take_seed_colors()
        with without_lpips():
            super().populate_modules()
        del self.lpips  # a module cannot be replaced by a function otherwise
        self.lpips = lpips_or_nan
        if colors is not None:
            self.gauss_params["features_dc"] = Parameter(self._encode_colors(colors))
        self.strategy.verbose = False
        self.gauss_params["embeddings"] = Parameter(self._new_embeddings(self.num_points))
        kind = SharedClassifier if self.config.classifiers == "shared" else ViewClassifiers
        self.view_classifiers = kind(self.config.embedding_dim, init_scale=self.config.classifier_init_scale)
        self.scene: SegmentedScene | None = None
        self.schedule_offset = 0
        self.is_imported_splat = False
        self._embedding_colors: EmbeddingColors | None = None
        self._embedding_colors_step = 0

    def _take_seed_colors(self) -> UInt8[Tensor, "N 3"] | None:
        """Colours of the seed points, hidden from splatfacto, which would put them on the GPU unasked."""
        if self.seed_points is None or self.config.random_init or len(self.seed_points[1]) == 0:
            return None
        means, colors = self.seed_points
        self.seed_points = (means, colors[:0])
        return colors

    def _encode_colors(self, colors: Tensor) -> Float[Tensor, "N 3"]:
        unit = colors.float() / 255
        return RGB2SH(unit) if self.config.sh_degree > 0 else torch.logit(unit, eps=1e-10)

    def _new_embeddings(self, count: int) -> Float[Tensor, "N D"]:
        return self.config.embedding_init_scale * torch.randn(count, self.config.embedding_dim)

    @property
    def embeddings(self) -> Parameter:
        """(N, D)"""
        return self.gauss_params["embeddings"]

    @property
    def is_untrained(self) -> bool:
        """Whether the embeddings are zero: those of a plain splat that was segmented by votes alone."""
        return not bool(self.embeddings.any())

    def create_view_classifiers(self, ids_per_view: Sequence[Int[np.ndarray, " _L"]]) -> None:
        """Give every training view its classifier; to be called before the optimizers are built.

        Args:
            ids_per_view: for every view the ids of its masks in their file.
        """
        self.view_classifiers.create_for(ids_per_view, self.device)

    def get_gaussian_param_groups(self) -> dict[str, list[Parameter]]:
        groups = super().get_gaussian_param_groups()
        for parameters in groups.values():
            for parameter in parameters:
                parameter.requires_grad_(not self.config.freeze_geometry)
        return {**groups, "embeddings": [self.embeddings]}

    def get_param_groups(self) -> dict[str, list[Parameter]]:
        return {**super().get_param_groups(), "view_classifiers": list(self.view_classifiers.weights)}

    def step_cb(self, optimizers: Any, step: int) -> None:
        super().step_cb(optimizers, step + self.schedule_offset)

    def step_post_backward(self, step: int) -> None:
        if not self.config.freeze_geometry:
            super().step_post_backward(step + self.schedule_offset)

    def view_of(self, camera: Cameras, corrected: bool) -> CameraView:
        """The view of one camera, by the camera optimizer's pose (training views only) or as it is."""
        poses = camera.camera_to_worlds
        if corrected and self.config.camera_optimizer.mode != "off":
            poses = self.camera_optimizer.apply_to_camera(camera.to(self.device))
        return camera_view(camera, poses, self._get_downscale_factor(), self.device)

    def gaussians(
        self, keep: Bool[Tensor, " N"] | None = None, scene: SegmentedScene | None = None, cropped: bool = True
    ) -> Gaussians:
        """What the rasterizer takes of the Gaussians that are inside the crop box, and perhaps only of some.

        With a scene its votes are rendered, if it has any, and the parts that its display tells apart.
        """
        chosen = keep
        if cropped and self.crop_box is not None and not self.training:
            inside = self.crop_box.within(self.means).reshape(-1)
            chosen = inside if keep is None else inside & keep
        found = Gaussians.from_parameters(
            dict(self.gauss_params.items()), antialiased=self.config.rasterize_mode == "antialiased"
        )
        if scene is not None:
            votes = scene.votes_of(self.num_points, self.device)
            found = replace(found, votes=votes, parts=part_channels(scene, self.num_points, self.device))
        return found if chosen is None else found.of(chosen)

    def get_outputs(self, camera: Cameras) -> dict[str, Tensor]:  # type: ignore[override]
        """Render one camera.

        Returns:
            ``rgb`` (H, W, 3), ``depth`` (H, W, 1; not while training), ``accumulation`` (H, W, 1), ``background``,
            and ``features`` (H, W, D) while training, else the outputs that ``model.outputs`` describes.
        """
        view = self.view_of(camera, corrected=self.training)
        self.last_size = (view.height, view.width)
        rendered, self.info = render(
            self.gaussians(scene=None if self.training else self.scene),
            view,
            sh_degree=self._active_sh_degree(),
            with_depth=self.config.output_depth_during_training or not self.training,
            absgrad=self.strategy.absgrad,
            share_geometry_gradient=self.config.segmentation_moves_geometry or not self.training,
        )
        if self.training and not self.config.freeze_geometry:
            self.strategy.step_pre_backward(
                self.gauss_params, self.optimizers, self.strategy_state, self.step, self.info
            )
        background = self._get_background_color()
        rgb = self._exposed(rendered.over(background), camera)
        outputs = {"rgb": rgb, "accumulation": rendered.alpha, "background": background}
        if rendered.depth is not None:
            outputs["depth"] = rendered.depth
        if self.training:
            return {**outputs, "features": rendered.features}
        outputs["background"] = background.expand(view.height, view.width, 3)
        return {**outputs, **self._segmentation_outputs(view, rendered, background)}

    def _active_sh_degree(self) -> int | None:
        if self.config.sh_degree == 0:
            return None
        return min(self.step // self.config.sh_degree_interval, self.config.sh_degree)

    def _exposed(self, rgb: Tensor, camera: Cameras) -> Tensor:
        index = (camera.metadata or {}).get("cam_idx")
        if self.config.use_bilateral_grid and self.training and index is not None:
            height, width = rgb.shape[:2]
            rgb = self._apply_bilateral_grid(rgb[None], index, height, width)[0]
        return rgb

    def _segmentation_outputs(self, view: CameraView, whole: Rendered, background: Tensor) -> dict[str, Tensor]:
        scene = self.scene
        if scene is None:
            return embedding_outputs(self.embedding_colors(), whole.features, whole.alpha)
        display = scene.display
        alone = display.selected and display.background != "dimmed"
        visible = shown = whole
        if display.hidden or alone:  # asking for the instances of all Gaussians is not free
            found = scene.instances_of(self.embeddings).to(self.device)
            visible = self.render_some(view, ~display.hides(found), scene) if display.hidden else whole
            shown = self.render_some(view, display.shows(found)) if alone else visible
        return {
            **embedding_outputs(scene.embedding_colors, whole.features, whole.alpha),
            **segmentation_outputs(scene, visible, shown, background),
        }

    def render_some(
        self, view: CameraView, keep: Bool[Tensor, " N"] | None, scene: SegmentedScene | None = None
    ) -> Rendered:
        """One view of some Gaussians alone (None: of all), with the votes of a scene if it is to be segmented."""
        return render(
            self.gaussians(keep, scene),
            view,
            sh_degree=self._active_sh_degree(),
            with_depth=False,
        )[0]

    def embedding_colors(self) -> EmbeddingColors:
        """The colours of the output ``embedding`` before there is a scene.

        They stay the same until the number of steps has grown by half, so that they follow the training without
        flickering.
        """
        if self._embedding_colors is None or self.step > 1.5 * self._embedding_colors_step:
            self._embedding_colors = EmbeddingColors.fit(self.embeddings.detach())
            self._embedding_colors_step = self.step
        return self._embedding_colors

    def get_metrics_dict(self, outputs: dict[str, Tensor], batch: dict[str, Any]) -> dict[str, Any]:
        metrics = super().get_metrics_dict(outputs, batch)
        if self.training and "label_map" in batch:
            metrics["ce"], metrics["label_accuracy"] = self.classify_view(
                outputs["features"], batch["label_map"], int(batch["image_idx"])
            )
        return metrics

    def classify_view(
        self, features: Float[Tensor, "h w D"], label_map: Int[Tensor, "H W"], view: int
    ) -> tuple[Tensor, Tensor]:
        """L_CE (Eq. 7) of one training view and the share of labelled pixels that its classifier gets right."""
        labels = downscaled_labels(label_map.to(self.device), self._get_downscale_factor())
        return cross_entropy(features, *self.view_classifiers.task(view, labels), self.config.tau)

    def get_loss_dict(
        self, outputs: dict[str, Tensor], batch: dict[str, Any], metrics_dict: dict[str, Any] | None = None
    ) -> dict[str, Tensor]:
        """Splatfacto's losses, of the picture by ``image_loss``; L_CE where there are labels (Eq. 8)."""
        losses = {
            "main_loss": image_loss(*self._pictures(outputs, batch), self.config.ssim_lambda),
            "scale_reg": self._scale_regularization(),
        }
        if self.training:
            self.camera_optimizer.get_loss_dict(losses)
            if self.config.use_bilateral_grid:
                losses["tv_loss"] = 10 * total_variation_loss(self.bil_grids.grids)
        if metrics_dict is not None and "ce" in metrics_dict:
            losses["ce_loss"] = self.config.lambda_ce * metrics_dict["ce"]
            metrics_dict["ce"] = metrics_dict["ce"].detach()
        if self.training and self.config.lambda_neighbours > 0 and self.step % INTERVAL == 0:
            weights = self.view_classifiers.weights[0]
            divergence = neighbour_divergence(self.means, self.embeddings, weights, self.config.tau)
            losses["neighbour_loss"] = self.config.lambda_neighbours * divergence
        return losses

    def _pictures(
        self, outputs: dict[str, Tensor], batch: dict[str, Any]
    ) -> tuple[Float[Tensor, "h w 3"], Float[Tensor, "h w 3"]]:
        """Rendered picture and photo as they are compared: over the same background, black where a mask hides them."""
        rendered = outputs["rgb"]
        photo = self.composite_with_background(self.get_gt_img(batch["image"]), outputs["background"])
        if "mask" in batch:
            mask = self._downscale_if_required(batch["mask"]).to(self.device)
            rendered, photo = rendered * mask, photo * mask
        return rendered, photo

    def _scale_regularization(self) -> Float[Tensor, ""]:
        """What Gaussians cost that are longer than ``max_gauss_ratio`` times their width, every tenth step."""
        if not self.config.use_scale_regularization or self.step % 10:
            return torch.zeros((), device=self.device)
        ratios = (self.scales.amax(dim=-1) - self.scales.amin(dim=-1)).exp()
        return 0.1 * (ratios - self.config.max_gauss_ratio).clamp_min(0).mean()

    def get_image_metrics_and_images(
        self, outputs: dict[str, Tensor], batch: dict[str, Any]
    ) -> tuple[dict[str, float], dict[str, Tensor]]:
        """Splatfacto's metrics, LPIPS only where its weights are; ground truth beside what the model shows."""
        metrics, images = super().get_image_metrics_and_images(outputs, batch)
        shown = [outputs[name] for name in ("embedding", "segmentation") if name in outputs]
        images["img"] = torch.cat([images["img"], *shown], dim=1)
        return {name: value for name, value in metrics.items() if not math.isnan(value)}, images

    def get_extra_state(self) -> dict[str, Any]:
        scene = None if self.scene is None else scene_to_state(self.scene)
        return {"format": checkpoint.FORMAT, "schedule_offset": self.schedule_offset, "scene": scene}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        checkpoint.check_format(state["format"])
        self.schedule_offset = state["schedule_offset"]
        self.scene = None
        if state["scene"] is not None:
            try:
                self.scene = scene_from_state(state["scene"])
            except ProtoSagaError as error:  # the Gaussians are whole: `proto-saga associate` must be able to load them
                CONSOLE.print(str(error), style="bold yellow", markup=False)

    def load_state_dict(self, dict: dict[str, Any], **kwargs: Any) -> Any:  # type: ignore[override]
        """Load a checkpoint of this method, or a plain splatfacto one, whose Gaussians get fresh embeddings.

        Raises:
            ProtoSagaError: if it holds no Gaussians or Gaussians of other shapes.
        """
        state = {key: value for key, value in dict.items() if not key.startswith("lpips.")}
        checkpoint.check_is_splat(state)
        self.is_imported_splat = checkpoint.is_plain_splat(state)
        if self.is_imported_splat:
            state = self._completed_splat(state)
        checkpoint.check_shapes(self.gauss_params, state)
        checkpoint.check_classifiers(state, self.config.classifiers)
        checkpoint.resize_gaussians(self.gauss_params, len(state["gauss_params.means"]))
        self.view_classifiers.match_state(state, "view_classifiers.", self.device)
        self.step = self.config.sh_degree * self.config.sh_degree_interval + self.schedule_offset
        return nn.Module.load_state_dict(self, state, **kwargs)

    def _completed_splat(self, state: dict[str, Any]) -> dict[str, Any]:
        """A splatfacto state with what it lacks; the schedules go on where that training had ended."""
        own = {key: value for key, value in self.state_dict().items() if key not in state}
        own[checkpoint.EMBEDDINGS] = self._new_embeddings(len(state["gauss_params.means"]))
        own["_extra_state"] = {**self.get_extra_state(), "schedule_offset": self.config.stop_split_at + 1}
        return {**own, **state}
