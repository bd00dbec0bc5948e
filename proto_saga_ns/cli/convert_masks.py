"""``proto-saga convert-masks``: masks from and to the formats of other programs."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.labels.flatten import FlattenOptions
from proto_saga_ns.labels.formats import FORMATS

if TYPE_CHECKING:
    FormatName = str
else:
    FormatName = Literal[tuple(FORMATS)]


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
        if self.source is None and self.target is None:
            raise ProtoSagaError("Give --from FORMAT PATH, --to FORMAT PATH, or both; formats: " + ", ".join(FORMATS))

        from proto_saga_ns.cli.work.convert_masks import convert

        convert(self.data, self.source, self.target, self.flatten, self.force)
