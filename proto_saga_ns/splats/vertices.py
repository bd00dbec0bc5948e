"""The vertices of a PLY file, of a splat or a point cloud: text or binary, in either byte order."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.files import what_it_is_instead
from proto_saga_ns.kernels.memory import check_fits

_TYPES = {
    **{"char": "i1", "uchar": "u1", "short": "i2", "ushort": "u2", "int": "i4", "uint": "u4"},
    **{"float": "f4", "double": "f8", "int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2"},
    **{"int32": "i4", "uint32": "u4", "float32": "f4", "float64": "f8"},
}
_BYTE_ORDERS = {"ascii": "=", "binary_little_endian": "<", "binary_big_endian": ">"}
_MAX_HEADER_LINES = 1000


@dataclass(frozen=True)
class _Header:
    """What a PLY says of its vertices, which come first in it."""

    count: int
    kind: np.dtype
    is_text: bool


def read_vertices(path: Path, expected: str) -> np.ndarray:
    """One record for each vertex, with the fields that the file names.

    Args:
        path: the file.
        expected: what it should be, for the message.

    Raises:
        ProtoSagaError: the file is missing, cut off or damaged, or no PLY.
    """
    try:
        with path.open("rb") as file:
            header = _read_header(file)
            size = os.fstat(file.fileno()).st_size
            check_fits(2 * size, f"Reading {path} of {size:,} bytes, as a file and as numbers,", "Take a smaller one.")
            vertices = _read_text(file, header) if header.is_text else _read_binary(file, header)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        remedy = what_it_is_instead(path) or f"Expected {expected}."
        raise ProtoSagaError(f"Cannot read {path}: {reason}. {remedy}") from error
    if len(vertices) < header.count:
        raise ProtoSagaError(
            f"{path} is cut off: {len(vertices)} of {header.count} vertices are there. Expected {expected}."
        )
    return vertices


def read_names_and_comments(path: Path) -> tuple[tuple[str, ...], list[str]]:
    """The fields of the vertices and the comments, as the header of a PLY that can be read has them."""
    with path.open("rb") as file:
        names = _read_header(file).kind.names or ()
        file.seek(0)
        return names, [" ".join(words[1:]) for words in _header_lines(file) if words[0] == "comment"]


def _read_binary(file: BinaryIO, header: _Header) -> np.ndarray:
    size, left = header.kind.itemsize, os.fstat(file.fileno()).st_size - file.tell()
    there = min(header.count, left // size)  # a header may promise more than any memory holds
    return np.frombuffer(file.read(there * size), header.kind, count=there)


def _read_text(file: BinaryIO, header: _Header) -> np.ndarray:
    lines = [line for _, line in zip(range(header.count), file, strict=False)]
    return np.loadtxt(lines, header.kind, comments=None, ndmin=1) if lines else np.empty(0, header.kind)


def _read_header(file: BinaryIO) -> _Header:
    lines = [words for words in _header_lines(file) if words[0] != "comment"]
    formats = [words[1] for words in lines if words[0] == "format" and len(words) > 1]
    if len(formats) != 1 or formats[0] not in _BYTE_ORDERS:
        raise ValueError(f"its format is {' '.join(formats) or 'not given'}, expected {', '.join(_BYTE_ORDERS)}")
    elements = [index for index, words in enumerate(lines) if words[0] == "element"]
    if not elements or lines[elements[0]][1:2] != ["vertex"]:
        raise ValueError(
            "its first element is not vertex. A compressed splat must be made a plain one first, by saving it so in "
            "SuperSplat or by splat-transform a.compressed.ply a.ply"
        )
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
    return _Header(int(count), np.dtype(fields), is_text=formats == ["ascii"])


def _header_lines(file: BinaryIO) -> list[list[str]]:
    """The words of its lines, comments too."""
    if file.readline(8).strip() != b"ply":
        raise ValueError("it is no PLY file")
    lines = []
    for _ in range(_MAX_HEADER_LINES):
        words = file.readline(4096).decode("ascii", errors="replace").split()
        if words == ["end_header"]:
            return lines
        if words and words[0] != "obj_info":
            lines.append(words)
    raise ValueError("its header has no end")
