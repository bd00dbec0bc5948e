"""A small Grounding DINO with random weights of the real classes, saved as the real one is."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

WORDS = ("a", "red", "green", "chair", "table", "lamp", "the", "small", ".", "##s")


def save_tiny_grounding_dino(folder: Path) -> Path:
    """A Swin of four stages, a BERT of one layer, 12 queries; it takes 24 word pieces."""
    transformers = pytest.importorskip("transformers", "4.56", reason="the extra text is not installed")
    torch.manual_seed(0)
    config = transformers.GroundingDinoConfig(
        backbone_config=transformers.SwinConfig(
            image_size=64,
            embed_dim=12,
            depths=[1, 1, 1, 1],
            num_heads=[1, 2, 2, 2],
            window_size=4,
            out_indices=[2, 3, 4],
        ),
        text_config=transformers.BertConfig(
            vocab_size=5 + len(WORDS),
            hidden_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=32,
            max_position_embeddings=64,
        ),
        **{"num_queries": 12, "d_model": 32, "max_text_len": 24},
        **{"encoder_layers": 1, "encoder_ffn_dim": 32, "encoder_attention_heads": 4},
        **{"decoder_layers": 2, "decoder_ffn_dim": 32, "decoder_attention_heads": 4},
    )
    transformers.GroundingDinoForObjectDetection(config).save_pretrained(folder)
    processor = transformers.GroundingDinoProcessor(
        transformers.GroundingDinoImageProcessor(size={"shortest_edge": 64, "longest_edge": 96}), _tokenizer(folder)
    )
    processor.save_pretrained(folder)
    return folder


def _tokenizer(folder: Path) -> object:
    """The real tokenizer with a vocabulary of a handful of words."""
    from transformers import BertTokenizerFast

    vocabulary = folder / "vocab.txt"
    vocabulary.write_text("\n".join(("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS)) + "\n")
    try:
        return BertTokenizerFast(vocab=str(vocabulary))  # transformers 5
    except TypeError:
        return BertTokenizerFast(vocab_file=str(vocabulary))
