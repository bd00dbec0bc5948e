"""Data parsers with mask options for data that another program has trained on."""

from __future__ import annotations

import shlex
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, cast

import tyro
from nerfstudio.data.dataparsers.base_dataparser import DataParserConfig
from nerfstudio.data.dataparsers.blender_dataparser import BlenderDataParserConfig
from nerfstudio.data.dataparsers.colmap_dataparser import ColmapDataParserConfig
from nerfstudio.data.dataparsers.nerfstudio_dataparser import NerfstudioDataParserConfig

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.plugin.data.dataparsers import (
    AnnotatedMaskedDataParser,
    MaskedBlenderConfig,
    MaskedColmapConfig,
    MaskedNerfstudioConfig,
)
from proto_saga_ns.plugin.data.formats import LOOKED_FOR, find_reconstruction, fitting_parser
from proto_saga_ns.plugin.data.mask_options import MaskOptions

MASKED: dict[type[DataParserConfig], type[DataParserConfig]] = {
    NerfstudioDataParserConfig: MaskedNerfstudioConfig,
    ColmapDataParserConfig: MaskedColmapConfig,
    BlenderDataParserConfig: MaskedBlenderConfig,
}


def parse_choice(text: str) -> DataParserConfig:
    """A data parser from its name and options, as they stand after ns-train's; wrong ones end the process with help."""
    return cast(DataParserConfig, tyro.cli(AnnotatedMaskedDataParser, prog="--data-parser", args=shlex.split(text)))


def find_parser(data: Path) -> DataParserConfig:
    """The data parser for what lies in a folder: transforms.json, else COLMAP's folder, else transforms_train.json.

    Raises:
        ProtoSagaError: the folder holds none of them.
    """
    match fitting_parser(data):
        case "nerfstudio-data":
            return MaskedNerfstudioConfig()
        case "colmap":
            return MaskedColmapConfig(colmap_path=find_reconstruction(data))
        case "blender-data":
            return MaskedBlenderConfig()
    raise ProtoSagaError(
        f"{data} holds no poses that are known by their file: expected transforms.json, {LOOKED_FOR}, or "
        "transforms_train.json. Give the folder of the images and poses with --data, or say how to read it: "
        '--data-parser "colmap --colmap-path DIR".'
    )


def with_masks(parser: DataParserConfig, choice: DataParserConfig | None) -> DataParserConfig:
    """The data parser of a run of another method with mask options; it reads images and poses as it did.

    Args:
        parser: of the run.
        choice: whose mask options count; None takes the defaults.

    Raises:
        ProtoSagaError: the parser takes no masks, or the choice has other options that do not fit the run's.
    """
    masked = next((ours for theirs, ours in MASKED.items() if isinstance(parser, theirs)), None)
    if masked is None:
        raise ProtoSagaError(
            f"The run reads its data with {type(parser).__name__}, which takes no masks. Expected nerfstudio-data, "
            "colmap or blender-data; or export the splat (ns-export gaussian-splat) and give it with --ply, with the "
            "same views in one of these formats."
        )
    _check_same(parser, choice, masked)
    own = {field.name: getattr(parser, field.name) for field in _settings(parser) if hasattr(parser, field.name)}
    masks = {} if choice is None else {field.name: getattr(choice, field.name) for field in fields(MaskOptions)}
    return masked(**{name: value for name, value in own.items() if name in _names(masked)}, **masks)


def _check_same(parser: DataParserConfig, choice: DataParserConfig | None, masked: type[DataParserConfig]) -> None:
    if choice is None:
        return
    kind: Any = type(choice)
    default = replace(kind(), **{name: getattr(choice, name) for name in {f.name for f in fields(MaskOptions)}})
    if not isinstance(choice, masked) or choice != default:
        raise ProtoSagaError(
            f"The run reads images and poses with its own data parser ({type(parser).__name__}), as in training. Of "
            "--data-parser only the mask options can be others: leave the rest out."
        )


def _settings(parser: DataParserConfig) -> list[Any]:
    ours = {"_target", *(field.name for field in fields(MaskOptions))}
    return [field for field in fields(parser) if field.name not in ours]


def _names(kind: type[DataParserConfig]) -> set[str]:
    return {field.name for field in fields(kind)}
