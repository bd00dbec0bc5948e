"""The pipeline: data with label maps, a model with a classifier for each of them, and association at the end."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
import torch
from jaxtyping import Int
from nerfstudio.pipelines.base_pipeline import VanillaPipeline, VanillaPipelineConfig

from proto_saga_ns.association import AssociationOptions, look_numbered_per_view
from proto_saga_ns.errors import ProtoSagaError, user_errors_end_the_process
from proto_saga_ns.kernels.device import scene_device
from proto_saga_ns.plugin.data.datamanager import ProtoSagaDatamanager, ProtoSagaDatamanagerConfig
from proto_saga_ns.plugin.limits import check_step, check_views
from proto_saga_ns.plugin.model.checkpoint import rewrite_checkpoint
from proto_saga_ns.plugin.model.options import SceneOptions
from proto_saga_ns.plugin.model.proto_saga import ProtoSagaModel, ProtoSagaModelConfig
from proto_saga_ns.plugin.render_requests import check_request
from proto_saga_ns.plugin.viewer.panel import ObjectsPanel

if TYPE_CHECKING:
    from nerfstudio.viewer.viewer import Viewer

    from proto_saga_ns.plugin.model.proto_saga import ProtoSagaModelConfig


MODEL_FOLDER = "nerfstudio_models"
"""Nerfstudio's name for the folder of a run's checkpoints."""


@dataclass
class ProtoSagaPipelineConfig(VanillaPipelineConfig):
    """Data, model and what happens after training."""

    _target: type = field(default_factory=lambda: ProtoSagaPipeline)
    datamanager: ProtoSagaDatamanagerConfig = field(default_factory=ProtoSagaDatamanagerConfig)
    model: ProtoSagaModelConfig = field(default_factory=ProtoSagaModelConfig)
    association: AssociationOptions = field(default_factory=AssociationOptions)
    """how masks become instances after training; proto-saga associate does it again with other settings"""
    scene: SceneOptions = field(default_factory=SceneOptions)
    """how instances become the classifier of novel views"""


class ProtoSagaPipeline(VanillaPipeline):
    """Nerfstudio's pipeline; user errors end the process with one line and exit code 2."""

    config: ProtoSagaPipelineConfig
    datamanager: ProtoSagaDatamanager
    loaded_step: int | None = None
    """Step of the checkpoint that was loaded last."""

    def __init__(
        self,
        config: ProtoSagaPipelineConfig,
        device: str | torch.device,
        test_mode: Literal["test", "val", "inference"] = "val",
        *args: Any,
        **kwargs: Any,
    ) -> None:
        """Make device, data and model ready, in this order: masks may take hours, and a missing compiler is known now.

        Args:
            config: of data, model and association.
            device: asked for; scenes that are only looked at go on with the CPU where it cannot be had.
            test_mode: "val" trains.
            *args: nerfstudio's others.
            **kwargs: the same.
        """
        with user_errors_end_the_process():
            usable = str(scene_device(device, may_fall_back=test_mode != "val"))
            super().__init__(config, usable, test_mode, *args, **kwargs)
            if self.test_mode == "val":
                ids = self.datamanager.view_label_maps.ids
                check_classifiers(config.model, ids, config.association.mask_ids == "trust")
                self.model.create_view_classifiers(ids)
                train = self.datamanager.train_dataset
                check_views(train.cameras, train.image_filenames, config.model)
                if usable == "cpu":
                    check_step(train.cameras, self.model.num_points, config.model)
            else:
                check_request(sys.argv, len(self.datamanager.eval_dataset))
        self.objects_panel = ObjectsPanel(self)

    @property
    def model(self) -> ProtoSagaModel:
        return cast(ProtoSagaModel, super().model)

    def load_pipeline(self, loaded_state: dict[str, Any], step: int) -> None:
        with user_errors_end_the_process():
            super().load_pipeline(loaded_state, step)
        self.loaded_step = step

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool | None = None) -> None:
        """Load strictly: a checkpoint that fits only in part would show a scene that was never trained."""
        super().load_state_dict(state_dict, strict=True)

    def save_scene(self, viewer: Viewer) -> None:
        """Write the checkpoint that was loaded anew, or while training one of the current step.

        Args:
            viewer: nerfstudio's own, whose log lies beside the folder of checkpoints.

        Raises:
            ProtoSagaError: it cannot be written, or is no more where it was loaded from.
        """
        if viewer.trainer is not None:
            viewer.trainer.save_checkpoint(viewer.trainer.step)
            return
        checkpoint = viewer.log_filename.parent / MODEL_FOLDER / f"step-{self.loaded_step:09d}.ckpt"
        if not checkpoint.is_file():
            raise ProtoSagaError(f"{checkpoint}, which this scene was loaded from, is gone; nothing was saved.")
        rewrite_checkpoint(checkpoint, self.state_dict())

    def associate(self) -> None:
        """Associate the masks of all training views and put the segmented scene into the model.

        Raises:
            ProtoSagaError: no mask shows anything, or the masks have changed.
        """
        from proto_saga_ns.plugin.model.associate import segment_scene

        was_training = self.training  # the viewer asks too, of a pipeline that does not train
        self.eval()
        try:
            self.model.scene = segment_scene(self.model, self.datamanager, self.config.association, self.config.scene)
        finally:
            self.train(was_training)


def check_classifiers(
    config: ProtoSagaModelConfig, ids_per_view: Sequence[Int[np.ndarray, " _L"]], trusted: bool
) -> None:
    """See whether the classifiers that are asked for can be trained on these masks.

    Args:
        config: that asks.
        ids_per_view: for every training view the ids of its masks.
        trusted: whether a person says that ids hold across views.

    Raises:
        ProtoSagaError: one classifier for all views, and ids that look like per-view numbering; or a loss that needs
            one classifier, and there are many.
    """
    if config.classifiers == "per-view" and config.lambda_neighbours > 0:
        raise ProtoSagaError(
            f"--pipeline.model.lambda-neighbours is {config.lambda_neighbours}, but the classifiers of single views "
            "have no classes in common. Give --pipeline.model.classifiers shared too, or leave it 0."
        )
    if config.classifiers == "shared" and not trusted and look_numbered_per_view(ids_per_view):
        raise ProtoSagaError(
            "--pipeline.model.classifiers shared takes masks with the same id for the same instance in every view, but "
            "in almost every view the ids are 1, 2, 3, ... without a gap, as if each view numbered its own. Give "
            "--mask-source mastsam after the data parser, which follows masks from view to view. If every view really "
            "shows every instance: --pipeline.association.strategy memory-bank --pipeline.association.mask-ids trust."
        )
