"""``proto-saga track``: a folder of frames or a video to consistent label maps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.mastsam.settings import MastsamSettings
from proto_saga_ns.segmenters.backends import AllSettings

if TYPE_CHECKING:
    from proto_saga_ns.mastsam.frames import Camera
    from proto_saga_ns.mastsam.sequence import ImageSequence, Progress, Track, Tracking

    Settings = Any
else:
    Settings = Annotated[AllSettings, tyro.conf.arg(name="")]

_VIDEO_FOLDER = "frames"
_IMAGES = "a folder of images, its transforms.json, or a video"


@dataclass
class TrackCommand:
    """Track the masks of a folder of images or of a video: label maps in which an id means one instance throughout.

    Writes into the output folder: <image stem>.png for every frame, tracks.json, overlay.mp4 and, where poses are
    known, points.ply (triangulated points with colours and instance ids). Ended early, the same command goes on where
    it stopped.
    """

    source: tyro.conf.Positional[Path]
    """a folder of images (with or without transforms.json), or a video"""
    output_dir: Path
    """where to write"""
    masks: Literal["auto", "folder", "sam", "sam2", "superpixel"] = "auto"
    """the masks of each frame: as --mask-source of the data parsers"""
    mask_dir: Path | None = None
    """folder of label maps, absolute or relative to the source, for --masks auto and folder"""
    every: int = 1
    """use every N-th frame"""
    max_frames: int | None = None
    """use at most this many frames"""
    ground_truth: Path | None = None
    """folder of true instance maps: also print mIoU, precision and recall"""
    mastsam: tyro.conf.OmitArgPrefixes[MastsamSettings] = field(default_factory=MastsamSettings)
    settings: Settings = field(default_factory=AllSettings)

    def run(self) -> None:
        from proto_saga_ns.mastsam.sequence import Tracking, write_tracks

        matcher, reason = self.mastsam.make_matcher()
        if reason:
            _say(reason)
        options = self.mastsam.tracking
        with _progress() as progress:
            images = self._images(progress)
        sequence = self._sequence(images)
        prompter = self.mastsam.make_prompter(self.settings.sam)
        tracking = Tracking(sequence, matcher, options, self.output_dir / ".tracking", prompter)
        with _progress() as progress:
            tracking.run(progress)
            tracks = write_tracks(tracking, sequence, self.output_dir, options.required_frames(len(images)))
            _write_overlay(sequence, self.output_dir, progress)
        if sequence.cameras is not None:
            _write_points(tracking, sequence, self.output_dir)
        self._report(tracking, sequence, tracks)

    def _images(self, progress: Progress) -> list[Path]:
        from proto_saga_ns.labels.images import find_images
        from proto_saga_ns.mastsam.extract import extract_frames
        from proto_saga_ns.mastsam.frame_source import FrameSelection
        from proto_saga_ns.names import natural_key

        try:
            selection = FrameSelection(self.every, self.max_frames)
        except ValueError as error:
            raise ProtoSagaError(f"--every is {self.every}, --max-frames {self.max_frames}: {error}.") from error
        if not self.source.exists():
            raise ProtoSagaError(f"{self.source} does not exist. Give {_IMAGES}.")
        if self.source.is_file() and self.source.suffix != ".json":
            return extract_frames(self.source, self.output_dir / _VIDEO_FOLDER, selection, progress)
        return list(selection.of(sorted(find_images(self.source), key=lambda path: natural_key(path.as_posix()))))

    def _sequence(self, images: Sequence[Path]) -> ImageSequence:
        from proto_saga_ns.data.label_maps import SplitImages, label_maps_for
        from proto_saga_ns.data.mask_options import MaskOptions
        from proto_saga_ns.labels.images import data_folder
        from proto_saga_ns.mastsam.sequence import ImageSequence

        is_video = self.source.is_file() and self.source.suffix != ".json"
        folder = self.output_dir if is_video else data_folder(self.source)
        names = ("sam", "sam2", "superpixel")
        options = MaskOptions(self.masks, self.mask_dir, **{name: getattr(self.settings, name) for name in names})
        label_maps = label_maps_for(SplitImages(folder, images), options)
        return ImageSequence(images, label_maps.paths, None if is_video else _cameras(self.source, images))

    def _report(self, tracking: Tracking, sequence: ImageSequence, tracks: Sequence[Track]) -> None:
        from rich.console import Console
        from rich.table import Table

        from proto_saga_ns.evaluation.folders import evaluate_folders

        table = Table(title=f"{len(tracks)} tracks in {len(sequence.images)} frames")
        table.add_column("figure")
        table.add_column("value", justify="right")
        figures = _consistency(tracking, sequence, self.output_dir)
        if self.ground_truth is not None:
            figures |= evaluate_folders(self.output_dir, self.ground_truth).figures()
        for name, value in figures.items():
            table.add_row(name, f"{value:.2f}" if isinstance(value, float) else str(value))
        Console().print(table)
        _say(f"Label maps, {', '.join(_written(self.output_dir))} in {self.output_dir}")


def _cameras(source: Path, images: Sequence[Path]) -> list[Camera] | None:
    """Cameras of a data folder with transforms.json; None if there is none, or a lens is no pinhole."""
    from proto_saga_ns.labels.folder import image_size
    from proto_saga_ns.mastsam.posed_frames import read_posed_images

    file = source if source.suffix == ".json" else source / "transforms.json"
    if not file.is_file():
        return None
    posed = {image.path.resolve(): image for image in read_posed_images(file)}
    cameras = [posed[path.resolve()].camera(*image_size(path)) for path in images]
    known = [camera for camera in cameras if camera is not None]
    if len(known) < len(cameras):
        _say("The lenses are distorted, so poses are not used: frames are taken in the order of their names.")
        return None
    return known


def _consistency(tracking: Tracking, sequence: ImageSequence, output: Path) -> dict[str, Any]:
    """Of the written label maps, by the matches that were found already."""
    from proto_saga_ns.evaluation.mask_consistency import mask_consistency
    from proto_saga_ns.labels import read_label_map
    from proto_saga_ns.mastsam.lazy_sequence import LazySequence

    if len(sequence.images) < 2:
        return {}
    indices = tracking.path()
    place = {sequence.images[index].stem: index for index in indices}
    frames = LazySequence(indices, sequence.frame)
    labels = LazySequence(indices, lambda index: read_label_map(output / f"{sequence.images[index].stem}.png"))
    found = mask_consistency(frames, labels, lambda a, b: tracking.matches(place[a.name], place[b.name]))
    return found.figures()


def _write_overlay(sequence: ImageSequence, output: Path, progress: Progress) -> None:
    from proto_saga_ns.labels import read_label_map
    from proto_saga_ns.mastsam.extract import frames_per_second
    from proto_saga_ns.mastsam.overlay_video import overlay_video

    step = progress("Drawing", len(sequence.images))
    with overlay_video(output / "overlay.mp4", frames_per_second(output / _VIDEO_FOLDER)) as write:
        for index, path in enumerate(sequence.images):
            write(sequence.frame(index).image, read_label_map(output / f"{path.stem}.png"))
            step()


def _write_points(tracking: Tracking, sequence: ImageSequence, output: Path) -> None:
    from proto_saga_ns.labels import read_label_map
    from proto_saga_ns.mastsam.point_cloud import build_point_cloud, write_ply

    assert sequence.cameras is not None
    views = (
        (sequence.frame(index).image, read_label_map(output / f"{path.stem}.png"))
        for index, path in enumerate(sequence.images)
    )
    pairs = ((a, b, tracking.matches(a, b)) for a, b in tracking.pairs())
    write_ply(output / "points.ply", build_point_cloud(pairs, sequence.cameras, views))


def _written(output: Path) -> list[str]:
    return [name for name in ("tracks.json", "overlay.mp4", "points.ply") if (output / name).is_file()]


def _say(text: str) -> None:
    from rich.console import Console

    Console(soft_wrap=True).print(text, highlight=False, markup=False)


@contextmanager
def _progress() -> Iterator[Progress]:
    """Bars with the time that is left."""
    from rich import progress as rich_progress

    columns = (
        *(rich_progress.TextColumn("{task.description}"), rich_progress.BarColumn()),
        *(rich_progress.MofNCompleteColumn(), rich_progress.TimeElapsedColumn()),
        *(rich_progress.TextColumn("left"), rich_progress.TimeRemainingColumn()),
    )
    with rich_progress.Progress(*columns) as bars:

        def begin(what: str, total: int) -> Callable[[], None]:
            task = bars.add_task(what, total=total)
            return lambda: bars.advance(task)

        yield begin
