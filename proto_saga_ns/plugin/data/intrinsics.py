"""What a transforms.json says of the lens, made such that nerfstudio's data parser finds it for every view."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from nerfstudio.utils.rich_utils import CONSOLE
from rich.markup import escape

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.labels.folder import image_size
from proto_saga_ns.labels.images import read_pose_file, with_suffix

PINHOLE = ("w", "h", "fl_x", "fl_y", "cx", "cy")
DISTORTION = ("k1", "k2", "k3", "k4", "p1", "p2", "distortion_params")


def read_with_intrinsics(path: Path) -> dict[str, Any]:
    """A transforms.json in which no view lacks a number of its lens.

    What is missing is found as instant-ngp finds it: the size from the image, the focal lengths from camera_angle_x and
    camera_angle_y (one stands for both), the principal point in the centre. Numbers of a frame go before those of the
    file, which nerfstudio has the other way round.

    An image that is named twice is taken once: else one of the two may train and the other test.

    Raises:
        ProtoSagaError: it cannot be read, or says no focal length.
    """
    content = read_pose_file(path)
    frames = content["frames"] = _without_repeats(content["frames"], path)
    for names in (*((name,) for name in PINHOLE), DISTORTION):
        if any(name in frame for frame in frames for name in names):
            shared = {name: content.pop(name) for name in names if name in content}
            frames[:] = [{**shared, **frame} for frame in frames]
    if any(name not in content for name in PINHOLE):
        _complete(content, path)
    return content


def _without_repeats(frames: list[dict[str, Any]], path: Path) -> list[dict[str, Any]]:
    by_image: dict[str, dict[str, Any]] = {}
    for frame in frames:
        by_image.setdefault(frame["file_path"], frame)
    once = list(by_image.values())
    if len(once) < len(frames):
        CONSOLE.print(
            f"[bold yellow]{len(frames) - len(once)} frames of {escape(str(path))} name an image that another names "
            "too; the first of each counts."
        )
    return once


def _complete(content: dict[str, Any], path: Path) -> None:
    """Move the numbers of the pinhole into the frames, and find those that are missing."""
    shared = {name: content.pop(name) for name in PINHOLE if name in content}
    frames = content["frames"]
    images = [with_suffix(path.parent / frame["file_path"]) for frame in frames]
    # The size of a view whose image is gone does not matter: it is left out.
    another = next((image for image in images if image.is_file()), images[0])
    for frame, image in zip(frames, images, strict=True):
        lens = {**shared, **{name: frame[name] for name in PINHOLE if name in frame}}
        if "w" not in lens or "h" not in lens:
            lens["w"], lens["h"] = image_size(image if image.is_file() else another)
        focal = _focal_lengths(lens, {**content, **frame}, path)
        frame.update({"cx": lens["w"] / 2, "cy": lens["h"] / 2, **focal, **lens})


def _focal_lengths(lens: dict[str, Any], angles: dict[str, Any], path: Path) -> dict[str, float]:
    """fl_x and fl_y, of which a lens may have one, by the angles that it sees."""
    found = {name: float(lens[name]) for name in ("fl_x", "fl_y") if name in lens}
    for name, angle, size in (("fl_x", "camera_angle_x", lens["w"]), ("fl_y", "camera_angle_y", lens["h"])):
        if name not in found and angle in angles:
            found[name] = size / 2 / math.tan(float(angles[angle]) / 2)
    if not found:
        raise ProtoSagaError(
            f"{path} says no focal length of {angles['file_path']}: neither fl_x and fl_y, in pixels, nor "
            "camera_angle_x, in radians. Add it to the file or to its frames."
        )
    any_of = next(iter(found.values()))
    return {"fl_x": found.get("fl_x", any_of), "fl_y": found.get("fl_y", any_of)}
