"""Small models with random weights of the real classes, saved as the real ones are."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from proto_saga_ns.cli.demo_scene import DINING
from proto_saga_ns.labels import FlattenOptions

PHOTO = DINING / "images"

# Random weights know no quality, and their masks reach everywhere: let all pass, so that there is something to flatten.
LENIENT: dict[str, Any] = {
    "points_per_side": 4,
    "pred_iou_threshold": -1e9,
    "stability_threshold": 0.0,
    "box_nms_threshold": 1.0,
    "flatten": FlattenOptions(min_visible_share=0.0),
}


def photo(size: tuple[int, int] = (96, 64)) -> np.ndarray:
    """A small RGB photo (H, W, 3), uint8."""
    path = sorted(PHOTO.iterdir())[0]
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB").resize(size))


def save_tiny_sam(path: Path) -> Path:
    """A checkpoint of segment-anything with an image size of 64."""
    modeling = pytest.importorskip("segment_anything.modeling", reason="the extra sam is not installed")
    torch.manual_seed(0)
    model = modeling.Sam(
        image_encoder=modeling.ImageEncoderViT(
            img_size=64,
            patch_size=16,
            embed_dim=32,
            depth=3,
            num_heads=2,
            mlp_ratio=2,
            out_chans=32,
            norm_layer=partial(torch.nn.LayerNorm, eps=1e-6),
            use_rel_pos=True,
            window_size=2,
            global_attn_indexes=(1,),
        ),
        prompt_encoder=modeling.PromptEncoder(
            embed_dim=32, image_embedding_size=(4, 4), input_image_size=(64, 64), mask_in_chans=16
        ),
        mask_decoder=modeling.MaskDecoder(
            num_multimask_outputs=3,
            transformer=modeling.TwoWayTransformer(depth=2, embedding_dim=32, mlp_dim=48, num_heads=8),
            transformer_dim=32,
            iou_head_depth=3,
            iou_head_hidden_dim=24,
        ),
    )
    torch.save(model.state_dict(), path)
    return path


def save_tiny_transformers_sam(folder: Path) -> Path:
    """A SAM of transformers with an image size of 64."""
    transformers = pytest.importorskip("transformers", reason="the extra sam is not installed")
    torch.manual_seed(0)
    prompt = {"hidden_size": 32, "image_size": 64, "patch_size": 16, "mask_input_channels": 16}
    vision = {
        **{"hidden_size": 32, "output_channels": 32, "num_hidden_layers": 2, "num_attention_heads": 2},
        **{"image_size": 64, "patch_size": 16, "window_size": 2, "global_attn_indexes": [1], "mlp_dim": 64},
        "num_pos_feats": 16,
    }
    decoder = {"hidden_size": 32, "mlp_dim": 48, "iou_head_hidden_dim": 24, "num_attention_heads": 4}
    config = transformers.SamConfig(vision_config=vision, prompt_encoder_config=prompt, mask_decoder_config=decoder)
    transformers.SamModel(config).save_pretrained(folder)
    transformers.SamImageProcessor(
        size={"longest_edge": 64}, pad_size={"height": 64, "width": 64}, mask_size={"longest_edge": 16}
    ).save_pretrained(folder)
    return folder


def save_tiny_sam2(folder: Path) -> Path:
    """A SAM 2 of transformers with an image size of 64."""
    transformers = pytest.importorskip("transformers", "4.56", reason="the extra sam is not installed")
    torch.manual_seed(0)
    backbone = transformers.Sam2HieraDetConfig(
        hidden_size=16,
        num_attention_heads=1,
        image_size=[64, 64],
        blocks_per_stage=[1, 1, 2, 1],
        embed_dim_per_stage=[16, 32, 64, 128],
        num_attention_heads_per_stage=[1, 2, 4, 8],
        window_size_per_stage=[4, 2, 4, 2],
        global_attention_blocks=[3],
        window_positional_embedding_background_size=[4, 4],
    )
    vision = transformers.Sam2VisionConfig(
        backbone_config=backbone,
        backbone_channel_list=[128, 64, 32, 16],
        backbone_feature_sizes=[[16, 16], [8, 8], [4, 4]],
        fpn_hidden_size=32,
    )
    config = transformers.Sam2Config(
        vision_config=vision,
        prompt_encoder_config={"hidden_size": 32, "image_size": 64, "patch_size": 16, "mask_input_channels": 16},
        mask_decoder_config={
            **{"hidden_size": 32, "mlp_dim": 48, "num_attention_heads": 4, "iou_head_hidden_dim": 24},
        },
    )
    transformers.Sam2Model(config).save_pretrained(folder)
    # Version 5 dropped the suffix.
    processor = getattr(transformers, "Sam2ImageProcessor", None) or transformers.Sam2ImageProcessorFast
    processor(size={"height": 64, "width": 64}, mask_size={"height": 16, "width": 16}).save_pretrained(folder)
    return folder
