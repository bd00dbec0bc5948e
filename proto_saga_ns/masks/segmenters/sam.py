"""Segment Anything through the package ``segment-anything`` (extra ``sam``).

The architecture is read off the shapes of the tensors in a file of weights. So weights need no name: ViT-H, L, B and
models of other sizes of the same family load from their file alone.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, UInt8

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.kernels.device import network_device
from proto_saga_ns.labels.flatten import MaskPatch, cut_patch
from proto_saga_ns.masks.segmenters.mask_generation import (
    MaskGenerationSettings,
    MaskGenerator,
    out_of_memory_is_explained,
)
from proto_saga_ns.masks.segmenters.sam_weights import SamModel, ensure_weights, weights_fingerprint

if TYPE_CHECKING:
    from segment_anything import SamAutomaticMaskGenerator
    from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam
    from torch import Tensor


State = dict[str, "Tensor"]

# What shapes do not tell: constants of the published models.
_DECODER_HEADS = 8
_PIXEL_MEAN = [123.675, 116.28, 103.53]
_PIXEL_STD = [58.395, 57.12, 57.375]


@dataclass(frozen=True)
class SamSettings(MaskGenerationSettings):
    """Segment Anything: which weights, and how masks are generated."""

    model: SamModel = "vit_h"
    """published weights, downloaded once: vit_h is the best (2.6 GB), vit_b the fastest (0.4 GB)"""
    checkpoint: Path | None = None
    """a file of weights, in place of a published model"""
    crop_nms_threshold: float = 0.7
    """as box_nms_threshold, between masks of different crops"""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.checkpoint is not None:
            # The settings are kept beside the trained scene, and read again from other working directories.
            object.__setattr__(self, "checkpoint", self.checkpoint.absolute())


class SamSegmenter(MaskGenerator):
    """Masks of Segment Anything's automatic mask generator, flattened. Loads the model when first needed."""

    name = "sam"

    def __init__(self, settings: SamSettings | None = None) -> None:
        self._settings = settings or SamSettings()
        super().__init__(self._settings.flatten)
        self._generator: SamAutomaticMaskGenerator | None = None

    @property
    def settings(self) -> Mapping[str, Any]:
        return self._settings.fingerprint(weights_fingerprint(self._settings.model, self._settings.checkpoint))

    def load(self) -> None:
        if self._generator is None:
            self._generator = _make_generator(self._settings)

    def find_masks(self, image: UInt8[np.ndarray, "H W 3"]) -> list[MaskPatch]:
        self.load()
        assert self._generator is not None
        with out_of_memory_is_explained("sam"):
            records = self._generator.generate(image)
        patches = (cut_patch(decode_rle(found["segmentation"]), found["predicted_iou"]) for found in records)
        return [patch for patch in patches if patch is not None]


def decode_rle(rle: Mapping[str, Any]) -> Bool[np.ndarray, "H W"]:
    """A mask from COCO's uncompressed run lengths: ``counts`` of 0s, 1s, 0s, ... down the columns, ``size`` (H, W).

    The mask is a view in Fortran order.
    """
    height, width = rle["size"]
    counts = np.asarray(rle["counts"])
    return np.repeat(np.arange(len(counts)) % 2 == 1, counts).reshape(width, height).T


def _make_generator(settings: SamSettings) -> SamAutomaticMaskGenerator:
    require_segment_anything()
    from segment_anything import SamAutomaticMaskGenerator

    model = load_sam(settings.checkpoint or ensure_weights(settings.model))
    return SamAutomaticMaskGenerator(
        model.to(network_device()),
        points_per_side=settings.points_per_side,
        points_per_batch=settings.points_per_batch,
        pred_iou_thresh=settings.pred_iou_threshold,
        stability_score_thresh=settings.stability_threshold,
        stability_score_offset=settings.stability_offset,
        box_nms_thresh=settings.box_nms_threshold,
        crop_n_layers=settings.crop_layers,
        crop_nms_thresh=settings.crop_nms_threshold,
        crop_overlap_ratio=settings.crop_overlap,
        crop_n_points_downscale_factor=settings.crop_points_downscale,
        # Run lengths: two hundred whole masks of a large photo would be half a gigabyte.
        output_mode="uncompressed_rle",
    )


def require_segment_anything() -> None:
    """To be called before weights are fetched.

    Raises:
        ProtoSagaError: the package segment-anything is not installed.
    """
    try:
        import segment_anything  # noqa: F401
    except ImportError as error:
        raise ProtoSagaError(
            "Masks by Segment Anything need the package segment-anything, which is not installed "
            f'({error}). Install it with: pip install "proto_saga_ns[sam]"'
        ) from error


