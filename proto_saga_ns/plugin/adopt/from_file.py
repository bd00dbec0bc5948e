"""The splat of any 3D Gaussian Splatting program, in any of its formats, as a run of proto-saga."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from nerfstudio.utils.rich_utils import CONSOLE
from rich.markup import escape

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.plugin.adopt.made_views import MadeViews, make_views
from proto_saga_ns.plugin.adopt.options import NewRunOptions, SplatFileOptions, ViewOptions
from proto_saga_ns.plugin.adopt.plain_splat import ModelState, PlainSplat, new_run
from proto_saga_ns.plugin.model.checkpoint import GAUSSIAN_PREFIX
from proto_saga_ns.plugin.model.proto_saga import ProtoSagaModelConfig
from proto_saga_ns.progress import Progress
from proto_saga_ns.splats.read import read_splat
from proto_saga_ns.splats.splat import Splat, SplatFile
from proto_saga_ns.splats.spz import HALF_TURN
from proto_saga_ns.splats.transform import Similarity, transform_splat

if TYPE_CHECKING:
    from nerfstudio.data.dataparsers.base_dataparser import DataParserConfig

REMEDY = (
    "Are images and poses those that the splat was trained on, and is its frame right? --frame world is that of the "
    "input data; --frame training that of ns-export, for which --data-parser must be as it was in training. --spz-axes "
    "says how the axes of an SPZ lie."
)
LARGEST_LOGIT = 30.0
"""Of an opacity; what is beyond is 0 or 1 in single precision."""
SMALLEST_LOG_SCALE = -30.0
"""Flat Gaussians have a logarithm of minus infinity."""


def run_of_file(
    file: Path, data: Path, parser: DataParserConfig, options: SplatFileOptions, place: NewRunOptions
) -> PlainSplat:
    """What a run of proto-saga with the Gaussians of a file is made of.

    Args:
        file: splat in the coordinates that the options say, of any format that ``read_splat`` knows.
        data: images and poses.
        parser: how to read them, and their masks.
        options: what the file does not say.
        place: where the run shall lie.

    Raises:
        ProtoSagaError: the file is missing, damaged, no splat, or holds no Gaussian.
    """
    found = read_splat(file)
    splat = drawable(found.splat, file)
    model = ProtoSagaModelConfig(
        sh_degree=splat.degree,
        rasterize_mode=_rasterize_mode(found, file, options),
        background_color=options.background_color,
    )
    turns = _turns(found, options)

    def states(world_to_training: Similarity) -> Mapping[str, ModelState]:
        ways = {"world": world_to_training, "training": Similarity.identity()}
        chosen = ways if options.frame == "auto" else {options.frame: ways[options.frame]}
        return {
            f"{name}{words}": _state(transform_splat(splat, turn.then(way)))
            for name, way in chosen.items()
            for words, turn in turns.items()
        }

    return PlainSplat(file, REMEDY, new_run(model, parser, data, place), 0, states)


def views_of_file(
    file: Path, options: SplatFileOptions, views: ViewOptions, place: NewRunOptions, progress: Progress
) -> MadeViews:
    """Views of a splat without photos, beside the run that it shall become.

    Args:
        file: splat.
        options: what the file does not say.
        views: which.
        place: where the run shall lie.
        progress: of views.

    Raises:
        ProtoSagaError: the file is no splat, or no view shows anything of it.
    """
    found = read_splat(file)
    antialiased = _rasterize_mode(found, file, options) == "antialiased"
    folder = place.output_dir / (place.experiment_name or file.stem)
    return make_views(file, drawable(found.splat, file), antialiased, options.background_color, views, folder, progress)


def _turns(found: SplatFile, options: SplatFileOptions) -> Mapping[str, Similarity]:
    """From the numbers of the file to those of a PLY, by what people read of it; several if it is to be found out."""
    ways = {"ply": {"": Similarity.identity()}, "y-up": {" with y up": HALF_TURN}}
    if not found.may_be_turned:
        return ways["ply"]
    return ways["ply"] | ways["y-up"] if options.spz_axes == "auto" else ways[options.spz_axes]


def _rasterize_mode(found: SplatFile, file: Path, options: SplatFileOptions) -> Literal["classic", "antialiased"]:
    if options.rasterize_mode != "auto":
        return options.rasterize_mode
    if not found.antialiased:
        return "classic"
    CONSOLE.print(f"{escape(str(file))} says that it was trained with antialiasing, and is shown with it.")
    return "antialiased"


def drawable(splat: Splat, source: Path) -> Splat:
    """The splat as a model can have it: finite, each Gaussian with an orientation, and with colours that it can say.

    Raises:
        ProtoSagaError: no Gaussian is left.
    """
    opacities = splat.opacity_logits.clamp(-LARGEST_LOGIT, LARGEST_LOGIT)
    splat = replace(splat, opacity_logits=opacities, log_scales=splat.log_scales.clamp_min(SMALLEST_LOG_SCALE))
    whole = splat.is_finite() & (splat.quats != 0).any(dim=1)  # rows of zeros are what some exporters pad files with
    if not whole.any():
        raise ProtoSagaError(f"{source} holds no whole Gaussian ({len(splat)} in all). Make it again.")
    if not whole.all():
        CONSOLE.print(
            f"{int((~whole).sum())} Gaussians of {source} are NaN, infinite or without orientation, and left out."
        )
    splat = splat.select(whole)
    return splat if splat.degree > 0 or splat.has_plain_colors() else splat.padded(1)


def _state(splat: Splat) -> ModelState:
    return {f"{GAUSSIAN_PREFIX}{name}": value for name, value in splat.to_parameters().items()}
