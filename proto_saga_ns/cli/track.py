"""``proto-saga track``: a folder of frames or a video to consistent label maps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from proto_saga_ns.cli.printing import say
from proto_saga_ns.cli.track_results import (
    VIDEO_FOLDER,
    consistency,
    evaluate,
    remove_outdated,
    write_overlay,
    write_points,
    written,
)
from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.labels.view_names import view_name
from proto_saga_ns.masks.segmenters.backends import AllSettings
from proto_saga_ns.mastsam.settings import MastsamSettings

if TYPE_CHECKING:
    from proto_saga_ns.mastsam.frames import Camera, Progress
    from proto_saga_ns.mastsam.image_sequence import ImageSequence
    from proto_saga_ns.mastsam.sequence import Track, Tracking

    Settings = Any
else:
    Settings = Annotated[AllSettings, tyro.conf.arg(name="")]

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
    """folder of label maps, for --masks auto and folder; looked for from the current folder, then from the source (of a
    video: from its folder)"""
    every: int = 1
    """use every N-th frame"""
    max_frames: int | None = None
    """use at most this many frames"""
    depth_unit_scale_factor: float = 1e-3
    """for --matcher poses+depth: units of the poses in a unit of the depth maps that transforms.json names"""
    ground_truth: Path | None = None
    """folder of true instance maps, one PNG per frame with its name: also print mIoU, precision and recall of the
    frames that have one"""
    mastsam: tyro.conf.OmitArgPrefixes[MastsamSettings] = field(default_factory=MastsamSettings)
    settings: Settings = field(default_factory=AllSettings)

    def run(self) -> None:
        from proto_saga_ns.mastsam.sequence import Tracking, write_tracks

        matcher, reason = self.mastsam.make_matcher()
        if reason:
            say(reason)
        options = self.mastsam.tracking
        with _progress() as progress:
            images = self._images(progress)
        # All that can be wrong comes before the long work.
        truths = self._truths(images)
        sequence = self._sequence(images)
        prompter = self.mastsam.make_prompter(self.settings.sam)
        tracking = Tracking(sequence, matcher, options, self.output_dir / ".tracking", prompter)
        with _progress() as progress:
            tracking.run(progress)
            remove_outdated(self.output_dir, sequence)
            tracks = write_tracks(tracking, sequence, self.output_dir, options.required_frames(len(images)))
            write_overlay(sequence, self.output_dir, progress)
        if sequence.cameras is not None:
            write_points(tracking, sequence, self.output_dir)
        self._report(tracking, sequence, tracks, truths)

    @property
    def _is_video(self) -> bool:
        return self.source.is_file() and self.source.suffix != ".json"

    def _images(self, progress: Progress) -> list[Path]:
        from proto_saga_ns.mastsam.frames import FrameSelection
        from proto_saga_ns.mastsam.image_sequence import select_images
        from proto_saga_ns.mastsam.video import extract_frames

        try:
            selection = FrameSelection(self.every, self.max_frames)
        except ValueError as error:
            raise ProtoSagaError(f"--every is {self.every}, --max-frames {self.max_frames}: {error}.") from error
        if not self.source.exists():
            raise ProtoSagaError(f"{self.source} does not exist. Give {_IMAGES}.")
        if self._is_video:
            _refuse_to_overwrite(self.output_dir / "overlay.mp4", [self.source])
            return extract_frames(self.source, self.output_dir / VIDEO_FOLDER, selection, progress)
        return select_images(self.source, selection)

    def _truths(self, images: Sequence[Path]) -> dict[str, Path]:
        """True instance maps of the frames, by name; frames may lack one, but not all of them."""
        from proto_saga_ns.evaluation.folders import label_maps_in

        if self.ground_truth is None:
            return {}
        names = {view_name(path) for path in images}
        truths = {name: path for name, path in label_maps_in(self.ground_truth).items() if name in names}
        if not truths:
            raise ProtoSagaError(
                f"--ground-truth {self.ground_truth} has no label map of any of the {len(images)} frames. Expected one "
                f"PNG per frame with its name, for example {view_name(images[0])}.png."
            )
        return truths

    def _sequence(self, images: Sequence[Path]) -> ImageSequence:
        from proto_saga_ns.labels.images import data_folder
        from proto_saga_ns.mastsam.image_sequence import ImageSequence
        from proto_saga_ns.plugin.data.label_maps import SplitImages, label_maps_for
        from proto_saga_ns.plugin.data.mask_options import MaskOptions

        folder = self.output_dir if self._is_video else data_folder(self.source)
        places = [path.parent for path in images]
        _refuse_to_overwrite(self.output_dir, places if self._is_video else [folder, *places])
        if (folder / "images").resolve() in self.output_dir.resolve().parents:
            raise ProtoSagaError(
                f"{self.output_dir} lies in {folder / 'images'}, so the next run would take its label maps for images. "
                "Give another folder with --output-dir."
            )
        cameras, depths = self._cameras(images), self._depths(images)
        names = ("sam", "sam2", "superpixel")
        options = MaskOptions(self.masks, self._mask_dir(), **{name: getattr(self.settings, name) for name in names})
        masks = label_maps_for(SplitImages(folder, images), options).paths
        given = [path.parent for path in masks if path is not None]
        _refuse_to_overwrite(self.output_dir, given if self.ground_truth is None else [*given, self.ground_truth])
        return ImageSequence(images, masks, cameras, depths, self.depth_unit_scale_factor)

    def _mask_dir(self) -> Path | None:
        from proto_saga_ns.labels import named_mask_folder
        from proto_saga_ns.labels.images import data_folder

        if self.mask_dir is None:
            return None
        return named_mask_folder(self.mask_dir, self.source.parent if self._is_video else data_folder(self.source))

    def _cameras(self, images: Sequence[Path]) -> list[Camera] | None:
        file = self.source if self.source.suffix == ".json" else self.source / "transforms.json"
        cameras, has_file = None, not self._is_video and file.is_file()
        if has_file:
            cameras = _pinhole_cameras(file, images)
        problem = f"{file} has lenses that are distorted or of unknown focal length" if has_file else "there are none"
        if cameras is None and self.mastsam.tracking.order == "poses":
            raise ProtoSagaError(
                f"--order poses needs the poses of {self.source}, and {problem}. Give --order sequence or matches."
            )
        if cameras is None and has_file:
            say(f"Poses are not used: {problem}.")
        return cameras

    def _depths(self, images: Sequence[Path]) -> list[Path] | None:
        """The depth maps, if the matcher needs them."""
        from proto_saga_ns.mastsam.image_sequence import read_posed_images

        if self.mastsam.matcher != "poses+depth":
            return None
        remedy = "Name one for each frame (depth_file_path) in its transforms.json, or give another --matcher."
        if self._is_video:
            raise ProtoSagaError(f"--matcher poses+depth needs depth maps, and the video {self.source} has none.")
        depths = {image.path.resolve(): image.depth for image in read_posed_images(self.source)}
        found = [depths.get(path.resolve()) for path in images]
        for path, depth in zip(images, found, strict=True):
            if depth is None or not depth.is_file():
                raise ProtoSagaError(f"--matcher poses+depth needs a depth map of {path}, and there is none. {remedy}")
        return [depth for depth in found if depth is not None]

    def _report(
        self, tracking: Tracking, sequence: ImageSequence, tracks: Sequence[Track], truths: dict[str, Path]
    ) -> None:
        from rich.console import Console
        from rich.table import Table

        table = Table(title=f"{len(tracks)} tracks in {len(sequence.images)} frames")
        table.add_column("figure")
        table.add_column("value", justify="right")
        figures = consistency(tracking, sequence, self.output_dir)
        if truths:
            figures |= evaluate(self.output_dir, truths)
        for name, value in figures.items():
            table.add_row(name, f"{value:.2f}" if isinstance(value, float) else str(value))
        Console().print(table if figures else table.title)
        say(f"Label maps, {', '.join(written(self.output_dir))} in {self.output_dir}")


def _refuse_to_overwrite(output: Path, inputs: Sequence[Path]) -> None:
    if output.resolve() in {path.resolve() for path in inputs}:
        raise ProtoSagaError(
            f"{output} is among what is read, and results would replace it. Give another folder with --output-dir."
        )


def _pinhole_cameras(file: Path, images: Sequence[Path]) -> list[Camera] | None:
    """Cameras of the images in a transforms.json; None if a lens is no pinhole, or not known."""
    from proto_saga_ns.labels.folder import image_size
    from proto_saga_ns.mastsam.image_sequence import read_posed_images

    posed = {image.path.resolve(): image for image in read_posed_images(file)}
    # Blender's frames are named without a suffix.
    found = [posed.get(path.resolve()) or posed[path.resolve().with_suffix("")] for path in images]
    cameras = [image.camera(*image_size(path)) for image, path in zip(found, images, strict=True)]
    known = [camera for camera in cameras if camera is not None]
    return known if len(known) == len(cameras) else None


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
