"""Nerfstudio's data manager of full images, with label maps beside the images, on CPU and GPU."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import torch
from jaxtyping import Int, UInt8
from nerfstudio.cameras.cameras import Cameras
from nerfstudio.data.datamanagers.full_images_datamanager import (
    FullImageDatamanager,
    FullImageDatamanagerConfig,
)
from nerfstudio.data.dataparsers.base_dataparser import DataparserOutputs
from nerfstudio.data.datasets.base_dataset import InputDataset
from PIL import Image
from torch import Tensor

from proto_saga_ns.labels.images import decode_image, read_bytes
from proto_saga_ns.plugin.data.dataparsers import AnnotatedMaskedDataParser, MaskAware, MaskedNerfstudioConfig
from proto_saga_ns.plugin.data.label_maps import ViewLabelMaps
from proto_saga_ns.plugin.data.undistortion import LabelMapUndistorter
from proto_saga_ns.plugin.limits import check_photos


class LabelMapDataset(InputDataset):
    """Nerfstudio's dataset; once it has label maps, every item has a ``label_map`` (H, W) of its image's
    size.

    Attributes:
        label_maps: None until somebody who needs them puts them here.
    """

    label_maps: ViewLabelMaps | None = None

    @property
    def dataparser_outputs(self) -> DataparserOutputs:
        """What the data parser read."""
        return self._dataparser_outputs

    def get_numpy_image(self, image_idx: int) -> UInt8[np.ndarray, "H W C"]:
        """RGB, or RGBA where there is transparency, whatever the file's mode is.

        Raises:
            ProtoSagaError: the file cannot be read, or has no colours.
        """
        path = Path(self._dataparser_outputs.image_filenames[image_idx])
        image = decode_image(read_bytes(path), path)
        if self.scale_factor != 1.0:
            size = (int(image.width * self.scale_factor), int(image.height * self.scale_factor))
            image = image.resize(size, Image.Resampling.BILINEAR)
        return np.array(image)

    def get_metadata(self, data: dict[str, Any]) -> dict[str, Any]:
        if self.label_maps is None:
            return {}
        height, width = data["image"].shape[:2]
        return {"label_map": self.label_maps.read(data["image_idx"], height, width)}


@dataclass
class ProtoSagaDatamanagerConfig(FullImageDatamanagerConfig):
    """Full images and their label maps."""

    _target: type = field(default_factory=lambda: ProtoSagaDatamanager)
    dataparser: AnnotatedMaskedDataParser = field(default_factory=MaskedNerfstudioConfig)
    """which format the data has, and where its masks come from"""


class ProtoSagaDatamanager(FullImageDatamanager[LabelMapDataset]):
    """Batches have a ``label_map``, (H, W) integers, as large as the image and undistorted with it.

    Labels run from 1 to L_k without gaps in every training view k. When a trained scene is only looked at
    (``test_mode`` is not "val"), masks are neither needed nor made until ``labels_per_view`` or
    ``train_label_maps`` asks for them.
    """

    config: ProtoSagaDatamanagerConfig  # type: ignore[assignment]
    train_dataset: LabelMapDataset
    eval_dataset: LabelMapDataset
    dataparser: MaskAware

    @property
    def labels_per_view(self) -> list[int]:
        """L_k of every training view in dataset order; 0 for a view without masks.

        Raises:
            ProtoSagaError: there are no masks, or they are bad.
        """
        return [len(ids) for ids in self.view_label_maps.ids]

    @property
    def view_label_maps(self) -> ViewLabelMaps:
        """Files, ids and source of the training views' label maps; finds or makes them at first use."""
        if self.train_dataset.label_maps is None:
            outputs = self.train_dataset.dataparser_outputs
            self.train_dataset.label_maps = self.dataparser.label_maps(outputs, "train")
        return cast(ViewLabelMaps, self.train_dataset.label_maps)

    @property
    def train_label_maps(self) -> Sequence[Int[Tensor, "_H _W"]]:
        """int32 label maps on the CPU, undistorted, as large as the cached training images, in dataset order.

        ``train_cameras_undistorted`` are the cameras to match. A map is converted when it is asked for; all
        of them at once would take twice the memory.
        """
        self._add_late_label_maps()
        return _Int32Maps([data["label_map"] for data in self.cached_train])

    @property
    def train_cameras_undistorted(self) -> Cameras:
        """The training cameras as their cached images are: pinhole, cropped, on the CPU."""
        _ = self.cached_train  # undistorting the images is what changes the cameras
        return self.train_dataset.cameras

    def create_train_dataset(self) -> LabelMapDataset:
        dataset = super().create_train_dataset()
        if self.test_mode == "val":
            self.dataparser.check_seeds()
            dataset.label_maps = self.dataparser.label_maps(dataset.dataparser_outputs, "train")
        return dataset

    def create_eval_dataset(self) -> LabelMapDataset:
        dataset = super().create_eval_dataset()
        if self.test_mode == "val":
            dataset.label_maps = self.dataparser.label_maps(dataset.dataparser_outputs, self.test_split)
        return dataset

    def next_train(self, step: int) -> tuple[Cameras, dict]:
        """The camera is of the CPU: to read its size from a GPU would wait for all that is being computed there."""
        moved, data = self._to_device(*super().next_train(step))
        index = (moved.metadata or {})["cam_idx"]
        camera = self.train_dataset.cameras[index : index + 1]
        camera.metadata = moved.metadata
        return camera, data

    def next_eval_image(self, step: int) -> tuple[Cameras, dict]:
        return self._to_device(*super().next_eval_image(step))

    @property
    def fixed_indices_eval_dataloader(self) -> list[tuple[Cameras, dict]]:
        return [self._to_device(*view) for view in super().fixed_indices_eval_dataloader]

    def _load_images(
        self, split: Literal["train", "eval"], cache_images_device: Literal["cpu", "gpu"]
    ) -> list[dict[str, Any]]:
        dataset = self.train_dataset if split == "train" else self.eval_dataset
        check_photos(dataset.cameras, self.config.cache_images_type == "float32", split)
        # Undistorting overwrites the dataset's cameras, and label maps have yet to go through the same lens.
        cameras = deepcopy(dataset.cameras)
        if split == "train":
            self._distorted_train_cameras = cameras
        # The base pins what it caches in main memory, which fails without CUDA; there "gpu" means self.device.
        place = cache_images_device if torch.device(self.device).type == "cuda" else "gpu"
        cached = super()._load_images(split, place)
        undistort = LabelMapUndistorter()
        for view, data in enumerate(cached):
            if "label_map" in data:
                undistorted = undistort(data["label_map"], cameras[view].reshape(()))
                data["label_map"] = undistorted.to(self.device) if place == "gpu" else undistorted.pin_memory()
        return cached

    def _add_late_label_maps(self) -> None:
        """Give label maps to training images that were cached before anybody asked for label maps."""
        label_maps, undistort = self.view_label_maps, LabelMapUndistorter()
        for view, data in enumerate(self.cached_train):
            if "label_map" not in data:
                camera = self._distorted_train_cameras[view].reshape(())
                size = int(camera.height.item()), int(camera.width.item())
                data["label_map"] = undistort(label_maps.read(view, *size), camera)

    def _to_device(self, camera: Cameras, data: dict[str, Any]) -> tuple[Cameras, dict[str, Any]]:
        if "label_map" in data:
            data["label_map"] = data["label_map"].to(self.device)
        return camera, data


class _Int32Maps(Sequence[Tensor]):
    """Label maps, each converted to int32 on the CPU when it is asked for."""

    def __init__(self, maps: Sequence[Tensor]) -> None:
        self._maps = maps

    def __len__(self) -> int:
        return len(self._maps)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return _Int32Maps(self._maps[index])
        return self._maps[index].to("cpu", torch.int32)
