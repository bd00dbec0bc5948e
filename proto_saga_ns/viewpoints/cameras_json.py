"""The cameras.json that 3D Gaussian Splatting's own code writes beside a splat: the views that it was trained on.

A list with an entry for each photo: ``position`` and ``rotation`` are camera to world in OpenCV axes, ``fx`` and ``fy``
are in pixels of ``width`` x ``height``, and the principal point is the middle.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from proto_saga_ns.errors import ProtoSagaError

FILE = "cameras.json"


@dataclass(frozen=True)
class Photographed:
    """A view that a photo was taken from.

    Attributes:
        pose: camera to world, OpenCV axes.
        width: pixels.
        height: pixels.
        focal: along x and y, pixels.
    """

    pose: Float[np.ndarray, "4 4"]
    width: int
    height: int
    focal: tuple[float, float]

    def no_larger_than(self, pixels: int) -> Photographed:
        """The same view with a longest side of so many pixels at the most."""
        scale = min(1.0, pixels / max(self.width, self.height))
        width, height = (max(round(side * scale), 1) for side in (self.width, self.height))
        focal = (self.focal[0] * width / self.width, self.focal[1] * height / self.height)
        return Photographed(self.pose, width, height, focal)


def find_cameras(splat: Path) -> Path | None:
    """The cameras.json of a splat: beside it, or where training left it, above point_cloud/iteration_N."""
    above = [splat.parent, *(splat.parents[2:3] if splat.parent.parent.name == "point_cloud" else [])]
    return next((folder / FILE for folder in above if (folder / FILE).is_file()), None)


def read_cameras(file: Path, count: int) -> list[Photographed]:
    """The views of a cameras.json; evenly chosen ones if there are more than ``count``.

    Raises:
        ProtoSagaError: the file cannot be read, or is something else.
    """
    try:
        entries = json.loads(file.read_text(encoding="utf-8-sig"))
        views = [_view(entry) for entry in entries]
    except OSError as error:
        raise ProtoSagaError(f"Cannot read {file}: {error.strerror or error}. Give another --cameras.") from error
    except (ValueError, LookupError, TypeError) as error:
        raise ProtoSagaError(
            f"{file} is not the cameras.json of a splat ({type(error).__name__}: {error}). Expected a list of cameras "
            "with position, rotation, width, height, fx and fy, as 3D Gaussian Splatting writes it; or move it away, "
            "and views are planned."
        ) from error
    if not views:
        raise ProtoSagaError(f"{file} lists no camera. Move it away, and views are planned.")
    return [views[index] for index in np.unique(np.linspace(0, len(views) - 1, count).round().astype(int))]


def _view(entry: dict[str, Any]) -> Photographed:
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = entry["rotation"], entry["position"]
    width, height = int(entry["width"]), int(entry["height"])
    focal = (float(entry["fx"]), float(entry["fy"]))
    if min(width, height, *focal) <= 0 or not np.isfinite(pose).all() or not np.isfinite(focal).all():
        raise ValueError(f"a camera of {width}x{height} pixels with focal lengths {focal}")
    if not np.allclose(pose[:3, :3] @ pose[:3, :3].T, np.eye(3), atol=1e-2):
        raise ValueError("a rotation that is none")
    return Photographed(pose, width, height, focal)
