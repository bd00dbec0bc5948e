"""Where is looked from: nerfstudio's cameras along a path."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from nerfstudio.cameras.camera_utils import get_ordered_poses_and_k
from nerfstudio.cameras.cameras import Cameras

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.export.videos.interpolation import smooth_path
from proto_saga_ns.export.videos.turntable import (
    PinholeLens,
    ends_of_gaussians,
    framing_distance,
    middle,
    object_core,
    orbit_poses,
    orbit_rotations,
)
from proto_saga_ns.labels.view_names import view_name
from proto_saga_ns.plugin.render_requests import read_camera_path
from proto_saga_ns.plugin.run import Run, Split
from proto_saga_ns.rasterize.reference import quaternion_rotation

PathKind = Literal["views", "interpolate", "turntable", "file"]
FPS = 24.0
VIEWS_FPS = 4.0
"""Of separate views, to be looked at one by one."""


@dataclass(frozen=True)
class CameraPath:
    """Cameras in the order in which their pictures are shown.

    Attributes:
        cameras: one each; all have the same size.
        names: of their pictures.
        fps: pictures per second unless told otherwise.
    """

    cameras: tuple[Cameras, ...]
    names: tuple[str, ...]
    fps: float

    @classmethod
    def numbered(cls, cameras: Cameras, fps: float) -> CameraPath:
        """Of cameras without names: 00000 and so on."""
        single = tuple(cameras[index : index + 1] for index in range(len(cameras)))
        return cls(single, tuple(f"{index:05d}" for index in range(len(single))), fps)


@dataclass(frozen=True)
class PictureSize:
    """Asked-for size of the pictures, in pixels; what is None follows from the rest and the cameras' own size."""

    width: int | None = None
    height: int | None = None
    scale: float = 1.0

    def of(self, width: int, height: int) -> tuple[int, int]:
        """(width, height) of pictures by cameras whose own size is this; the proportions stay unless both are given."""
        if self.width is None and self.height is None:
            wanted = (width, height)
        elif self.height is None:
            wanted = (self.width or 0, height * (self.width or 0) / width)
        else:
            wanted = (self.width or width * self.height / height, self.height)
        return max(round(wanted[0] * self.scale), 1), max(round(wanted[1] * self.scale), 1)


@dataclass(frozen=True)
class Turntable:
    """How the circle around an object is made.

    Attributes:
        elevation: degrees above the horizon.
        fov: degrees from the upper to the lower border.
        distance: from the centre, in scene units; as far as framing needs if None.
    """

    elevation: float = 20.0
    fov: float = 40.0
    distance: float | None = None


@dataclass(frozen=True)
class PathOptions:
    """Which path, and how it is made.

    Attributes:
        kind: views: at every view of the split; interpolate: on a smooth path through them; turntable: on a circle
            around some instances or the scene; file: one that was exported in ns-viewer.
        split: for views and interpolate.
        order_poses: for interpolate: go from each view to the nearest one that is left.
        turntable: for turntable.
        file: for file.
        seconds: length of interpolate and turntable.
        fps: pictures per second; None: what is usual for the kind of path.
        size: of the pictures.
    """

    kind: PathKind
    split: Split
    order_poses: bool
    turntable: Turntable
    file: Path | None
    seconds: float
    fps: float | None
    size: PictureSize


def camera_path(run: Run, instances: Sequence[int], options: PathOptions) -> CameraPath:
    """The path that is wanted; ``instances`` are what a turntable goes around.

    Raises:
        ProtoSagaError: nothing can be circled, or the file is bad.
    """
    count = max(round(options.seconds * (options.fps or FPS)), 1)
    if options.kind == "views":
        return views_path(run, options.split, options.size)
    if options.kind == "interpolate":
        return interpolated_path(run, options.split, options.size, count, options.order_poses)
    if options.kind == "turntable":
        return turntable_path(run, instances, options.size, count, options.turntable)
    assert options.file is not None
    return path_from_file(options.file, options.size)


def views_path(run: Run, split: Split, size: PictureSize) -> CameraPath:
    """The views of a split, named after their images; all in the size of the first."""
    views = [(view_name(path), camera) for path, camera, _ in run.cameras(split)]
    width, height = size.of(int(views[0][1].width.item()), int(views[0][1].height.item()))
    cameras = tuple(resized(camera, width, height) for _, camera in views)
    return CameraPath(cameras, tuple(name.replace("/", "_") for name, _ in views), VIEWS_FPS)


