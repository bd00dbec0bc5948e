"""Association again, of runs of proto-saga; and of splats without masks, which become runs of proto-saga."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from proto_saga_ns.association import AssociationOptions
from proto_saga_ns.cli.work.printing import say
from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.plugin.adopt.adopt import adopt
from proto_saga_ns.plugin.adopt.from_file import DrawableFile, run_of_file, views_of_file
from proto_saga_ns.plugin.adopt.from_splatfacto import is_splatfacto, run_of_splatfacto
from proto_saga_ns.plugin.adopt.made_views import SHEET
from proto_saga_ns.plugin.adopt.options import NewRunOptions, SplatFileOptions, ViewOptions
from proto_saga_ns.plugin.adopt.parsers import find_parser, parse_choice
from proto_saga_ns.plugin.adopt.plain_splat import PlainSplat
from proto_saga_ns.plugin.data.dataparsers import MaskedNerfstudioConfig
from proto_saga_ns.plugin.model.associate import segment_scene
from proto_saga_ns.plugin.model.checkpoint import rewrite_checkpoint
from proto_saga_ns.plugin.model.options import SceneOptions
from proto_saga_ns.plugin.run import check_is_ours, is_ours, last_checkpoint, load_run, read_config
from proto_saga_ns.plugin.trainer import next_commands
from proto_saga_ns.progress import progress_bar

if TYPE_CHECKING:
    from nerfstudio.engine.trainer import TrainerConfig


def associate_run(
    load_config: Path,
    data: Path | None,
    data_parser: str | None,
    place: NewRunOptions,
    association: AssociationOptions,
    scene: SceneOptions,
) -> None:
    """Rewrite the checkpoint of a run of proto-saga; or make one of a run of splatfacto.

    Args:
        load_config: its config.yml.
        data: where its data lies now, if it has moved.
        data_parser, place: of a run of splatfacto: how its masks are read, and where the new run lies.

    Raises:
        ProtoSagaError: it is neither, or there are options that mean nothing to it.
    """
    config = read_config(load_config)
    if is_ours(config):
        if data_parser is not None or place != NewRunOptions():
            raise ProtoSagaError(
                f"{load_config} is a run of proto-saga: it knows its data parser, and its checkpoint is rewritten "
                "where it lies. --data-parser, --output-dir, --experiment-name and --timestamp are for other splats."
            )
        _associate_again(load_config, data, association, scene)
    else:
        _adopt(_splat_of_run(config, load_config, data, data_parser, place), association, scene)


def adopt_file(
    file: Path,
    data: Path | None,
    data_parser: str | None,
    splat: SplatFileOptions,
    views: ViewOptions,
    place: NewRunOptions,
    association: AssociationOptions,
    scene: SceneOptions,
) -> None:
    """Make a run of a splat of any program.

    Args:
        data: images, poses and masks that belong to it; None makes pictures of it.
        data_parser: None: what fits the files there. Of pictures only mask options count.
        splat: what the file does not say.
        views: which pictures.
        place: where the new run lies, and the pictures.
    """
    if data is not None:
        parser = find_parser(data) if data_parser is None else parse_choice(data_parser)
        run = run_of_file(DrawableFile.read(file, splat), data, parser, splat, place)
    else:
        run = _run_of_pictures(file, data_parser, splat, views, place)
    _adopt(run, association, scene)


def _run_of_pictures(
    file: Path, data_parser: str | None, splat: SplatFileOptions, views: ViewOptions, place: NewRunOptions
) -> PlainSplat:
    parser = MaskedNerfstudioConfig() if data_parser is None else parse_choice(data_parser)
    if not isinstance(parser, MaskedNerfstudioConfig):
        raise ProtoSagaError(
            "Without --data the pictures of the splat are made in nerfstudio's format. Of --data-parser only mask "
            'options count then: --data-parser "nerfstudio-data --mask-source sam".'
        )
    as_made = replace(splat, frame="world", spz_axes="ply")
    found = DrawableFile.read(file, as_made)
    made = views_of_file(found, as_made, views, place, progress_bar)
    say(f"{made.note}: {made.folder / SHEET}")
    named = replace(place, experiment_name=place.experiment_name or file.stem)
    return run_of_file(found, made.folder, replace(parser, eval_mode="all"), as_made, named)


def _associate_again(
    load_config: Path, data: Path | None, association: AssociationOptions, options: SceneOptions
) -> None:
    run = load_run(load_config, data)
    scene = segment_scene(run.model, run.pipeline.datamanager, association, options)
    run.model.scene = scene
    kept = rewrite_checkpoint(run.checkpoint, run.pipeline.state_dict())
    say(f"{len(scene.instances)} instances; the checkpoint before is {kept}")


def _splat_of_run(
    config: TrainerConfig, load_config: Path, data: Path | None, data_parser: str | None, place: NewRunOptions
) -> PlainSplat:
    if not is_splatfacto(config):
        check_is_ours(config, load_config)
    choice = None if data_parser is None else parse_choice(data_parser)
    return run_of_splatfacto(config, last_checkpoint(config, load_config), choice, data, place)


def _adopt(splat: PlainSplat, association: AssociationOptions, scene: SceneOptions) -> None:
    config, count = adopt(splat, association, scene)
    say(
        f"{count} instances by the votes of the masks, in a new run of proto-saga. Nothing was trained, and "
        f"{splat.source} is as it was. Go on with:\n{next_commands(config)}"
    )
