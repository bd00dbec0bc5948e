"""Options for segmenting splats that proto-saga has not trained."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

FrameChoice = Literal["auto", "world", "training"]
Axis = Literal["auto", "+x", "-x", "+y", "-y", "+z", "-z"]


@dataclass(frozen=True)
class NewRunOptions:
    """Where a plain splat becomes a run of proto-saga. The splat itself stays as it is."""

    output_dir: Path = Path("outputs")
    """folder of runs, as ns-train's"""
    experiment_name: str | None = None
    """folder in it; None takes the name of the splatfacto run, or of the folder of the data"""
    timestamp: str | None = None
    """name of the run; None takes date and time"""


@dataclass(frozen=True)
class SplatFileOptions:
    """What the file of a splat does not say, or not always."""

    frame: FrameChoice = "auto"
    """coordinates of the file. world: those of the input data, such as COLMAP's; gsplat, Inria's code and proto-saga
    export write them. training: those that nerfstudio makes of them by centring, turning and scaling; ns-export writes
    them, and the data parser must be set as it was in training. auto: tries both, and takes what looks more like
    the images"""
    rasterize_mode: Literal["auto", "classic", "antialiased"] = "auto"
    """antialiased: the splat was trained with splatfacto's mode of this name, or with mip-splatting. auto: it was if
    the file says so, as those of Brush, Postshot, mip-splatting and splat-transform do"""
    background_color: Literal["random", "black", "white"] = "black"
    """behind the splat; random is the grey of ns-viewer"""
    spz_axes: Literal["auto", "ply", "y-up"] = "auto"
    """of an SPZ, which is written in two ways. ply: with the numbers of the PLY that it was made of; splat-transform,
    gsply and Niantic's ply_to_spz write it so. y-up: turned by half a turn about x, as the format's documentation
    says. auto: as the file says; of one that says nothing both are tried"""


@dataclass(frozen=True)
class ViewOptions:
    """Views of a splat that has no photos (no --data): from its cameras.json, or planned."""

    num_views: int = 60
    """how many; of more cameras in a cameras.json so many are taken"""
    view_width: int = 512
    """of planned views, pixels; the longest side of those of a cameras.json"""
    view_height: int = 384
    """of planned views, pixels"""
    field_of_view: float = 70.0
    """of planned views, horizontally, degrees"""
    up: Axis = "auto"
    """which way is up in the splat, for planned views; auto looks for the floor"""
    cameras: Path | None = None
    """cameras.json of 3D Gaussian Splatting with the views that the splat was trained on; by default one that lies
    beside the splat is taken"""
    view_seed: int = 0
    """of planned views"""