def interpolated_path(run: Run, split: Split, size: PictureSize, count: int, order_poses: bool) -> CameraPath:
    """A smooth path of ``count`` poses through the views of a split, through the lens of the first.

    Args:
        order_poses: go from each view to the nearest one that is left, not in the order of the file names.
    """
    views = [camera for _, camera, _ in run.cameras(split)]
    first, poses = views[0], torch.cat([camera.camera_to_worlds for camera in views])
    if order_poses:
        poses, _ = get_ordered_poses_and_k(poses, torch.cat([camera.get_intrinsics_matrices() for camera in views]))
    path = smooth_path(poses.double().cpu().numpy(), count)
    size_of_first = int(first.width.item()), int(first.height.item())
    lens = (float(first.fx.item()), float(first.fy.item()), float(first.cx.item()), float(first.cy.item()))
    cameras = _cameras(path, lens, size_of_first)
    return CameraPath.numbered(resized(cameras, *size.of(*size_of_first)), FPS)


def turntable_path(run: Run, instances: Sequence[int], size: PictureSize, count: int, around: Turntable) -> CameraPath:
    """A circle around some instances together, or around the whole scene, in the size of the training views.

    Raises:
        ProtoSagaError: no Gaussian belongs to these instances.
    """
    means, half_axes, weights = _gaussians_of(run, instances)
    core = object_core(means, weights)
    points = ends_of_gaussians(means[core], half_axes[core])
    own = run.pipeline.datamanager.train_dataset.cameras[0]
    width, height = size.of(int(own.width.item()), int(own.height.item()))
    lens = PinholeLens.from_fov(width, height, around.fov)
    rotations, center = orbit_rotations(count, around.elevation), middle(points)
    distance = around.distance or framing_distance(points, center, rotations, lens)
    poses = orbit_poses(rotations, center, distance)
    cameras = _cameras(poses, (lens.focal, lens.focal, width / 2, height / 2), (width, height))
    return CameraPath.numbered(cameras, FPS)


def _gaussians_of(
    run: Run, instances: Sequence[int]
) -> tuple[Float[np.ndarray, "N 3"], Float[np.ndarray, "N 3 3"], Float[np.ndarray, " N"]]:
    """Of the Gaussians of some instances (none: of all): centres, axes (in rows, as long as a standard deviation), and
    how much each matters: opacity times confidence.

    Not by size: the largest Gaussians are the ones that belong to nothing in particular.
    """
    model = run.model
    found = run.scene.instances_of(model.embeddings)
    everything = torch.ones(len(found.ids))
    chosen = torch.isin(found.seen_ids, torch.tensor(instances)) if instances else everything.bool()
    if not bool(chosen.any()):
        names = ", ".join(map(str, instances))
        raise ProtoSagaError(
            f"The training views see no Gaussian of instance {names}, so nothing can be circled. Give other ids: "
            "`proto-saga info` lists them."
        )
    confidence = found.confidence[chosen] if instances else everything
    geometry = model.gaussians(chosen.to(model.device)).geometry
    half_axes = quaternion_rotation(geometry.quats).mT * geometry.scales[:, :, None]
    weights = geometry.opacities.cpu() * confidence
    means, axes, weights = (tensor.detach().cpu().double().numpy() for tensor in (geometry.means, half_axes, weights))
    return means, axes, weights


def path_from_file(path: Path, size: PictureSize) -> CameraPath:
    """A camera path that nerfstudio's viewer exported; its time is that of the file.

    Raises:
        ProtoSagaError: the file is missing, is no camera path, or is not of perspective cameras.
    """
    found = read_camera_path(path)
    seconds = found.seconds or len(found.cameras) / FPS
    return CameraPath.numbered(resized(found.cameras, *size.of(*found.size)), len(found.cameras) / seconds)


def resized(cameras: Cameras, width: int, height: int) -> Cameras:
    """The same cameras with pictures of another size; they show as much from top to bottom as before."""
    factor = height / cameras.height
    return Cameras(
        camera_to_worlds=cameras.camera_to_worlds,
        fx=cameras.fx * factor,
        fy=cameras.fy * factor,
        cx=cameras.cx * factor + (width - cameras.width * factor) / 2,
        cy=cameras.cy * factor,
        width=width,
        height=height,
    )


def _cameras(
    poses: Float[np.ndarray, "N 3 4"], lens: tuple[float, float, float, float], size: tuple[int, int]
) -> Cameras:
    """Pinhole cameras of one lens (fx, fy, cx, cy) and one (width, height)."""
    fx, fy, cx, cy = lens
    return Cameras(torch.from_numpy(poses).float(), fx=fx, fy=fy, cx=cx, cy=cy, width=size[0], height=size[1])
