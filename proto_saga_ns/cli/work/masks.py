"""The mask cache of data folders: made, verified, and reported on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from proto_saga_ns.cli.work.printing import say
from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.labels import check_label_maps, find_masks_of, index_masks, named_mask_folder
from proto_saga_ns.labels.images import data_folder, find_images
from proto_saga_ns.labels.overview import write_report
from proto_saga_ns.masks.cache import writable_root
from proto_saga_ns.masks.ray_workers import RayOptions, make_masks_with_ray
from proto_saga_ns.masks.segmenters import ModelSegmenter
from proto_saga_ns.masks.survey import FolderOfMasks, collect, look_at, survey
from proto_saga_ns.masks.workers import make_masks
from proto_saga_ns.progress import progress_bar

if TYPE_CHECKING:
    from proto_saga_ns.masks.cache import MaskJob
    from proto_saga_ns.masks.segmenters import Segmenter
    from proto_saga_ns.masks.segmenters.backends import SegmenterFactory
    from proto_saga_ns.masks.workers import Finished


@dataclass(frozen=True)
class Workers:
    """What makes masks.

    Attributes:
        count: processes side by side.
        ray: how Ray runs them; None: on this machine.
    """

    count: int
    ray: RayOptions | None

    def run(self, jobs: Sequence[MaskJob], factory: SegmenterFactory, force: bool) -> Iterator[Finished]:
        """Do the jobs; with ``force`` also those that are done already."""
        if self.ray is not None:
            return make_masks_with_ray(jobs, factory, self.count, self.ray, force=force)
        return make_masks(jobs, factory, self.count, force=force)


def make_all_masks(
    folders: Sequence[Path], factory: SegmenterFactory, workers: Workers, *, force: bool, overlapping: bool
) -> list[FolderOfMasks]:
    """All folders are looked at before the first is worked on, and what fails stops nothing else.

    Args:
        force: make all masks anew.
        overlapping: also keep the masks as they were before they were flattened.

    Raises:
        ProtoSagaError: some masks could not be made.
    """
    images = [find_images(data) for data in folders]
    caches = [
        look_at(data, paths, factory(), force=force, overlapping=overlapping)
        for data, paths in zip(folders, images, strict=True)
    ]
    jobs = [job for cache in caches for job in cache.jobs]
    if jobs:
        _download(factory())
    what = f"Masks of {folders[0]}" if len(folders) == 1 else f"Masks of {len(folders)} folders"
    collect(caches, progress_bar(workers.run(jobs, factory, force), what, len(jobs)), factory())
    errors = [error for cache in caches for error in cache.errors]
    if errors:
        total = sum(map(len, images))
        raise ProtoSagaError(f"{len(errors)} of {total} masks could not be made, the others are. {errors[0]}")
    return caches


def _download(segmenter: Segmenter) -> None:
    """Get the weights of a model and see whether they load, once, before several workers do."""
    if isinstance(segmenter, ModelSegmenter):
        segmenter.load()


def verified_masks(folders: Sequence[Path], factory: SegmenterFactory) -> list[FolderOfMasks]:
    """The caches of folders, without making anything.

    Raises:
        ProtoSagaError: one is not complete and up to date.
    """
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


def say_what_is_there(cache: FolderOfMasks, backend: str, report: bool) -> None:
    """Say it of masks that are up to date, and write a report if that is asked for."""
    gone = f" ({cache.num_stale} more are of images that are gone)" if cache.num_stale else ""
    say(f"{len(cache.made)} label maps, up to date, in {cache.folder}{gone}")
    _say_what_training_takes(cache, backend)
    if report:
        _report(cache.data, sorted(cache.made), cache.folder)


def _say_what_training_takes(cache: FolderOfMasks, backend: str) -> None:
    """Masks that somebody else has made come before those of the cache, and nobody looks for those of SAM 2."""
    given = find_masks_of(data_folder(cache.data), sorted(cache.made))
    if given is not None:
        say(f"Training takes the label maps in {given}, if these are such, unless it is told: --mask-source {backend}")
    elif backend == "sam2":
        say("Training takes these if it is told: --mask-source sam2")


def check_given_masks(data: Path, mask_dir: Path, report: bool) -> None:
    """Check, and if so asked report, a folder of label maps that need not be ours.

    Args:
        mask_dir: looked for from the current folder, then from the data.
    """
    masks, images = named_mask_folder(mask_dir, data_folder(data)), find_images(data)
    found = index_masks(masks, images)
    say(f"{masks}: {check_label_maps(found, images).summary()}; {found.count(None)} images without one")
    if report:
        _report(data, images, masks)


def _report(data: Path, images: Sequence[Path], masks: Path) -> None:
    # Beside masks/, where only label maps belong.
    html = writable_root(data_folder(data)).parent / f"report-{masks.resolve().name}.html"
    title = f"Masks of {data.resolve().name} ({masks.name})"
    write_report(images, masks, html, title, progress_bar)
    say(f"Report: {html} and {html.with_suffix('.png').name}")
