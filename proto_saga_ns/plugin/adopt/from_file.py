"""The splat of any 3D Gaussian Splatting program, in any of its formats, as a run of proto-saga."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
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


@dataclass(frozen=True)
class DrawableFile:
    """A splat that was read, as a model can have it.

    Attributes:
        source: its file.
        splat: in the numbers of the file.
        rasterize_mode: how it is drawn.
        turns: from these numbers to those of a PLY, by what people read of it; several if it is to be found out.
    """

    source: Path
    splat: Splat
    rasterize_mode: Literal["classic", "antialiased"]
    turns: Mapping[str, Similarity]

    @classmethod
    def read(cls, file: Path, options: SplatFileOptions) -> DrawableFile:
        """Of any format that ``read_splat`` knows.

        Raises:
            ProtoSagaError: the file is missing, damaged, no splat, or holds no Gaussian.
        """
        found = read_splat(file)
        return cls(file, drawable(found.splat, file), _rasterize_mode(found, file, options), _turns(found, options))


def run_of_file(
    file: DrawableFile, data: Path, parser: DataParserConfig, options: SplatFileOptions, place: NewRunOptions
) -> PlainSplat:
    """What a run of proto-saga with the Gaussians of a file is made of.

    Args:
        file: splat in the coordinates that the options say.
        data: images and poses.
        parser: how to read them, and their masks.
        options: what the file does not say.
        place: where the run shall lie.
    """
    model = ProtoSagaModelConfig(
        sh_degree=file.splat.degree, rasterize_mode=file.rasterize_mode, background_color=options.background_color
    )

    def states(world_to_training: Similarity) -> Mapping[str, ModelState]:
        ways = {"world": world_to_training, "training": Similarity.identity()}
        chosen = ways if options.frame == "auto" else {options.frame: ways[options.frame]}
        return {
            f"{name}{words}": _state(transform_splat(file.splat, turn.then(way)))
            for name, way in chosen.items()
            for words, turn in file.turns.items()
        }

    return PlainSplat(file.source, REMEDY, new_run(model, parser, data, place), 0, states)


def views_of_file(
    file: DrawableFile, options: SplatFileOptions, views: ViewOptions, place: NewRunOptions, progress: Progress
) -> MadeViews:
    """Views of a splat without photos, beside the run that it shall become.

    Args:
        file: splat.
        options: what the file does not say.
        views: which.
        place: where the run shall lie.
        progress: of views.

    Raises:
        ProtoSagaError: see ``make_views``.
    """
    antialiased = file.rasterize_mode == "antialiased"
    folder = place.output_dir / (place.experiment_name or file.source.stem)
    return make_views(file.source, file.splat, antialiased, options.background_color, views, folder, progress)


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
