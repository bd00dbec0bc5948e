"""Making a stand-in and writing it, all or nothing."""

from __future__ import annotations

import os
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.evaluation.standins.cameras import View, lens_of, walk
from proto_saga_ns.evaluation.standins.capture import blurred_frames, photograph, wrong_pose
from proto_saga_ns.evaluation.standins.habits import Habits, form_habits
from proto_saga_ns.evaluation.standins.kinds import make_world
from proto_saga_ns.evaluation.standins.layouts import SceneData, ViewData, image_path, scene_files, view_files
from proto_saga_ns.evaluation.standins.marks import MARK, NOTE, note, read_mark
from proto_saga_ns.evaluation.standins.options import SegmenterOptions, StandinOptions
from proto_saga_ns.evaluation.standins.render import Picture, Renderer
from proto_saga_ns.evaluation.standins.segmenter import Segmentation, segment
from proto_saga_ns.evaluation.standins.world import World
from proto_saga_ns.files import write_json
from proto_saga_ns.progress import Progress, unseen

# What a killed run left; a live one touches its folder at every view.
_DEBRIS_AGE = 3600.0
_POINTS_STREAM = 2


def write_standin(
    folder: Path, options: StandinOptions, segmenter: SegmenterOptions, preset: str, progress: Progress = unseen
) -> bool:
    """Render a stand-in into a folder that is new or empty; it appears when it is whole.

    Args:
        preset: name of the segmenter's options, for the mark.
        progress: of the views.

    Returns:
        False if the folder holds this very stand-in already, and nothing was done.

    Raises:
        ProtoSagaError: the folder holds something else or cannot be written, the options make no sense, or Embree is
            not installed.
    """
    options.check()
    segmenter.check()
    wanted = {"options": asdict(options), "segmenter": asdict(segmenter), "version": version("proto_saga_ns")}
    if _is_there(folder, wanted):
        return False
    world, path = make_world(options)
    lens = lens_of(options.width, options.height)
    views = walk(path, options.views, options.test_views)
    blurred = blurred_frames([view.frame for view in views], options.blurred_share, options.seed)
    habits = form_habits(world, segmenter, options.seed)
    cloud, counts = _Cloud(options), _Counts()
    given: list[View] = []
    with appearing_folder(folder) as staging:
        renderer, places = Renderer(world, options.samples), {False: 0, True: 0}
        for index, view in enumerate(progress(views, "Rendering a stand-in")):
            rendered = renderer.render(lens, view.pose)
            rgb = photograph(rendered.rgb, options, view.frame, is_blurred=view.frame in blurred)
            picture = replace(rendered, rgb=rgb)
            name = image_path(options.layout, view, index)
            found = _segmented(world, picture, habits, segmenter, options.seed, view)
            data = ViewData(view, index, places[view.is_test], picture, found.labels, options.depth)
            # As new as its last view, so that nobody takes a long run for a killed one.
            os.utime(staging)
            _write(staging, view_files(options.layout, world, data))
            places[view.is_test] += 1
            counts.add(name, view, found)
            depth = float(np.median(picture.depth[picture.depth > 0]))
            pose = wrong_pose(view.pose, options.pose_noise, depth, options.seed, view.frame)
            given.append(replace(view, pose=pose))
            if not view.is_test:
                cloud.add(view, picture)
        scene = SceneData(world, lens, tuple(given), *cloud.points_and_colors(), options.depth)
        _write(staging, scene_files(options.layout, scene))
        mark = _mark(wanted, preset, world, counts)
        _write(staging, {NOTE: note(mark).encode()})
        write_json(staging / MARK, mark)
    return True


def _segmented(
    world: World, picture: Picture, habits: Habits, segmenter: SegmenterOptions, seed: int, view: View
) -> Segmentation:
    """The simulated masks of a view. A segmenter finds the sky as well, which is nothing in the truth."""
    sky = (picture.instances == 0) & (world.light.sky is not None)
    has_habits = segmenter.seams or segmenter.supports
    objects = habits.objects(world, picture) if has_habits else picture.instances
    objects = np.where(sky, objects.max() + 1, objects)
    parts = np.where(sky, len(world.parts) + 1, picture.parts)
    return segment(objects, parts, segmenter, seed, f"frame {view.frame}")


