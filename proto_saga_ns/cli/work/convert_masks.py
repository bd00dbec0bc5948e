"""Masks from one format to another."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from proto_saga_ns.cli.work.printing import say
from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.labels import find_masks_of
from proto_saga_ns.labels.flatten import FlattenOptions, flatten_masks
from proto_saga_ns.labels.formats import FORMATS
from proto_saga_ns.labels.formats.base import Views, check_some_masks
from proto_saga_ns.labels.images import data_folder, find_images
from proto_saga_ns.masks.cache import MANIFEST, cache_roots
from proto_saga_ns.progress import progress_bar

NATIVE = "label-maps"
Masks = tuple[str, Path]
"""A format and a place."""


def convert(data: Path, source: Masks | None, target: Masks | None, flatten: FlattenOptions, force: bool) -> None:
    """Convert the masks of a data folder.

    Args:
        source: None: those that training would take, or those of the mask cache.
        target: None: where training finds them.
        flatten: how masks that overlap become one label map.
        force: write into a place that holds files.

    Raises:
        ProtoSagaError: there are no masks, or the target holds files.
    """
    images, folder = find_images(data), data_folder(data)
    read_format, read_from = source or (NATIVE, _masks_of(folder, images))
    write_format, write_to = target or (NATIVE, folder / "masks")
    _check_target(read_from, write_to, force)
    counts: list[int] = []

    def views() -> Views:
        read = FORMATS[read_format].read(read_from, images, partial(flatten_masks, options=flatten))
        for image, labels in check_some_masks(read, read_from):
            yield image, labels
            counts.append(int(labels.max(initial=0)))

    FORMATS[write_format].write(write_to, iter(progress_bar(views(), "Converting masks", len(images))))
    missing, empty = len(images) - len(counts), counts.count(0)
    notes = (f"; {missing} images have no masks" if missing else "") + (f"; {empty} are empty" if empty else "")
    say(f"{len(counts)} views as {write_format} in {write_to}{notes}")


def _check_target(read_from: Path, write_to: Path, force: bool) -> None:
    if read_from.resolve() == write_to.resolve():
        raise ProtoSagaError(f"Masks are read from {read_from} and would be written there too. Give another --to.")
    holds_files = write_to.is_file() or (write_to.is_dir() and any(write_to.iterdir()))
    if holds_files and not force:
        raise ProtoSagaError(
            f"{write_to} holds files already. Give another place with --to FORMAT PATH, or --force to replace "
            "files of the same name there."
        )


def _masks_of(folder: Path, images: list[Path]) -> Path:
    """The folder of label maps that training would take, or the one mask cache that there is."""
    if found := find_masks_of(folder, images):
        return found
    caches = [path.parent for root in cache_roots(folder) for path in sorted(root.glob(f"*/{MANIFEST}"))]
    if len(caches) == 1:
        return caches[0]
    if caches:
        raise ProtoSagaError(
            f"{folder} has several mask caches: {', '.join(map(str, caches))}. Choose one: --from label-maps PATH."
        )
    raise ProtoSagaError(
        f"{folder} has no masks to convert: neither a mask folder nor a mask cache. Make some with proto-saga masks "
        f"{folder}, or give --from FORMAT PATH."
    )
