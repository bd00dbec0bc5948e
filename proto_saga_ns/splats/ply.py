"""Splats as PLY files, in the layout that 3D Gaussian Splatting's own code, ns-export and viewers use.

Per Gaussian, little-endian float32: x y z, nx ny nz (zero), f_dc_0..2, f_rest_* (all coefficients of red, then of
green, then of blue), opacity (logit), scale_0..2 (logarithms), rot_0..3 (w x y z). A labelled PLY adds
``instance_id`` (int32, 0 = none) and ``confidence`` (float32).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.files import atomic_file
from proto_saga_ns.recognition.gaussian_instances import GaussianInstances
from proto_saga_ns.splats.splat import MAX_DEGREE, Splat
from proto_saga_ns.splats.vertices import read_header, read_vertices

POSITION, NORMAL, CONSTANT = ("x", "y", "z"), ("nx", "ny", "nz"), ("f_dc_0", "f_dc_1", "f_dc_2")
SCALE, ROTATION = ("scale_0", "scale_1", "scale_2"), ("rot_0", "rot_1", "rot_2", "rot_3")
NEEDED = (*POSITION, *CONSTANT, "opacity", *SCALE[:2], *ROTATION)
INSTANCE, CONFIDENCE = "instance_id", "confidence"
AT_A_TIME = 1 << 16
"""Gaussians that are made ready to be written."""
FLAT = -20.0
"""Logarithm of the third scale of a disk of 2D Gaussian Splatting, whose files have two."""
FILTER = "filter_3D"
"""Width of the filter by which Mip-Splatting and Gaussian Opacity Fields show each Gaussian larger and paler."""
RENDER_MODE = "SplatRenderMode:"
"""Of the comment by which Brush, gsplat and splat-transform say how a splat is to be shown: mip or default."""
SPLAT = "a PLY of 3D Gaussian Splatting, such as the ones that proto-saga export, ns-export and SuperSplat write"


def write_ply(path: Path, splat: Splat, comments: Sequence[str] = ()) -> None:
    """Write a plain splat, atomically.

    Args:
        path: file to write.
        splat: its quaternions are written with unit length.
        comments: lines for the header, in ASCII.

    Raises:
        ProtoSagaError: the file cannot be written.
    """
    _write(path, splat, {}, comments)


def write_labelled_ply(path: Path, splat: Splat, instances: GaussianInstances, comments: Sequence[str] = ()) -> None:
    """Write a splat with the instance of each Gaussian, as ``write_ply`` does.

    Raises:
        ProtoSagaError: the file cannot be written.
        ValueError: not one instance for each Gaussian.
    """
    if len(instances.ids) != len(splat):
        raise ValueError(f"{len(instances.ids)} instances for {len(splat)} Gaussians")
    labels = {
        INSTANCE: instances.ids.cpu().numpy().astype("<i4"),
        CONFIDENCE: instances.confidence.cpu().numpy().astype("<f4"),
    }
    _write(path, splat, labels, comments)


def _columns(splat: Splat) -> dict[str, np.ndarray]:
    """Field by field, as they stand in the file."""
    # Channel by channel, as the first program of this kind wrote them and every reader expects.
    rest = splat.harmonics[:, 1:].transpose(1, 2).flatten(1)
    parts: list[tuple[Sequence[str], Tensor]] = [
        (POSITION, splat.means),
        (NORMAL, torch.zeros_like(splat.means)),
        (CONSTANT, splat.harmonics[:, 0]),
        ([f"f_rest_{index}" for index in range(rest.shape[1])], rest),
        (("opacity",), splat.opacity_logits[:, None]),
        (SCALE, splat.log_scales),
        (ROTATION, splat.unit_quats()),
    ]
    return {
        name: column for names, part in parts for name, column in zip(names, part.T.numpy().astype("<f4"), strict=True)
    }


def _write(path: Path, splat: Splat, labels: dict[str, np.ndarray], comments: Sequence[str]) -> None:
    """The splat, and further fields; some Gaussians at a time, so that no copy of all of them is made."""
    kinds = {name: "float" for name in _columns(splat.select(slice(0)))}
    kinds |= {name: "int" if column.dtype.kind == "i" else "float" for name, column in labels.items()}
    lines = ["ply", "format binary_little_endian 1.0", *(f"comment {comment}" for comment in comments)]
    lines += [f"element vertex {len(splat)}", *(f"property {kind} {name}" for name, kind in kinds.items())]
    with atomic_file(path) as file:
        file.write("\n".join([*lines, "end_header", ""]).encode("ascii"))
        for start in range(0, len(splat), AT_A_TIME):
            chosen = slice(start, start + AT_A_TIME)
            own = {name: column[chosen] for name, column in labels.items()}
            file.write(_records({**_columns(splat.select(chosen)), **own}).tobytes())


def _records(columns: dict[str, np.ndarray]) -> np.ndarray:
    records = np.empty(len(columns["x"]), [(name, column.dtype) for name, column in columns.items()])
    for name, column in columns.items():
        records[name] = column
    return records


def read_ply(path: Path) -> Splat:
    """Read a splat that any program of this kind has written; fields that it does not need are ignored.

    A splat of disks (2D Gaussian Splatting) gets a third scale; the filter of Mip-Splatting is made part of it.

    Raises:
        ProtoSagaError: the file is missing, damaged, or no splat.
    """
    return _splat(read_vertices(path, SPLAT), path)


def render_mode(antialiased: bool) -> str:
    """The comment of a PLY that says how it is to be shown."""
    return f"{RENDER_MODE} {'mip' if antialiased else 'default'}"


def says_antialiased(path: Path) -> bool | None:
    """Whether a splat in a PLY that can be read was trained to be shown with antialiasing; None if it does not say.

    By its comments, and by the fields of Mip-Splatting.
    """
    header = read_header(path)
    said = comments_say_antialiased(header.comments)
    return True if said is None and FILTER in header.fields_of("vertex") else said


def comments_say_antialiased(comments: Sequence[str]) -> bool | None:
    """The same of the comments of a PLY; the last of several counts.

    By those of Brush ("SplatRenderMode: mip"), of Postshot ("antialiased 1") and of a proposal to Inria ("train_flags
    antialiasing").
    """
    said = None
    for words in (comment.lower().split() for comment in comments):
        if len(words) == 2 and words[0] in (RENDER_MODE.lower(), "antialiased"):
            said = words[1] in ("mip", "1")
        elif words[:1] == ["train_flags"] and "antialiasing" in words:
            said = True
    return said


def read_labelled_ply(path: Path) -> tuple[Splat, GaussianInstances]:
    """Read what ``write_labelled_ply`` wrote.

    Raises:
        ProtoSagaError: the file is missing, damaged, or no labelled splat.
    """
    vertices = read_vertices(path, SPLAT)
    _need(vertices, (INSTANCE, CONFIDENCE), path, "It is no labelled splat; proto-saga export writes labelled.ply.")
    ids = torch.from_numpy(vertices[INSTANCE].astype(np.int32))
    return _splat(vertices, path), GaussianInstances(ids, _column(vertices, CONFIDENCE))


def _splat(vertices: np.ndarray, path: Path) -> Splat:
    _need(vertices, NEEDED, path, "It is no 3D Gaussian splat; perhaps it is a point cloud or a mesh.")
    names = vertices.dtype.names or ()
    rest = [f"f_rest_{index}" for index in range(sum(name.startswith("f_rest_") for name in names))]
    counts = [3 * (degree + 1) ** 2 - 3 for degree in range(MAX_DEGREE + 1)]
    if len(rest) not in counts:
        raise ProtoSagaError(f"{path} has {len(rest)} fields f_rest_*, expected one of {counts}. Make it again.")
    _need(vertices, rest, path, "Make it again.")
    constant = _matrix(vertices, CONSTANT)[:, None]
    others = _matrix(vertices, rest).reshape(len(vertices), 3, len(rest) // 3).transpose(1, 2)
    splat = Splat(
        means=_matrix(vertices, POSITION),
        quats=_matrix(vertices, ROTATION),
        log_scales=_log_scales(vertices),
        opacity_logits=_column(vertices, "opacity"),
        harmonics=torch.cat([constant, others], dim=1),
    )
    return _filtered(splat, _column(vertices, FILTER)) if FILTER in names else splat


def _log_scales(vertices: np.ndarray) -> Float[Tensor, "N 3"]:
    if SCALE[2] in (vertices.dtype.names or ()):
        return _matrix(vertices, SCALE)
    return F.pad(_matrix(vertices, SCALE[:2]), (0, 1), value=FLAT)


def _filtered(splat: Splat, width: Float[Tensor, " N"]) -> Splat:
    """A splat that looks without Mip-Splatting's filter as the given one does with it (its create_fused_ply.py)."""
    log_scales = torch.logaddexp(2 * splat.log_scales, 2 * width[:, None].log()) / 2
    paler = (splat.log_scales - log_scales).sum(dim=1)  # logarithm of the factor that keeps the Gaussian's mass
    return replace(splat, log_scales=log_scales, opacity_logits=_logit(F.logsigmoid(splat.opacity_logits) + paler))


def _logit(log_probability: Float[Tensor, " N"]) -> Float[Tensor, " N"]:
    return log_probability - torch.log1p(-log_probability.exp())


def _need(vertices: np.ndarray, fields: Sequence[str], path: Path, advice: str) -> None:
    missing = [name for name in fields if name not in (vertices.dtype.names or ())]
    if missing:
        raise ProtoSagaError(f"{path} lacks the field{'s' * (len(missing) > 1)} {', '.join(missing)}. {advice}")


def _column(vertices: np.ndarray, name: str) -> Float[Tensor, " N"]:
    return torch.from_numpy(vertices[name].astype(np.float32))


def _matrix(vertices: np.ndarray, names: Sequence[str]) -> Float[Tensor, "N C"]:
    matrix = np.empty((len(vertices), len(names)), np.float32)
    for index, name in enumerate(names):
        matrix[:, index] = vertices[name]
    return torch.from_numpy(matrix)
