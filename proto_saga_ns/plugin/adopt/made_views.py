"""Pictures of a splat that came without photos, as a data set in nerfstudio's format: what masks are made of."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.export.videos.pictures import to_uint8
from proto_saga_ns.export.videos.turntable import PinholeLens
from proto_saga_ns.files import atomic_file, write_json
from proto_saga_ns.kernels.device import network_device
from proto_saga_ns.plugin.adopt.options import ViewOptions
from proto_saga_ns.plugin.model.render import CameraView, Gaussians, render
from proto_saga_ns.progress import Progress, unseen
from proto_saga_ns.rasterize.geometry import Geometry
from proto_saga_ns.splats.splat import Splat
from proto_saga_ns.viewpoints.cameras_json import Photographed, find_cameras, read_cameras
from proto_saga_ns.viewpoints.plan import Plan, handy_scale, plan_views, scaled, viewmat_of
from proto_saga_ns.viewpoints.scan import Solid, box, scan

POSES = "transforms.json"
SHEET = "views.png"
SHEET_COLUMNS = 6
SHEET_WIDTH = 240
"""Of each picture, pixels."""
BACKGROUNDS = {"black": (0.0, 0.0, 0.0), "white": (1.0, 1.0, 1.0), "random": (0.1490, 0.1647, 0.2157)}
"""As splatfacto's model shows them; random is its colour when it does not train."""
OPENGL = np.diag([1.0, -1.0, -1.0, 1.0])
"""From OpenCV's axes of a camera to nerfstudio's."""


@dataclass(frozen=True)
class MadeViews:
    """A data set that was rendered.

    Attributes:
        folder: with transforms.json, images/ and a sheet of them all.
        note: where the views come from, for people.
    """

    folder: Path
    note: str


def make_views(
    source: Path,
    splat: Splat,
    antialiased: bool,
    background: Literal["random", "black", "white"],
    options: ViewOptions,
    above: Path,
    progress: Progress = unseen,
) -> MadeViews:
    """Render views of a splat. What was made before of the same splat with the same options is taken again.

    Args:
        source: file of the splat.
        splat: its Gaussians.
        antialiased: how they are drawn.
        background: behind them; random is the grey of ns-viewer.
        options: which views.
        above: folder in which that of the views lies.
        progress: of candidates and of pictures.

    Raises:
        ProtoSagaError: options that mean nothing, a cameras.json that is none, a splat of which no view shows
            anything, or a folder that cannot be written.
    """
    _check(options)
    cameras = options.cameras or find_cameras(source)
    made_of = {"splat": _digest(splat), "antialiased": antialiased, "background": background, **asdict(options)}
    made_of["cameras"] = None if cameras is None else hashlib.sha256(_read(cameras)).hexdigest()
    folder = above / f"views-{hashlib.sha256(json.dumps(made_of).encode()).hexdigest()[:8]}"
    known = _known(folder, made_of)
    if known is not None:
        return MadeViews(folder, known)
    solid, gaussians = Solid.of(splat), _gaussians(splat, antialiased)
    views, note = _photographed(cameras, options) if cameras else _planned(solid, gaussians.geometry, options, progress)
    scale = handy_scale(float(np.linalg.norm(np.subtract(*box(solid)))))
    gaussians = replace(gaussians, geometry=scaled(gaussians.geometry, scale))
    color = torch.tensor(BACKGROUNDS[background])
    pictures = []
    for index, view in enumerate(progress(views, "Rendering views", len(views))):
        pictures.append(_render(gaussians, view, scale, splat.degree, color))
        _write_png(folder / _image(index), pictures[-1])
    _write_png(folder / SHEET, _sheet(pictures))
    frames = [_frame(index, view) for index, view in enumerate(views)]
    write_json(folder / POSES, {"made_of": made_of, "note": note, "camera_model": "OPENCV", "frames": frames})
    return MadeViews(folder, note)


def _check(options: ViewOptions) -> None:
    width, height, degrees = options.view_width, options.view_height, options.field_of_view
    if options.num_views < 2 or min(width, height) < 16 or not 10 <= degrees <= 150:
        raise ProtoSagaError(
            f"{options.num_views} views of {width}x{height} pixels and {degrees:g} degrees: expected two or more "
            "(--num-views), 16 pixels or more (--view-width, --view-height), and 10 to 150 degrees (--field-of-view)."
        )


def _known(folder: Path, made_of: dict[str, Any]) -> str | None:
    """The note of views that are all there; poses are written last."""
    try:
        found = json.loads((folder / POSES).read_text(encoding="utf-8"))
        whole = found["made_of"] == json.loads(json.dumps(made_of, default=str))
        whole = whole and all((folder / frame["file_path"]).is_file() for frame in found["frames"])
        return str(found["note"]) if whole else None
    except (OSError, ValueError, LookupError, TypeError):
        return None


