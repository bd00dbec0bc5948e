"""From a file of Segment Anything's weights to the model: the architecture is read off the tensors' shapes.

So weights need no name: ViT-H, L, B and models of other sizes of the same family load from their file alone.
"""

from __future__ import annotations

import pickle
import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from proto_saga_ns.errors import ProtoSagaError

if TYPE_CHECKING:
    from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam
    from torch import Tensor

State = dict[str, "Tensor"]

# What shapes do not tell: constants of the published models.
_DECODER_HEADS = 8
_PIXEL_MEAN = [123.675, 116.28, 103.53]
_PIXEL_STD = [58.395, 57.12, 57.375]


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
