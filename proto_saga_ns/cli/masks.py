"""``proto-saga masks``: make, verify or remake the mask cache, and report on it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import tyro

from proto_saga_ns.cli.printing import say
from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.labels.images import data_folder, find_images
from proto_saga_ns.masks.ray_workers import RayOptions
from proto_saga_ns.masks.segmenters.backends import BACKENDS, DEFAULT_BACKEND, AllSettings, SegmenterFactory
from proto_saga_ns.masks.segmenters.mask_generation import MaskGenerationSettings

if TYPE_CHECKING:
    from proto_saga_ns.masks.cache import MaskJob
    from proto_saga_ns.masks.segmenters import Segmenter
    from proto_saga_ns.masks.survey import FolderOfMasks
    from proto_saga_ns.masks.workers import Finished

    BackendName = str
    Settings = Any
else:
    BackendName = Literal[tuple(BACKENDS)]
    # The settings of a backend are --BACKEND.OPTION, without the name of the field here before it.
    Settings = Annotated[AllSettings, tyro.conf.arg(name="")]

T = TypeVar("T")
RunJobs = Callable[["Sequence[MaskJob]", SegmenterFactory], "Iterator[Finished]"]


@dataclass
class Masks:
    """Make the masks of all images of one or more data folders, and keep them in the mask cache.

    Images whose masks are there already are left alone, so a run that was ended goes on where it stopped. Training
    finds these masks, with --mask-source BACKEND and the same settings for sure.
    """

    data: tyro.conf.Positional[tuple[Path, ...]]
    """folders of posed images (with transforms.json or images/)"""
    backend: BackendName = DEFAULT_BACKEND
    """what makes the masks. sam: Segment Anything. sam2: SAM 2 or another model of transformers. superpixel: regions of
    similar colour, a stand-in that needs no weights and knows no objects"""
    check: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """make nothing: end with exit code 0 if the cache is complete and up to date, else with 2 and what is wrong"""
    force: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """make all masks anew; each old one stays until its new one is whole"""
    overlapping: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """also keep the masks of sam or sam2 as they were before they were flattened to a label map, as COCO RLE, in
    overlapping/ of the cache; convert-masks --from sam-json flattens them in other ways"""
    report: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """also write an HTML page and a PNG that show the masks and their figures"""
    mask_dir: Path | None = None
    """make nothing: check or report on this folder of label maps, not the cache; it is looked for from the
    current folder, then from DIR"""
    workers: int = 1
    """processes that make masks side by side, with one thread each"""
    engine: Literal["local", "ray"] = "local"
    """what runs the workers: this machine, or Ray, which spreads them over the machines and GPUs of a cluster"""
    ray: RayOptions = field(default_factory=RayOptions)
    """for --engine ray"""
    settings: Settings = field(default_factory=AllSettings)

    def run(self) -> None:
        self._check_arguments()
        factory = SegmenterFactory(self.backend, getattr(self.settings, self.backend))
        folders = list(dict.fromkeys(self.data))
        if self.mask_dir is not None:
            from proto_saga_ns.labels import named_mask_folder

            for data in folders:
                self._look_at(data, named_mask_folder(self.mask_dir, data_folder(data)))
            return
        done = _verified(folders, factory) if self.check else self._make_all(folders, factory)
        for cache in done:
            gone = f" ({cache.num_stale} more are of images that are gone)" if cache.num_stale else ""
            say(f"{len(cache.made)} label maps, up to date, in {cache.folder}{gone}")
            _say_what_training_takes(cache, self.backend)
            if self.report:
                _report(cache.data, sorted(cache.made), cache.folder)

    def _make_all(self, folders: Sequence[Path], factory: SegmenterFactory) -> list[FolderOfMasks]:
        """All folders are looked at before the first is worked on, and what fails stops nothing else."""
        from proto_saga_ns.masks.survey import collect, look_at

        images = [find_images(data) for data in folders]
        caches = [
            look_at(data, paths, factory(), force=self.force, overlapping=self.overlapping)
            for data, paths in zip(folders, images, strict=True)
        ]
        jobs = [job for cache in caches for job in cache.jobs]
        if jobs:
            _download(factory())
        what = f"Masks of {folders[0]}" if len(folders) == 1 else f"Masks of {len(folders)} folders"
        collect(caches, progress_bar(self._run_jobs(jobs, factory), len(jobs), what), factory())
        errors = [error for cache in caches for error in cache.errors]
        if errors:
            total = sum(map(len, images))
            raise ProtoSagaError(f"{len(errors)} of {total} masks could not be made, the others are. {errors[0]}")
        return caches

    def _run_jobs(self, jobs: Sequence[MaskJob], factory: SegmenterFactory) -> Iterator[Finished]:
        from proto_saga_ns.masks.ray_workers import make_masks_with_ray
        from proto_saga_ns.masks.workers import make_masks

        if self.engine == "ray":
            return make_masks_with_ray(jobs, factory, self.workers, self.ray, force=self.force)
        return make_masks(jobs, factory, self.workers, force=self.force)

    def _look_at(self, data: Path, masks: Path) -> None:
        """Check, and if so asked report, a folder of label maps that need not be ours."""
        from proto_saga_ns.labels import check_label_maps, index_masks

        images = find_images(data)
        found = index_masks(masks, images)
        say(f"{masks}: {check_label_maps(found, images).summary()}; {found.count(None)} images without one")
        if self.report:
            _report(data, images, masks)

    def _check_arguments(self) -> None:
        if not self.data:
            raise ProtoSagaError("Give at least one folder of posed images: proto-saga masks DIR.")
        if self.check and self.overlapping:
            raise ProtoSagaError("--check looks at label maps, --overlapping makes other masks. Give one of the two.")
        if self.check and self.force:
            raise ProtoSagaError("--check makes nothing and --force makes all anew. Give one of the two.")
        if self.overlapping and not issubclass(BACKENDS[self.backend].settings, MaskGenerationSettings):
            raise ProtoSagaError(
                f"--overlapping keeps masks that overlap, and those of {self.backend} do not. Leave it out, or give "
                "--backend sam or sam2."
            )
        if self.mask_dir is not None and self.force:
            raise ProtoSagaError("--mask-dir looks at masks and --force makes masks. Give one of the two.")
        if self.workers < 1:
            raise ProtoSagaError(f"--workers is {self.workers}. Expected 1 or more.")


def _verified(folders: Sequence[Path], factory: SegmenterFactory) -> list[FolderOfMasks]:
    from proto_saga_ns.masks.survey import FolderOfMasks, survey

    states = [survey(find_images(data), factory(), data_folder(data)) for data in folders]
    complaints = [f"{state.folder}: {complaint}" for state in states if (complaint := state.complaint())]
    if complaints:
        names = " ".join(str(data) for data, state in zip(folders, states, strict=True) if state.todo)
        raise ProtoSagaError(
            f"The mask cache is not up to date. {'; '.join(complaints)}. To make these masks: proto-saga masks "
            f"{names} --backend {factory.backend}, with the same settings."
        )
    pairs = zip(folders, states, strict=True)
    return [FolderOfMasks(data, state.folder, [], state.fingerprints, len(state.stale)) for data, state in pairs]


def _say_what_training_takes(cache: FolderOfMasks, backend: BackendName) -> None:
    """Masks that somebody else has made come before those of the cache, and nobody looks for those of SAM 2."""
    from proto_saga_ns.labels import find_masks_of

    given = find_masks_of(data_folder(cache.data), sorted(cache.made))
    if given is not None:
        say(f"Training takes the label maps in {given}, if these are such, unless it is told: --mask-source {backend}")
    elif backend == "sam2":
        say("Training takes these if it is told: --mask-source sam2")


def _download(segmenter: Segmenter) -> None:
    """Get the weights of a model and see whether they load, once, before several workers do."""
    from proto_saga_ns.masks.segmenters import ModelSegmenter

    if isinstance(segmenter, ModelSegmenter):
        segmenter.load()


def _report(data: Path, images: Sequence[Path], masks: Path) -> None:
    from proto_saga_ns.labels.overview import write_report
    from proto_saga_ns.masks.cache import writable_root

    # Beside masks/, where only label maps belong.
    html = writable_root(data_folder(data)).parent / f"report-{masks.resolve().name}.html"
    title = f"Masks of {data.resolve().name} ({masks.name})"
    write_report(images, masks, html, title, lambda paths: progress_bar(paths, len(paths), "Report"))
    say(f"Report: {html} and {html.with_suffix('.png').name}")


def progress_bar(items: Iterable[T], total: int, what: str) -> Iterable[T]:
    """A progress bar with the time that is left; silent when there is nothing to do."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    if total == 0:
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TextColumn("left"), TimeRemainingColumn()) as progress:
        yield from progress.track(items, total=total, description=what)
