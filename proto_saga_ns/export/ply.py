"""Splats as PLY files, in the layout that 3D Gaussian Splatting's own code, ns-export and viewers use.

Per Gaussian, little-endian float32: x y z, nx ny nz (zero), f_dc_0..2, f_rest_* (all coefficients of red, then of
green, then of blue), opacity (logit), scale_0..2 (logarithms), rot_0..3 (w x y z). A labelled PLY adds
``instance_id`` (int32, 0 = none) and ``confidence`` (float32).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.export.splat import MAX_DEGREE, Splat
from proto_saga_ns.files import atomic_file
from proto_saga_ns.gaussian_instances import GaussianInstances

POSITION, NORMAL, CONSTANT = ("x", "y", "z"), ("nx", "ny", "nz"), ("f_dc_0", "f_dc_1", "f_dc_2")
SCALE, ROTATION = ("scale_0", "scale_1", "scale_2"), ("rot_0", "rot_1", "rot_2", "rot_3")
NEEDED = (*POSITION, *CONSTANT, "opacity", *SCALE, *ROTATION)
INSTANCE, CONFIDENCE = "instance_id", "confidence"

_TYPES = {
    **{"char": "i1", "uchar": "u1", "short": "i2", "ushort": "u2", "int": "i4", "uint": "u4"},
    **{"float": "f4", "double": "f8", "int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2"},
    **{"int32": "i4", "uint32": "u4", "float32": "f4", "float64": "f8"},
}
_BYTE_ORDERS = {"binary_little_endian": "<", "binary_big_endian": ">"}
_MAX_HEADER_LINES = 1000


def write_ply(path: Path, splat: Splat, comments: Sequence[str] = ()) -> None:
    """Write a plain splat, atomically.

    Args:
        path: file to write.
        splat: its quaternions are written with unit length.
        comments: lines for the header, in ASCII.

    Raises:
        ProtoSagaError: the file cannot be written.
    """
    _write(path, _columns(splat), comments)


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
    _write(path, {**_columns(splat), **labels}, comments)


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


def _write(path: Path, columns: dict[str, np.ndarray], comments: Sequence[str]) -> None:
    records = np.empty(len(columns["x"]), [(name, column.dtype) for name, column in columns.items()])
    for name, column in columns.items():
        records[name] = column
    kinds = {name: "int" if column.dtype.kind == "i" else "float" for name, column in columns.items()}
    lines = ["ply", "format binary_little_endian 1.0", *(f"comment {comment}" for comment in comments)]
    lines += [f"element vertex {len(records)}", *(f"property {kind} {name}" for name, kind in kinds.items())]
    with atomic_file(path) as file:
        file.write("\n".join([*lines, "end_header", ""]).encode("ascii"))
        file.write(records.tobytes())


def read_ply(path: Path) -> Splat:
    """Read a splat that any program of this kind has written; fields that it does not need are ignored.

    Raises:
        ProtoSagaError: the file is missing, damaged, or no splat.
    """
    return _splat(_read_vertices(path), path)


def read_labelled_ply(path: Path) -> tuple[Splat, GaussianInstances]:
    """Read what ``write_labelled_ply`` wrote.

    Raises:
        ProtoSagaError: the file is missing, damaged, or no labelled splat.
    """
    vertices = _read_vertices(path)
    _need(vertices, (INSTANCE, CONFIDENCE), path, "It is no labelled splat; proto-saga export writes labelled.ply.")
    ids = torch.from_numpy(vertices[INSTANCE].astype(np.int32))
    return _splat(vertices, path), GaussianInstances(ids, _column(vertices, CONFIDENCE))


@dataclass(frozen=True)
class _Header:
    """What a PLY says of its vertices, which come first in it."""

    count: int
    kind: np.dtype


def _read_vertices(path: Path) -> np.ndarray:
    try:
        with path.open("rb") as file:
            header = _read_header(file)
            content = file.read(header.count * header.kind.itemsize)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ProtoSagaError(
            f"Cannot read {path}: {reason}. Expected a binary PLY of 3D Gaussian Splatting, such as the ones that "
            "proto-saga export, ns-export and SuperSplat write."
        ) from error
    if len(content) < header.count * header.kind.itemsize:
        there = len(content) // header.kind.itemsize
        raise ProtoSagaError(f"{path} is cut off: {there} of {header.count} Gaussians are there. Make it again.")
    return np.frombuffer(content, header.kind)


def _read_header(file: BinaryIO) -> _Header:
    lines = _header_lines(file)
    formats = [words[1] for words in lines if words[0] == "format" and len(words) > 1]
    if len(formats) != 1 or formats[0] not in _BYTE_ORDERS:
        raise ValueError(f"its format is {' '.join(formats) or 'not given'}, only binary ones are read")
    elements = [index for index, words in enumerate(lines) if words[0] == "element"]
    if not elements or lines[elements[0]][1:2] != ["vertex"]:
        raise ValueError("its first element is not vertex; a compressed splat must be converted to a plain one first")
    end = elements[1] if len(elements) > 1 else len(lines)
    fields = []
    for words in lines[elements[0] + 1 : end]:
        if words[0] == "property":
            if len(words) != 3 or words[1] not in _TYPES:
                raise ValueError(f"the property {' '.join(words[1:])!r} is no plain number")
            fields.append((words[2], _BYTE_ORDERS[formats[0]] + _TYPES[words[1]]))
    if not fields:
        raise ValueError("its vertices have no properties")
    count = " ".join(lines[elements[0]][2:])
    if not count.isdecimal():
        raise ValueError(f"its number of vertices is {count or 'not given'}")
    return _Header(int(count), np.dtype(fields))


def _header_lines(file: BinaryIO) -> list[list[str]]:
    """The words of its lines, without comments."""
    if file.readline(8).strip() != b"ply":
        raise ValueError("it is no PLY file")
    lines = []
    for _ in range(_MAX_HEADER_LINES):
        words = file.readline(4096).decode("ascii", errors="replace").split()
        if words == ["end_header"]:
            return lines
        if words and words[0] not in ("comment", "obj_info"):
            lines.append(words)
    raise ValueError("its header has no end")


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
    return Splat(
        means=_matrix(vertices, POSITION),
        quats=_matrix(vertices, ROTATION),
        log_scales=_matrix(vertices, SCALE),
        opacity_logits=_column(vertices, "opacity"),
        harmonics=torch.cat([constant, others], dim=1),
    )


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