def load_sam(path: Path) -> Sam:
    """Load a checkpoint of Segment Anything, on the CPU, ready for inference.

    Raises:
        ProtoSagaError: the file cannot be read, or does not hold a model of Segment Anything.
    """
    import torch

    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise ProtoSagaError(f"The checkpoint {path} does not exist. Check --sam.checkpoint.") from error
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ProtoSagaError(f"{path} is no file of weights, or is damaged: {reason}. {_EXPECTED}") from error
    try:
        model = build_sam(state)
        model.load_state_dict(state)
    except (KeyError, TypeError, AttributeError, IndexError, ValueError, RuntimeError, AssertionError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ProtoSagaError(f"{path} holds no model of Segment Anything ({reason}). {_EXPECTED}") from error
    return model.eval()


_EXPECTED = (
    "Expected a file like sam_vit_h_4b8939.pth: the state dict of a model of the package segment-anything. "
    "Models of SAM 2 and of other packages go with --mask-source sam2."
)


def build_sam(state: State) -> Sam:
    """The model that fits a state dict, with fresh weights.

    Raises:
        KeyError, ValueError: the state dict is of something else.
    """
    from segment_anything.modeling import Sam

    encoder = _image_encoder(state)
    channels = int(state["image_encoder.neck.0.weight"].shape[0])
    return Sam(
        image_encoder=encoder,
        prompt_encoder=_prompt_encoder(state, channels, encoder.img_size),
        mask_decoder=_mask_decoder(state, channels),
        pixel_mean=_PIXEL_MEAN,
        pixel_std=_PIXEL_STD,
    )


def _image_encoder(state: State) -> ImageEncoderViT:
    import torch
    from segment_anything.modeling import ImageEncoderViT

    width, _, patch_size, _ = state["image_encoder.patch_embed.proj.weight"].shape
    grid = int(state["image_encoder.pos_embed"].shape[1])
    depth = _count(state, r"image_encoder\.blocks\.(\d+)\.")
    # A table of relative positions has 2 * side - 1 rows, one column for each dimension of a head.
    tables = [state[f"image_encoder.blocks.{block}.attn.rel_pos_h"].shape for block in range(depth)]
    sides = [(int(rows) + 1) // 2 for rows, _ in tables]
    windows = {side for side in sides if side != grid}
    if len(windows) > 1:
        raise ValueError("attention windows of several sizes")
    return ImageEncoderViT(
        img_size=grid * patch_size,
        patch_size=patch_size,
        embed_dim=width,
        depth=depth,
        num_heads=width // int(tables[0][1]),
        mlp_ratio=_rows(state, "image_encoder.blocks.0.mlp.lin1.weight") / width,
        out_chans=_rows(state, "image_encoder.neck.0.weight"),
        norm_layer=partial(torch.nn.LayerNorm, eps=1e-6),  # pyright: ignore[reportArgumentType]
        use_rel_pos=True,
        window_size=windows.pop() if windows else 0,
        global_attn_indexes=tuple(block for block, side in enumerate(sides) if side == grid),
    )


def _prompt_encoder(state: State, channels: int, image_size: int) -> PromptEncoder:
    from segment_anything.modeling import PromptEncoder

    grid = int(state["image_encoder.pos_embed"].shape[1])
    return PromptEncoder(
        embed_dim=channels,
        image_embedding_size=(grid, grid),
        input_image_size=(image_size, image_size),
        mask_in_chans=_rows(state, "prompt_encoder.mask_downscaling.3.weight"),
    )


def _mask_decoder(state: State, channels: int) -> MaskDecoder:
    from segment_anything.modeling import MaskDecoder, TwoWayTransformer

    return MaskDecoder(
        num_multimask_outputs=_rows(state, "mask_decoder.mask_tokens.weight") - 1,
        transformer=TwoWayTransformer(
            depth=_count(state, r"mask_decoder\.transformer\.layers\.(\d+)\."),
            embedding_dim=channels,
            mlp_dim=_rows(state, "mask_decoder.transformer.layers.0.mlp.lin1.weight"),
            num_heads=_DECODER_HEADS,
        ),
        transformer_dim=channels,
        iou_head_depth=_count(state, r"mask_decoder\.iou_prediction_head\.layers\.(\d+)\."),
        iou_head_hidden_dim=_rows(state, "mask_decoder.iou_prediction_head.layers.0.weight"),
    )


def _rows(state: State, key: str) -> int:
    return int(state[key].shape[0])


def _count(state: State, pattern: str) -> int:
    """How many layers have a name like this."""
    found: set[Any] = {match[1] for key in state if (match := re.match(pattern, key))}
    if not found:
        raise KeyError(pattern)
    return len(found)
