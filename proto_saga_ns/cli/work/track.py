"""From frames to label maps that are consistent, and what is left beside these."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from proto_saga_ns.cli.work.printing import say
from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.evaluation.folders import label_maps_in
from proto_saga_ns.evaluation.instance import InstanceProtocol
from proto_saga_ns.evaluation.mask_consistency import mask_consistency
from proto_saga_ns.export.videos.overlay import overlay_video
from proto_saga_ns.labels import named_mask_folder, read_label_map
from proto_saga_ns.labels.folder import image_size
from proto_saga_ns.labels.images import data_folder
from proto_saga_ns.labels.view_names import view_name
from proto_saga_ns.mastsam.frames import Camera, FrameSelection, LazySequence
from proto_saga_ns.mastsam.image_sequence import ImageSequence, read_posed_images, select_images
from proto_saga_ns.mastsam.matches import Matcher
from proto_saga_ns.mastsam.point_cloud import build_point_cloud, write_ply
from proto_saga_ns.mastsam.sequence import TRACKS, Track, Tracking, write_tracks
from proto_saga_ns.mastsam.video import extract_frames, frames_per_second
from proto_saga_ns.plugin.data.label_maps import SplitImages, label_maps_for
from proto_saga_ns.plugin.data.mask_options import MaskOptions
from proto_saga_ns.progress import progress_bar

VIDEO_FOLDER = "frames"
"""Where the frames of a video are put."""


@dataclass(frozen=True)
class Source:
    """What is tracked.

    Attributes:
        path: a folder of images, its transforms.json, or a video.
        selection: which frames of it.
        depth_scale: units of the poses in a unit of the depth maps.
    """

    path: Path
    selection: FrameSelection
    depth_scale: float

    @property
    def is_video(self) -> bool:
        return self.path.is_file() and self.path.suffix != ".json"

    def folder(self, output: Path) -> Path:
        """That the images belong to; those of a video are put into the output folder."""
        return output if self.is_video else data_folder(self.path)

    def images(self, output: Path) -> list[Path]:
        """The frames; those of a video are extracted."""
        if self.is_video:
            _refuse_to_overwrite(output / "overlay.mp4", [self.path])
            return extract_frames(self.path, output / VIDEO_FOLDER, self.selection, progress_bar)
        return select_images(self.path, self.selection)


def track_masks(
    source: Source,
    masks: MaskOptions,
    matcher: Matcher,
    reason: str | None,
    output: Path,
    ground_truth: Path | None,
) -> None:
    """Write label maps, tracks.json, overlay.mp4 and, where poses are known, points.ply; print figures.

    Args:
        masks: where those of each frame come from, and how they are followed.
        reason: why this matcher was chosen, if nobody has named it.
        ground_truth: folder of true label maps of all or some frames.
    """
    if reason:
        say(reason)
    images = source.images(output)
    # All that can be wrong comes before the long work.
    truths = {} if ground_truth is None else _truths(ground_truth, images)
    sequence = _sequence(source, images, masks, output, ground_truth)
    options, prompter = masks.mastsam.tracking, masks.mastsam.make_prompter(masks.sam)
    tracking = Tracking(sequence, matcher, options, output / ".tracking", prompter)
    tracking.run(progress_bar)
    _remove_outdated(output, sequence)
    tracks = write_tracks(tracking, sequence, output, options.required_frames(len(images)))
    _write_overlay(sequence, output)
    if sequence.cameras is not None:
        _write_points(tracking, sequence, output)
    figures = _consistency(tracking, sequence, output)
    if truths:
        figures |= _evaluate(output, truths)
    _report(tracks, sequence, figures, output)


def _truths(ground_truth: Path, images: Sequence[Path]) -> dict[str, Path]:
    """True instance maps of the frames, by name; frames may lack one, but not all of them."""
    names = {view_name(path) for path in images}
    truths = {name: path for name, path in label_maps_in(ground_truth).items() if name in names}
    if not truths:
        raise ProtoSagaError(
            f"--ground-truth {ground_truth} has no label map of any of the {len(images)} frames. Expected one "
            f"PNG per frame with its name, for example {view_name(images[0])}.png."
        )
    return truths


def _sequence(
    source: Source, images: Sequence[Path], masks: MaskOptions, output: Path, ground_truth: Path | None
) -> ImageSequence:
    folder, places = source.folder(output), [path.parent for path in images]
    _refuse_to_overwrite(output, places if source.is_video else [folder, *places])
    if (folder / "images").resolve() in output.resolve().parents:
        raise ProtoSagaError(
            f"{output} lies in {folder / 'images'}, so the next run would take its label maps for images. "
            "Give another folder with --output-dir."
        )
    cameras = _cameras(source, images, masks.mastsam.tracking.order == "poses")
    depths = _depths(source, images) if masks.mastsam.matcher == "poses+depth" else None
    if masks.mask_dir is not None:
        beside = source.path.parent if source.is_video else folder
        masks = replace(masks, mask_dir=named_mask_folder(masks.mask_dir, beside))
    paths = label_maps_for(SplitImages(folder, images), masks).paths
    given = [path.parent for path in paths if path is not None]
    _refuse_to_overwrite(output, given if ground_truth is None else [*given, ground_truth])
    return ImageSequence(images, paths, cameras, depths, source.depth_scale)


def _cameras(source: Source, images: Sequence[Path], are_needed: bool) -> list[Camera] | None:
    file = source.path if source.path.suffix == ".json" else source.path / "transforms.json"
    cameras, has_file = None, not source.is_video and file.is_file()
    if has_file:
        cameras = _pinhole_cameras(file, images)
    problem = f"{file} has lenses that are distorted or of unknown focal length" if has_file else "there are none"
    if cameras is None and are_needed:
        raise ProtoSagaError(
            f"--order poses needs the poses of {source.path}, and {problem}. Give --order sequence or matches."
        )
    if cameras is None and has_file:
        say(f"Poses are not used: {problem}.")
    return cameras


def _depths(source: Source, images: Sequence[Path]) -> list[Path]:
    """The depth maps that the matcher needs."""
    remedy = "Name one for each frame (depth_file_path) in its transforms.json, or give another --matcher."
    if source.is_video:
        raise ProtoSagaError(f"--matcher poses+depth needs depth maps, and the video {source.path} has none.")
    depths = {image.path.resolve(): image.depth for image in read_posed_images(source.path)}
    found = [depths.get(path.resolve()) for path in images]
    for path, depth in zip(images, found, strict=True):
        if depth is None or not depth.is_file():
            raise ProtoSagaError(f"--matcher poses+depth needs a depth map of {path}, and there is none. {remedy}")
    return [depth for depth in found if depth is not None]


def _pinhole_cameras(file: Path, images: Sequence[Path]) -> list[Camera] | None:
    """Cameras of the images in a transforms.json; None if a lens is no pinhole, or not known."""
    posed = {image.path.resolve(): image for image in read_posed_images(file)}
    # Blender's frames are named without a suffix.
    found = [posed.get(path.resolve()) or posed[path.resolve().with_suffix("")] for path in images]
    cameras = [image.camera(*image_size(path)) for image, path in zip(found, images, strict=True)]
    known = [camera for camera in cameras if camera is not None]
    return known if len(known) == len(cameras) else None


def _refuse_to_overwrite(output: Path, inputs: Sequence[Path]) -> None:
    if output.resolve() in {path.resolve() for path in inputs}:
        raise ProtoSagaError(
            f"{output} is among what is read, and results would replace it. Give another folder with --output-dir."
        )


def _remove_outdated(output: Path, sequence: ImageSequence) -> None:
    """Of an earlier run on other frames: its label maps have other ids, and its points other places."""
    try:
        earlier = json.loads((output / TRACKS).read_text(encoding="utf-8"))["frames"]
    except (OSError, ValueError, KeyError, TypeError):
        return
    for stem in set(earlier) - {view_name(path) for path in sequence.images}:
        (output / f"{stem}.png").unlink(missing_ok=True)
    if sequence.cameras is None:
        (output / "points.ply").unlink(missing_ok=True)


def _evaluate(output: Path, truths: dict[str, Path]) -> dict[str, Any]:
    """The instance protocol on the frames that have a true label map."""
    protocol = InstanceProtocol()
    for stem, truth in truths.items():
        protocol.add(read_label_map(truth), read_label_map(output / f"{stem}.png"))
    return {"frames with truth": len(truths), **protocol.result().figures()}


def _consistency(tracking: Tracking, sequence: ImageSequence, output: Path) -> dict[str, Any]:
    """Of the written label maps, by the matches that were found already."""
    if len(sequence.images) < 2:
        return {}
    indices = tracking.path()
    place = {view_name(sequence.images[index]): index for index in indices}
    frames = LazySequence(indices, sequence.frame)
    labels = LazySequence(indices, lambda index: read_label_map(output / f"{view_name(sequence.images[index])}.png"))
    try:
        found = mask_consistency(frames, labels, lambda a, b: tracking.matches(place[a.name], place[b.name]))
    except ProtoSagaError as error:
        # The tracks are there all the same: nothing can be compared.
        say(f"No figure for the consistency. {error}")
        return {}
    return found.figures()


def _write_overlay(sequence: ImageSequence, output: Path) -> None:
    """``overlay.mp4``: the frames with the written label maps over them."""
    with overlay_video(output / "overlay.mp4", frames_per_second(output / VIDEO_FOLDER)) as write:
        for index, path in enumerate(progress_bar(sequence.images, "Drawing frames")):
            write(sequence.frame(index).image, read_label_map(output / f"{view_name(path)}.png"))


def _write_points(tracking: Tracking, sequence: ImageSequence, output: Path) -> None:
    """``points.ply``: triangulated points with colours and instance ids; poses must be known."""
    assert sequence.cameras is not None
    views = (
        (sequence.frame(index).image, read_label_map(output / f"{view_name(path)}.png"))
        for index, path in enumerate(sequence.images)
    )
    pairs = ((a, b, tracking.matches(a, b)) for a, b in tracking.pairs())
    write_ply(output / "points.ply", build_point_cloud(pairs, sequence.cameras, views))


def _written(output: Path) -> list[str]:
    """Which of the files beside the label maps are there."""
    return [name for name in ("tracks.json", "overlay.mp4", "points.ply") if (output / name).is_file()]


def _report(tracks: Sequence[Track], sequence: ImageSequence, figures: dict[str, Any], output: Path) -> None:
    table = Table(title=f"{len(tracks)} tracks in {len(sequence.images)} frames")
    table.add_column("figure")
    table.add_column("value", justify="right")
    for name, value in figures.items():
        table.add_row(name, f"{value:.2f}" if isinstance(value, float) else str(value))
    Console().print(table if figures else table.title)
    say(f"Label maps, {', '.join(_written(output))} in {output}")