def _photographed(cameras: Path, options: ViewOptions) -> tuple[list[Photographed], str]:
    found = read_cameras(cameras, options.num_views)
    longest = max(options.view_width, options.view_height)
    return [view.no_larger_than(longest) for view in found], f"{len(found)} views of {cameras}"


def _planned(
    solid: Solid, geometry: Geometry, options: ViewOptions, progress: Progress
) -> tuple[list[Photographed], str]:
    up = None if options.up == "auto" else _axis(options.up)
    lens = PinholeLens.from_horizontal_fov(options.view_width, options.view_height, options.field_of_view)
    scanned = scan(solid, up)
    plan = plan_views(geometry, scanned, lens, options.num_views, options.view_seed, progress)
    focal = (lens.focal, lens.focal)
    views = [Photographed(pose, lens.width, lens.height, focal) for pose in plan.poses]
    return views, _note(plan, scanned.up)


def _note(plan: Plan, up: Float[np.ndarray, " 3"]) -> str:
    where = "from within" if plan.inside else "from around"
    direction = ", ".join(f"{value:.2f}" for value in up)
    return (
        f"{len(plan.poses)} views planned {where} the scene, up is ({direction}); {plan.well_seen:.0%} of what can be "
        "seen is in three of them or more"
    )


def _axis(name: str) -> Float[np.ndarray, " 3"]:
    return np.eye(3)["xyz".index(name[1])] * (1.0 if name[0] == "+" else -1.0)


def _gaussians(splat: Splat, antialiased: bool) -> Gaussians:
    parameters = {**splat.to_parameters(), "embeddings": splat.means.new_zeros(len(splat), 0)}
    device = network_device()
    on_device = {name: value.to(device) for name, value in parameters.items()}
    return Gaussians.from_parameters(on_device, antialiased=antialiased)


@torch.no_grad()
def _render(
    gaussians: Gaussians, view: Photographed, scale: float, sh_degree: int, background: Float[Tensor, " 3"]
) -> UInt8[np.ndarray, "H W 3"]:
    K = torch.eye(3)
    K[0, 0], K[1, 1], K[0, 2], K[1, 2] = *view.focal, view.width / 2, view.height / 2
    device = gaussians.geometry.means.device
    seen = CameraView(viewmat_of(view.pose, scale)[None].to(device), K[None].to(device), view.width, view.height)
    rendered, _ = render(gaussians, seen, sh_degree=sh_degree or None, with_depth=False)
    return to_uint8(rendered.over(background.to(device)).cpu().numpy())


def _sheet(pictures: Sequence[UInt8[np.ndarray, "_ _ 3"]]) -> UInt8[np.ndarray, "H W 3"]:
    """All of them, small, in rows."""
    height = max(round(SHEET_WIDTH * picture.shape[0] / picture.shape[1]) for picture in pictures)
    rows = math.ceil(len(pictures) / SHEET_COLUMNS)
    sheet = np.full((rows * height, SHEET_COLUMNS * SHEET_WIDTH, 3), 255, dtype=np.uint8)
    for index, picture in enumerate(pictures):
        small = np.asarray(
            Image.fromarray(picture).resize((SHEET_WIDTH, round(SHEET_WIDTH * picture.shape[0] / picture.shape[1])))
        )
        top, left = index // SHEET_COLUMNS * height, index % SHEET_COLUMNS * SHEET_WIDTH
        sheet[top : top + small.shape[0], left : left + SHEET_WIDTH] = small
    return sheet


def _image(index: int) -> str:
    return f"images/view_{index:04d}.png"


def _frame(index: int, view: Photographed) -> dict[str, Any]:
    lens = {"fl_x": view.focal[0], "fl_y": view.focal[1], "cx": view.width / 2, "cy": view.height / 2}
    pose = (view.pose @ OPENGL).tolist()
    return {"file_path": _image(index), "w": view.width, "h": view.height, **lens, "transform_matrix": pose}


def _write_png(path: Path, picture: UInt8[np.ndarray, "H W 3"]) -> None:
    with atomic_file(path) as file:
        Image.fromarray(picture).save(file, format="PNG", compress_level=3)


def _digest(splat: Splat) -> str:
    """Of what is drawn."""
    content = hashlib.sha256()
    for tensor in (splat.means, splat.quats, splat.log_scales, splat.opacity_logits, splat.harmonics):
        content.update(np.ascontiguousarray(tensor.numpy()).tobytes())
    return content.hexdigest()


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise ProtoSagaError(f"Cannot read {file}: {error.strerror or error}. Give another --cameras.") from error
