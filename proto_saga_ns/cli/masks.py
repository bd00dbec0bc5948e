"""``proto-saga masks``: make, verify or remake the mask cache, and report on it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.masks.ray_workers import RayOptions
from proto_saga_ns.masks.segmenters.backends import BACKENDS, DEFAULT_BACKEND, AllSettings, SegmenterFactory
from proto_saga_ns.masks.segmenters.mask_generation import MaskGenerationSettings

if TYPE_CHECKING:
    BackendName = str
    Settings = Any
else:
    BackendName = Literal[tuple(BACKENDS)]
    # The settings of a backend are --BACKEND.OPTION, without the name of the field here before it.
    Settings = Annotated[AllSettings, tyro.conf.arg(name="")]


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

        from proto_saga_ns.cli.work import masks as work

        folders = list(dict.fromkeys(self.data))
        if self.mask_dir is not None:
            for data in folders:
                work.check_given_masks(data, self.mask_dir, self.report)
            return
        factory = SegmenterFactory(self.backend, getattr(self.settings, self.backend))
        if self.check:
            caches = work.verified_masks(folders, factory)
        else:
            workers = work.Workers(self.workers, self.ray if self.engine == "ray" else None)
            caches = work.make_all_masks(folders, factory, workers, force=self.force, overlapping=self.overlapping)
        for cache in caches:
            work.say_what_is_there(cache, self.backend, self.report)

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
