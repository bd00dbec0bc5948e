"""``proto-saga track``: a folder of frames or a video to consistent label maps."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.masks.segmenters.backends import AllSettings
from proto_saga_ns.mastsam.frames import FrameSelection
from proto_saga_ns.mastsam.settings import MastsamSettings
from proto_saga_ns.plugin.data.mask_options import MaskOptions

if TYPE_CHECKING:
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
        matcher, reason = self.mastsam.make_matcher()
        selection = self._selection()
        if not self.source.exists():
            raise ProtoSagaError(f"{self.source} does not exist. Give {_IMAGES}.")

        from proto_saga_ns.cli.work.track import Source, track_masks

        backends = {name: getattr(self.settings, name) for name in ("sam", "sam2", "superpixel")}
        masks = MaskOptions(self.masks, self.mask_dir, **backends, mastsam=self.mastsam)
        source = Source(self.source, selection, self.depth_unit_scale_factor)
        track_masks(source, masks, matcher, reason, self.output_dir, self.ground_truth)

    def _selection(self) -> FrameSelection:
        try:
            return FrameSelection(self.every, self.max_frames)
        except ValueError as error:
            raise ProtoSagaError(f"--every is {self.every}, --max-frames {self.max_frames}: {error}.") from error
