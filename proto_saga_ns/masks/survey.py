"""The state of a mask cache against the images of a data folder; writes nothing."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.labels.folder import check_size, mask_files
from proto_saga_ns.labels.images import data_folder
from proto_saga_ns.labels.label_map import is_whole, read_label_map
from proto_saga_ns.labels.view_names import files_by_name, view_name
from proto_saga_ns.masks.cache import (
    MaskJob,
    cache_folder,
    cache_roots,
    fingerprints_of,
    is_current,
    mask_jobs,
    update_manifest,
    writable_folder,
)
from proto_saga_ns.masks.workers import Finished

if TYPE_CHECKING:
    from proto_saga_ns.masks.segmenters.base import Segmenter


_NAMED = 3


@dataclass(frozen=True)
class CacheState:
    """What a cache folder has for the images of a data folder."""

    folder: Path
    fingerprints: dict[Path, str]
    """of all images as they are now"""
    missing: list[Path] = field(default_factory=list)
    """images without a label map: never made, or added since"""
    outdated: list[Path] = field(default_factory=list)
    """images that changed since their label map was made"""
    damaged: list[Path] = field(default_factory=list)
    """images whose label map cannot be read or has another size than they"""
    stale: list[Path] = field(default_factory=list)
    """label maps whose image is gone; harmless"""

    @property
    def todo(self) -> list[Path]:
        """Images whose label map is to be made, in file-name order."""
        return sorted({*self.missing, *self.outdated, *self.damaged})

    def complaint(self) -> str | None:
        """What is wrong, as part of a sentence; None if every image has its label map."""
        kinds = {
            "without a label map": self.missing,
            "changed since their label map was made": self.outdated,
            "with a damaged label map": self.damaged,
        }
        parts = [f"{len(paths)} {what} ({_names(paths)})" for what, paths in kinds.items() if paths]
        return f"of {len(self.fingerprints)} images {', '.join(parts)}" if parts else None


def survey(image_paths: Sequence[Path], segmenter: Segmenter, data_dir: Path, folder: Path | None = None) -> CacheState:
    """Compare a cache with the images: hashes every image, decodes every label map that seems good.

    Args:
        folder: the cache folder; None takes the one that is most complete of those that may be used.

    Raises:
        ProtoSagaError: an image cannot be read.
    """
    fingerprints = fingerprints_of(image_paths)
    folders = [folder] if folder is not None else [cache_folder(root, segmenter) for root in cache_roots(data_dir)]
    states = [_state(candidate, fingerprints) for candidate in folders]
    return min(states, key=lambda state: len(state.todo))


def _state(folder: Path, fingerprints: dict[Path, str]) -> CacheState:
    state = CacheState(folder, fingerprints)
    for path, fingerprint in fingerprints.items():
        label_map = folder / f"{view_name(path)}.png"
        if not label_map.is_file():
            state.missing.append(path)
        elif not is_whole(label_map):
            state.damaged.append(path)
        elif not is_current(label_map, fingerprint):
            state.outdated.append(path)
        elif not _is_sound(label_map, path):
            state.damaged.append(path)
    names = {view_name(path) for path in fingerprints}
    state.stale.extend(path for name, path in files_by_name(folder, mask_files(folder)).items() if name not in names)
    return state


def _is_sound(label_map: Path, image: Path) -> bool:
    try:
        height, width = read_label_map(label_map).shape
        check_size(label_map, (width, height), image)
    except ProtoSagaError:
        return False
    return True


def _names(paths: Sequence[Path]) -> str:
    return ", ".join(path.name for path in paths[:_NAMED]) + (", ..." if len(paths) > _NAMED else "")


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
