"""Making the masks of several data folders from one queue: no worker waits while an image is left anywhere."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from proto_saga_ns.labels.cache import MaskJob, mask_jobs, update_manifest, writable_folder
from proto_saga_ns.labels.images import data_folder
from proto_saga_ns.labels.survey import CacheState, survey
from proto_saga_ns.labels.workers import Finished

if TYPE_CHECKING:
    from proto_saga_ns.segmenters.base import Segmenter


@dataclass
class FolderOfMasks:
    """What is there and what is to do for one data folder."""

    data: Path
    folder: Path
    """the mask cache"""
    jobs: list[MaskJob]
    made: dict[Path, str]
    """fingerprints of the images whose label map is there and up to date"""
    num_stale: int
    """label maps of images that are gone"""
    errors: list[str] = field(default_factory=list)
    """why label maps could not be made"""

    def take(self, finished: Finished) -> None:
        """Note how one of the jobs ended."""
        image = finished.job.image
        if finished.fingerprint is None:
            self.made.pop(image, None)
            self.errors.append(str(finished.error))
        else:
            self.made[image] = finished.fingerprint


def look_at(
    data: Path, images: Sequence[Path], segmenter: Segmenter, *, force: bool = False, overlapping: bool = False
) -> FolderOfMasks:
    """Compare the mask cache of a data folder with its images.

    Args:
        force: all label maps are to do, not only those that are missing or out of date.
        overlapping: overlapping masks are to be kept too.

    Raises:
        ProtoSagaError: an image cannot be read, or something is to do and nothing can be written.
    """
    state, jobs = _todo(data, images, segmenter, None, force, overlapping)
    if jobs:
        # What is complete may lie where nothing can be written.
        folder = writable_folder(segmenter, data_folder(data))
        state, jobs = _todo(data, images, segmenter, folder, force, overlapping)
    todo = set(state.todo)
    made = {path: fingerprint for path, fingerprint in state.fingerprints.items() if path not in todo}
    return FolderOfMasks(data, state.folder, jobs, made, len(state.stale))


def _todo(
    data: Path, images: Sequence[Path], segmenter: Segmenter, folder: Path | None, force: bool, overlapping: bool
) -> tuple[CacheState, list[MaskJob]]:
    state = survey(images, segmenter, data_folder(data), folder)
    todo = set(images if force else state.todo)
    jobs = mask_jobs(state.folder, images, overlapping=overlapping)
    return state, [job for job in jobs if job.image in todo or not job.has_overlapping(state.fingerprints[job.image])]


def collect(folders: Sequence[FolderOfMasks], finished: Iterable[Finished], segmenter: Segmenter) -> None:
    """Note how the jobs of the folders end, and at the end, or when something stops it, write the manifests."""
    place = {folder.folder: folder for folder in folders}
    try:
        for done in finished:
            place[done.job.target.parent].take(done)
    finally:
        for folder in folders:
            if folder.jobs or os.access(folder.folder, os.W_OK):
                update_manifest(folder.folder, segmenter, folder.made, keep_others=False)
