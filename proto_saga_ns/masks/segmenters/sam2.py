"""SAM 2 and SAM through the package ``transformers`` (extra ``sam``), by the name of a model on the hub or a folder."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.kernels.device import network_device
from proto_saga_ns.labels.flatten import MaskPatch, cut_patch
from proto_saga_ns.masks.segmenters.hub import load_pretrained
from proto_saga_ns.masks.segmenters.mask_generation import (
    OTHER_WAYS,
    MaskGenerationSettings,
    MaskGenerator,
    out_of_memory_is_explained,
)
from proto_saga_ns.masks.segmenters.sam_weights import file_sha256

if TYPE_CHECKING:
    from transformers.pipelines.mask_generation import MaskGenerationPipeline


FIRST_WITH_CROPS = (5, 21)
"""The first version of transformers whose mask generation takes crops of different sizes; 5.20.2 does not."""


@dataclass(frozen=True)
class Sam2Settings(MaskGenerationSettings):
    """SAM 2 (or SAM) of transformers: which weights, and how masks are generated."""

    model: str = "facebook/sam2.1-hiera-large"
    """a model on huggingface.co (others: facebook/sam2.1-hiera-tiny, facebook/sam-vit-huge), or a local folder"""
    revision: str = "main"
    """branch, tag or commit of the model on the hub"""

    def __post_init__(self) -> None:
        super().__post_init__()
        if Path(self.model).is_dir():
            # The settings are kept beside the trained scene, and read again from other working directories.
            object.__setattr__(self, "model", str(Path(self.model).absolute()))


class Sam2Segmenter(MaskGenerator):
    """Masks of transformers' mask generation, flattened. Loads the model when first needed."""

    name = "sam2"

    def __init__(self, settings: Sam2Settings | None = None) -> None:
        self._settings = settings or Sam2Settings()
        super().__init__(self._settings.flatten)
        self._pipeline: MaskGenerationPipeline | None = None

    @property
    def settings(self) -> Mapping[str, Any]:
        """Weights count by name and revision, those of a folder by what is in it."""
        folder = Path(self._settings.model)
        if folder.is_dir():
            return self._settings.fingerprint({"sha256": _folder_sha256(folder)})
        return self._settings.fingerprint({"hub": self._settings.model, "revision": self._settings.revision})

    def load(self) -> None:
        if self._pipeline is None:
            self._pipeline = _make_pipeline(self._settings)

    def find_masks(self, image: UInt8[np.ndarray, "H W 3"]) -> list[MaskPatch]:
        self.load()
        assert self._pipeline is not None
        settings = self._settings
        with out_of_memory_is_explained("sam2"):
            found: Any = self._pipeline(
                Image.fromarray(image),
                points_per_crop=settings.points_per_side,
                points_per_batch=_batch_size(settings),
                pred_iou_thresh=settings.pred_iou_threshold,
                stability_score_thresh=settings.stability_threshold,
                stability_score_offset=settings.stability_offset,
                crops_nms_thresh=settings.box_nms_threshold,
                crops_n_layers=settings.crop_layers,
                crop_overlap_ratio=settings.crop_overlap,
                crop_n_points_downscale_factor=settings.crop_points_downscale,
            )
        scored = zip(found["masks"], found["scores"], strict=True)
        patches = (cut_patch(np.asarray(mask, dtype=bool), float(score)) for mask, score in scored)
        return [patch for patch in patches if patch is not None]


def _batch_size(settings: Sam2Settings) -> int:
    """The largest batch up to the one asked for that divides the grid: transformers 4 loses an incomplete one."""
    points = settings.points_per_side**2
    return next(size for size in range(min(settings.points_per_batch, points), 0, -1) if points % size == 0)


def _folder_sha256(folder: Path) -> str:
    files = sorted(path for path in folder.iterdir() if path.suffix in (".json", ".safetensors", ".bin"))
    lines = [f"{path.name} {file_sha256(path)}" for path in files]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _make_pipeline(settings: Sam2Settings) -> MaskGenerationPipeline:
    try:
        import transformers  # noqa: F401
        from transformers.pipelines.mask_generation import MaskGenerationPipeline
    except ImportError as error:
        raise ProtoSagaError(
            "Masks by SAM 2 need the package transformers, 4.56 or newer, which is not installed "
            f'({error}). Install it with: pip install "proto_saga_ns[sam]"'
        ) from error
    installed = version("transformers")
    if settings.crop_layers > 0 and tuple(map(int, installed.split(".")[:2])) < FIRST_WITH_CROPS:
        needed = ".".join(map(str, FIRST_WITH_CROPS))
        raise ProtoSagaError(
            f"--sam2.crop-layers needs transformers {needed} or newer: version {installed}, which is installed, fails "
            "on crops of different sizes. Upgrade it, leave the crops out, or use --mask-source sam."
        )
    try:
        classes = ("AutoModelForMaskGeneration", "AutoImageProcessor")
        model, processor = load_pretrained(settings.model, settings.revision, *classes)
        return MaskGenerationPipeline(model=model.eval(), image_processor=processor, device=network_device())
    except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
        reason = " ".join(str(error).split())[:300]
        raise ProtoSagaError(
            f"The model {settings.model} cannot be loaded: {reason} Give the name of a SAM or SAM 2 model on "
            "huggingface.co, or a folder that holds one, with --sam2.model. Without a connection: on another "
            f"machine `hf download {settings.model} --local-dir DIR`, then bring the folder here. {OTHER_WAYS}"
        ) from error