@contextmanager
def appearing_folder(folder: Path) -> Iterator[Path]:
    """A folder beside ``folder``, which it becomes when the block ends well; else it is removed.

    Also removes what runs that were killed over an hour ago left behind.

    Args:
        folder: does not exist, or is empty.

    Raises:
        ProtoSagaError: the disk is full, or the place cannot be written.
    """
    # A path such as . has no name.
    folder = folder.resolve()
    staging = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}.standin")
    try:
        staging.mkdir(parents=True)
        for left in folder.parent.glob(f".{folder.name}.*.standin"):
            if time.time() - left.stat().st_mtime > _DEBRIS_AGE:
                shutil.rmtree(left, ignore_errors=True)
        yield staging
        os.replace(staging, folder)
    except OSError as error:
        raise ProtoSagaError(
            f"Cannot write the stand-in {folder}: {error.strerror or error}. Free some space or choose another "
            "--output-dir, then run the same command again."
        ) from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _is_there(folder: Path, wanted: dict[str, Any]) -> bool:
    """Whether this stand-in is there already; refuses what is in the way."""
    if folder.is_file():
        raise ProtoSagaError(f"{folder} is a file. Give a folder that is new or empty with --output-dir.")
    if not folder.is_dir() or not any(folder.iterdir()):
        return False
    if not (folder / MARK).is_file():
        raise ProtoSagaError(
            f"{folder} holds files that are no stand-in. Give a folder that is new or empty with --output-dir."
        )
    found = read_mark(folder)
    # Stand-ins of before know fewer options; what these choose today is what there was.
    found["options"] = asdict(StandinOptions()) | found["options"]
    found["segmenter"] = asdict(SegmenterOptions()) | found.get("segmenter", {})
    different = [name for name, value in wanted.items() if found.get(name) != value]
    if different:
        raise ProtoSagaError(
            f"{folder} holds another stand-in (differs in its {' and '.join(different)}, see {NOTE} there). Remove it, "
            "or give a folder that is new or empty with --output-dir."
        )
    return True


def _write(folder: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


class _Cloud:
    """Points that training views see, as many from each."""

    def __init__(self, options: StandinOptions) -> None:
        self._seed = options.seed
        self._shares = list(np.diff(np.linspace(0, options.points, options.views + 1).astype(int)))
        self._points: list[Float[np.ndarray, "_N 3"]] = []
        self._colors: list[UInt8[np.ndarray, "_N 3"]] = []

    def add(self, view: View, picture: Picture) -> None:
        rng = np.random.default_rng([self._seed, _POINTS_STREAM, view.frame])
        seen = np.flatnonzero(picture.instances.ravel() > 0)
        chosen = seen[rng.integers(len(seen), size=self._shares[len(self._points)])]
        self._points.append(picture.points.reshape(-1, 3)[chosen])
        self._colors.append(picture.rgb.reshape(-1, 3)[chosen])

    def points_and_colors(self) -> tuple[Float[np.ndarray, "N 3"], UInt8[np.ndarray, "N 3"]]:
        return np.concatenate(self._points), np.concatenate(self._colors)


@dataclass
class _Counts:
    """What the segmenter did, and what was written for each view."""

    views: list[dict[str, Any]] = field(default_factory=list)
    totals: dict[str, int] = field(default_factory=dict)

    def add(self, image: str, view: View, found: Segmentation) -> None:
        self.views.append({"image": image, "frame": view.frame, "split": "test" if view.is_test else "train"})
        for name in ("objects", "splits", "masks", "merges", "drops"):
            self.totals[name] = self.totals.get(name, 0) + getattr(found, name)
        self.totals["labels"] = self.totals.get("labels", 0) + int(found.labels.max(initial=0))


def _mark(wanted: dict[str, Any], preset: str, world: World, counts: _Counts) -> dict[str, Any]:
    return {
        "standin": "A RENDERED STAND-IN, NOT A DATA SET. Mark every figure that is measured on it.",
        **wanted,
        "segmenter_preset": preset,
        "segmenter_did": counts.totals,
        "room_size": world.size,
        "instances": {str(number): name for number, name in world.names.items()},
        "parts": {str(number): name for number, name in world.part_names.items()},
        "instance_of_part": world.instance_of_part[1:].tolist(),
        "views": counts.views,
    }
