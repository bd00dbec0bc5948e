"""The mask source mastsam: masks of any other source, followed from view to view."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from nerfstudio.cameras.cameras import Cameras, CameraType
from nerfstudio.utils.rich_utils import CONSOLE
from rich.markup import escape

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.labels.folder import image_size
from proto_saga_ns.masks.cache import writable_root
from proto_saga_ns.mastsam.frames import Camera
from proto_saga_ns.mastsam.image_sequence import ImageSequence
from proto_saga_ns.mastsam.sequence import Tracking, fingerprint, write_tracks
from proto_saga_ns.plugin.console_bar import console_bar
from proto_saga_ns.plugin.data.mask_options import MaskOptions

_GL_TO_CV = np.diag([1.0, -1.0, -1.0, 1.0])


def track_views(
    images: Sequence[Path],
    masks: Sequence[Path | None],
    cameras: Sequence[Camera] | None,
    data_dir: Path,
    options: MaskOptions,
) -> Path:
    """Track the masks of the training views, and return the folder of consistent label maps.

    It lies beside the mask cache; what is known already is not computed again.

    Raises:
        ProtoSagaError: see ``Tracking``; or a matcher or segmenter cannot be had.
    """
    settings = options.mastsam
    matcher, reason = settings.make_matcher()
    if reason:
        CONSOLE.print(f"[bold yellow]{escape(reason)}")
    if cameras is None:
        _go_without_poses(settings.tracking.order, data_dir)
    folder = writable_root(data_dir) / f"mastsam-{fingerprint(asdict(settings), options.mastsam_masks)[:12]}"
    sequence = ImageSequence(images, masks, cameras)
    tracking = Tracking(sequence, matcher, settings.tracking, folder / ".tracking", settings.make_prompter(options.sam))
    tracking.run(console_bar)
    tracks = write_tracks(tracking, sequence, folder, settings.tracking.required_frames(len(images)))
    CONSOLE.log(f"MastSAM: {len(tracks)} tracks in {len(images)} views, matched by {matcher.name}")
    return folder


def _go_without_poses(order: str, data_dir: Path) -> None:
    problem = f"lenses of {data_dir} are distorted or no pinholes"
    if order == "poses":
        raise ProtoSagaError(f"MastSAM: order poses needs pinholes, but {problem}. Choose sequence or matches.")
    by_name = ", and views are taken in the order of their names" if order == "auto" else ""
    CONSOLE.print(f"[bold yellow]{escape(f'MastSAM: {problem}, so poses are not used{by_name}.')}")


def pinhole_cameras(cameras: Cameras, images: Sequence[Path]) -> list[Camera] | None:
    """Cameras of images at the size of their files; None if a lens is distorted or no pinhole."""
    is_pinhole = bool((cameras.camera_type == CameraType.PERSPECTIVE.value).all())
    if not is_pinhole or (cameras.distortion_params is not None and bool((cameras.distortion_params != 0).any())):
        return None
    return [_camera(cameras, index, path) for index, path in enumerate(images)]


def _camera(cameras: Cameras, index: int, path: Path) -> Camera:
    width, height = image_size(path)
    matrix = cameras.get_intrinsics_matrices()[index].double().numpy().copy()
    matrix[0] *= width / float(cameras.width[index])
    matrix[1] *= height / float(cameras.height[index])
    pose = np.eye(4)
    pose[:3] = cameras.camera_to_worlds[index].double().numpy()
    return Camera(matrix, np.linalg.inv(pose @ _GL_TO_CV))
