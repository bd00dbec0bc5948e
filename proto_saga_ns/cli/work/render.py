"""Videos and pictures of a segmented scene, along camera paths."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from proto_saga_ns.cli.work.camera_paths import PathKind, PathOptions, camera_path
from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.export.videos.pictures import Output
from proto_saga_ns.export.videos.writers import check_target, picture_writer
from proto_saga_ns.plugin.model.views import has_alpha, picture
from proto_saga_ns.plugin.run import Run, load_run
from proto_saga_ns.progress import progress_bar
from proto_saga_ns.scene import SegmentedScene
from proto_saga_ns.scene.display import Display
from proto_saga_ns.scene.shown import at_granularity


@dataclass(frozen=True)
class Wanted:
    """What shall be shown; where it says None, what was chosen in the viewer.

    Attributes:
        outputs: side by side; empty: what fits the rest.
        instances: that are highlighted.
        hide: what is taken out of the scene.
        looks: fields of ``Display`` with other values than those that were chosen in the viewer.
        granularity: the level, 0 (coarsest) to 1 (finest).
        one_file_per_instance: each by itself.
    """

    outputs: tuple[Output, ...]
    instances: tuple[int, ...] | None
    hide: tuple[int, ...] | None
    looks: Mapping[str, Any]
    granularity: float | None
    one_file_per_instance: bool

    def circles_instances(self, path: PathKind, display: Display) -> bool:
        """Whether the path goes around some instances, not around the scene."""
        return path == "turntable" and bool(display.selected or self.one_file_per_instance)

    def shown(self, path: PathKind, display: Display) -> tuple[Output, ...]:
        """The outputs."""
        if self.outputs:
            return self.outputs
        is_object = self.circles_instances(path, display) or "background" in self.looks
        return ("object",) if is_object else ("rgb", "segmentation")

    def circles_what_may_be_covered(self, path: PathKind, display: Display) -> bool:
        """Whether the rest of the scene may stand between the camera and what it goes around."""
        is_shown = display.background == "dimmed" and "object" in self.shown(path, display)
        return is_shown and self.circles_instances(path, display)


def render(load_config: Path, data: Path | None, wanted: Wanted, path: PathOptions, target: Path) -> None:
    """Write what is wanted of a run, and say so.

    Args:
        load_config: config.yml of the run.
        data: where its data lies now, if it has moved.
        path: where to look from.
        target: a video or animation by its suffix, or a folder of pictures.

    Raises:
        ProtoSagaError: there is no such instance, or the kind of file has no alpha.
    """
    run = load_run(load_config, data)
    _check_known(run.scene, wanted, load_config)
    whole = displayed(run.scene, wanted)
    check_target(target, has_alpha(wanted.shown(path.kind, whole.display), whole.display))
    run.model.scene = whole
    files = list(_files(run, wanted, target))
    if wanted.circles_what_may_be_covered(path.kind, whole.display):
        Console().print("The rest of the scene is only dimmed and may cover what is circled; --background white "
                        "takes it out.")  # fmt: skip
    for file, scene in files:
        run.model.scene = scene
        _write(run, wanted.shown(path.kind, scene.display), path, file)
        Console().print(f"Wrote {file}", soft_wrap=True)


def _check_known(scene: SegmentedScene, wanted: Wanted, load_config: Path) -> None:
    for option, ids, known in (("instances", wanted.instances, {*scene.ids}), ("hide", wanted.hide, {0, *scene.ids})):
        unknown = sorted({*(ids or ())} - known)
        if unknown:
            raise ProtoSagaError(
                f"--{option} {unknown[0]}: there is no such instance. {load_config} has "
                f"{', '.join(map(str, scene.ids))}. `proto-saga info` tells more about them."
            )


def displayed(scene: SegmentedScene, wanted: Wanted) -> SegmentedScene:
    """The scene with the display that was saved, less what is wanted otherwise."""
    display = scene.display.limited_to(scene.ids)
    if wanted.hide is not None:
        display = replace(display, hidden=()).hiding(wanted.hide)
    if wanted.instances is not None:
        display = display.selecting(wanted.instances)
    scene = replace(scene, display=replace(display, **wanted.looks))
    return scene if wanted.granularity is None else at_granularity(scene, wanted.granularity)


def _files(run: Run, wanted: Wanted, target: Path) -> Iterator[tuple[Path, SegmentedScene]]:
    """What to write, and of which scene."""
    scene = run.scene
    if not wanted.one_file_per_instance:
        yield target, scene
        return
    for number in _single_instances(run):
        yield target.with_suffix("") / f"instance_{number:04d}{target.suffix}", scene.with_display(selected=(number,))


def _single_instances(run: Run) -> list[int]:
    """The chosen instances, or all that are not hidden; those that nothing can be seen of are left out, aloud."""
    display, scene = run.scene.display, run.scene
    chosen = display.selected or [number for number in scene.ids if number not in display.hidden]
    present = {*scene.instances_of(run.model.embeddings).seen_ids.unique().tolist()}
    absent = [number for number in chosen if number not in present]
    if absent:
        Console().print(f"The views see no Gaussian of instance {', '.join(map(str, absent))}: no file for it.")
    return [number for number in chosen if number in present]


def _write(run: Run, outputs: tuple[Output, ...], options: PathOptions, file: Path) -> None:
    path = camera_path(run, run.scene.display.selected, options)
    views = list(zip(path.names, path.cameras, strict=True))
    with picture_writer(file, options.fps or path.fps, path.names) as write:
        for name, camera in progress_bar(views, f"Rendering {file.name}"):
            write(name, picture(run.model, camera, outputs))
