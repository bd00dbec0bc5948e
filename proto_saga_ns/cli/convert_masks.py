"""``proto-saga convert-masks``: masks from and to the formats of other programs."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
import tyro

from proto_saga_ns.cli.masks import progress_bar
from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.labels.flatten import FlattenOptions, flatten_masks
from proto_saga_ns.labels.formats import FORMATS
from proto_saga_ns.labels.formats.base import Views
from proto_saga_ns.labels.images import data_folder, find_images

if TYPE_CHECKING:
    FormatName = str
else:
    FormatName = Literal[tuple(FORMATS)]

_NATIVE = "label-maps"


@dataclass
class ConvertMasks:
    """Convert the masks of a data folder from or to the format of another program.

    label-maps (one 16-bit PNG an image), gaga, gaussian-grouping, omniseg3d (its patches; omniseg3d-objects joins
    them), sam-json and sam-pngs (SAM's automatic masks), tiff, npy (NPZ too), coco-instances, coco-panoptic.

        proto-saga convert-masks DIR --from sam-json MASKS     into DIR/masks, where training finds them
        proto-saga convert-masks DIR --to coco-instances OUT   from DIR/masks, or else from the mask cache
    """

    data: tyro.conf.Positional[Path]
    """folder of posed images (with transforms.json or images/)"""
    source: Annotated[tuple[FormatName, Path] | None, tyro.conf.arg(name="from", metavar="FORMAT PATH")] = None
    """format and place of the masks; by default the mask folder beside the images, or else the mask cache"""
    target: Annotated[tuple[FormatName, Path] | None, tyro.conf.arg(name="to", metavar="FORMAT PATH")] = None
    """format and place to write to; by default label-maps into DIR/masks"""
    force: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """write into a place that holds something already; files of the same name are replaced"""

    flatten: FlattenOptions = field(default_factory=FlattenOptions)
    """how masks that overlap (sam-json, coco-instances) become one label map"""

    def run(self) -> None:
        from rich.console import Console

        if self.source is None and self.target is None:
            raise ProtoSagaError("Give --from FORMAT PATH, --to FORMAT PATH, or both; formats: " + ", ".join(FORMATS))
        images = find_images(self.data)
        folder = data_folder(self.data)
        source, read_from = self.source or (_NATIVE, _masks_of(folder, images))
        target, write_to = self.target or (_NATIVE, folder / "masks")
        self._check_target(read_from, write_to)
        counts: list[int] = []
        flatten = partial(flatten_masks, options=self.flatten)

        def views() -> Views:
            read = FORMATS[source].read(read_from, images, flatten)
            for image, labels in check_some_masks(read, read_from):
                yield image, labels
                counts.append(int(labels.max(initial=0)))

        FORMATS[target].write(write_to, iter(progress_bar(views(), len(images), "Converting masks")))
        missing, empty = len(images) - len(counts), counts.count(0)
        notes = (f"; {missing} images have no masks" if missing else "") + (f"; {empty} are empty" if empty else "")
        Console(soft_wrap=True).print(
            f"{len(counts)} views as {target} in {write_to}{notes}", highlight=False, markup=False
        )

    def _check_target(self, read_from: Path, write_to: Path) -> None:
        if read_from.resolve() == write_to.resolve():
            raise ProtoSagaError(f"Masks are read from {read_from} and would be written there too. Give another --to.")
        holds_files = write_to.is_file() or (write_to.is_dir() and any(write_to.iterdir()))
        if holds_files and not self.force:
            raise ProtoSagaError(
                f"{write_to} holds files already. Give another place with --to FORMAT PATH, or --force to replace "
                "files of the same name there."
            )


def check_some_masks(views: Views, source: Path) -> Views:
    """The same views; before the first is given out, it is known that one of them has a mask.

    Raises:
        ProtoSagaError: none has.
    """
    empty: list[tuple[Path, tuple[int, ...]]] = []
    for image, labels in views:
        if labels.any():
            yield from ((earlier, np.zeros(shape, np.int32)) for earlier, shape in empty)
            yield image, labels
            yield from views
            return
        empty.append((image, labels.shape))
    raise ProtoSagaError(
        f"{source} has no mask of any of the {len(empty)} images that it knows; nothing was written. Expected pixels, "
        "run lengths or polygons that have an area; boxes or categories alone are no masks."
    )


def _masks_of(folder: Path, images: list[Path]) -> Path:
    """The folder of label maps that training would take, or the one mask cache that there is."""
    from proto_saga_ns.labels import find_masks_of
    from proto_saga_ns.masks.cache import MANIFEST, cache_roots

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
