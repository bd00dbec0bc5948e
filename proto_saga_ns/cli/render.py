"""``proto-saga render``: videos and pictures of a segmented scene, of chosen instances, along a camera path."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.export.videos.writers import check_target
from proto_saga_ns.recognition.granularity import LevelName, granularity_of

if TYPE_CHECKING:
    from proto_saga_ns.cli.work.camera_paths import PathOptions
    from proto_saga_ns.cli.work.render import Wanted


@dataclass
class Render:
    """Write a video, an animation or pictures of a segmented scene.

    What is shown, and how, is what was chosen in the viewer and saved with the scene; every option here takes the
    place of one of those choices, for this render only.
    """

    load_config: Path
    """config.yml of a training run"""
    output_path: Path
    """what to write: NAME.mp4 (H.264), NAME.webm (VP9), NAME.mov (ProRes 4444), NAME.gif, or, without a suffix, a
    folder of PNG. All but .mp4 can be transparent"""
    path: Literal["views", "interpolate", "turntable", "file"] = "interpolate"
    """where to look from: at every view of --split, on a smooth path through them, on a circle around --instances
    (without any, around the scene), or along a camera path that was exported in ns-viewer"""
    outputs: tuple[
        Literal["rgb", "segmentation", "segmentation_overlay", "object", "confidence", "embedding"], ...
    ] = ()
    """what to show, side by side; rgb and segmentation unless given, or object alone where a turntable goes around
    instances or --background is given"""
    instances: tuple[int, ...] | None = None
    """ids to highlight, and all that the output object shows (proto-saga info lists them); with no id after it, all"""
    hide: tuple[int, ...] | None = None
    """ids to take out of the scene; 0 is what belongs to no instance, and Gaussians that are hardly seen"""
    background: Literal["dimmed", "black", "white", "transparent"] | None = None
    """of the output object: the rest of the scene dimmed, or taken out before black, white or nothing"""
    outline: int | None = None
    """width in pixels of the line around highlighted instances; 0 draws none"""
    overlay_opacity: float | None = None
    """of the colours in segmentation_overlay, 0 to 1"""
    min_confidence: float | None = None
    """leave pixels unlabelled that are recognised with less, 0 to 1"""
    granularity: LevelName | float | None = None
    """what has a colour of its own: group, object, part, or a number from 0 (coarsest) to 1 (finest), of which 0.5 is
    object. Needs the strategy consensus"""
    one_file_per_instance: bool = False
    """write each of --instances (of all, if none are given) by itself, to instance_0003.mp4 and so on, in a folder
    that is called as --output-path without its suffix"""
    split: Literal["train", "test", "all"] = "test"
    """views for --path views and interpolate"""
    camera_path: Path | None = None
    """for --path file: the exported camera path (.json)"""
    order_poses: bool = False
    """for --path interpolate: go from each view to the nearest one that is left, not in the order of the file names"""
    elevation: float = 20.0
    """for --path turntable: degrees above the horizon, -90 to 90"""
    fov: float = 40.0
    """for --path turntable: degrees from the upper to the lower border of the picture"""
    distance: float | None = None
    """for --path turntable: from the centre to the camera, in scene units; unless given, what is circled fills the
    picture"""
    seconds: float = 6.0
    """length of --path interpolate and turntable"""
    fps: float | None = None
    """pictures per second; 24 unless given, 4 for --path views, and what the file says for --path file"""
    width: int | None = None
    """of each output, in pixels; as the views or the camera path unless given"""
    height: int | None = None
    """of each output, in pixels; in proportion to the width unless given"""
    scale: float = 1.0
    """makes pictures larger or smaller than the sizes above"""
    data: Path | None = None
    """where the data lies now, if it has moved since training"""

    def run(self) -> None:
        self._check_options()
        check_target(self.output_path, has_alpha=False)

        from proto_saga_ns.cli.work.render import render

        render(self.load_config, self.data, self._wanted(), self._camera_path(), self.output_path)

    def _check_options(self) -> None:
        """What can be told to be wrong without opening the run."""
        for option, value in {"fps": self.fps, "width": self.width, "height": self.height, "distance": self.distance,
                              "seconds": self.seconds, "scale": self.scale}.items():  # fmt: skip
            if value is not None and not (value > 0 and math.isfinite(value)):
                raise ProtoSagaError(f"--{option} is {value}; expected more than 0.")
        for option, value in {"overlay-opacity": self.overlay_opacity, "min-confidence": self.min_confidence}.items():
            if value is not None and not 0 <= value <= 1:
                raise ProtoSagaError(f"--{option} is {value}; expected 0 to 1.")
        if self.outline is not None and self.outline < 0:
            raise ProtoSagaError(f"--outline is {self.outline}; expected 0 or more pixels.")
        if not -90 <= self.elevation <= 90:
            raise ProtoSagaError(f"--elevation is {self.elevation}; expected -90 (from below) to 90 (from above).")
        if not 1 <= self.fov <= 150:
            raise ProtoSagaError(f"--fov is {self.fov}; expected 1 to 150 degrees.")
        if (self.path == "file") != (self.camera_path is not None):
            raise ProtoSagaError("--path file and --camera-path FILE.json go together; one of them is missing.")
        if self.background is not None and self.outputs and "object" not in self.outputs:
            raise ProtoSagaError(
                f"--background {self.background} is of the output object, which is not among --outputs "
                f"{' '.join(self.outputs)}. Add it, or leave --background out."
            )
        both = {*(self.instances or ())} & {*(self.hide or ())}
        if both:
            raise ProtoSagaError(f"Instance {min(both)} is in --instances and in --hide. Take it out of one of them.")

    def _wanted(self) -> Wanted:
        from proto_saga_ns.cli.work.render import Wanted

        looks = {name: getattr(self, name) for name in ("background", "outline", "overlay_opacity", "min_confidence")}
        return Wanted(
            outputs=self.outputs,
            instances=self.instances,
            hide=self.hide,
            looks={name: value for name, value in looks.items() if value is not None},
            granularity=None if self.granularity is None else granularity_of(self.granularity),
            one_file_per_instance=self.one_file_per_instance,
        )

    def _camera_path(self) -> PathOptions:
        from proto_saga_ns.cli.work.camera_paths import PathOptions, PictureSize, Turntable

        return PathOptions(
            kind=self.path,
            split=self.split,
            order_poses=self.order_poses,
            turntable=Turntable(self.elevation, self.fov, self.distance),
            file=self.camera_path,
            seconds=self.seconds,
            fps=self.fps,
            size=PictureSize(self.width, self.height, self.scale),
        )
