"""The tables of a PLY file, of a splat or a point cloud: text or binary, in either byte order."""

from __future__ import annotations

import os
from collections.abc import Sequence
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
class Element:
    """A table of a PLY.

    Attributes:
        name: such as vertex.
        count: its rows.
        fields: the type of each column, which numpy reads; None: some hold lists, so that nobody knows where it ends.
    """

    name: str
    count: int
    fields: np.dtype | None


@dataclass(frozen=True)
class Header:
    """What a PLY says of itself.

    Attributes:
        elements: its tables, in their order.
        comments: without the word comment.
        is_text: not binary.
    """

    elements: tuple[Element, ...]
    comments: tuple[str, ...]
    is_text: bool

    def fields_of(self, name: str) -> tuple[str, ...]:
        """Names of the columns of a table that are plain numbers; none if there is no such table."""
        found = next((element.fields for element in self.elements if element.name == name), None)
        return () if found is None else found.names or ()


def read_vertices(path: Path, expected: str) -> np.ndarray:
    """One record for each vertex, with the fields that the file names.

    Args:
        path: the file.
        expected: what it should be, for the message.

    Raises:
        ProtoSagaError: the file is missing, cut off or damaged, or no PLY.
    """
    return read_tables(path, ("vertex",), expected)[0]


def read_tables(path: Path, names: Sequence[str], expected: str) -> list[np.ndarray]:
    """Some tables of a PLY, one record for each row.

    Args:
        path: the file.
        names: of the tables, which all must be there.
        expected: what the file should be, for the message.

    Raises:
        ProtoSagaError: the file is missing, cut off or damaged, or no PLY; a table is missing, or has a length that is
            not known.
    """
    try:
        with path.open("rb") as file:
            header = _read_header(file)
            size = os.fstat(file.fileno()).st_size
            check_fits(2 * size, f"Reading {path} of {size:,} bytes, as a file and as numbers,", "Take a smaller one.")
            tables = _read_tables(file, header, names)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        remedy = what_it_is_instead(path) or f"Expected {expected}."
        raise ProtoSagaError(f"Cannot read {path}: {reason}. {remedy}") from error
    for element in header.elements:
        if element.name in names and len(tables[element.name]) < element.count:
            rows = "vertices" if element.name == "vertex" else f"rows of the element {element.name}"
            raise ProtoSagaError(
                f"{path} is cut off: {len(tables[element.name])} of {element.count} {rows} are there. Expected "
                f"{expected}."
            )
    return [tables[name] for name in names]


def read_header(path: Path) -> Header:
    """The head of a PLY.

    Raises:
        OSError, ValueError: it cannot be read, or is none.
    """
    with path.open("rb") as file:
        return _read_header(file)


def _read_tables(file: BinaryIO, header: Header, names: Sequence[str]) -> dict[str, np.ndarray]:
    known = [element.name for element in header.elements]
    if missing := [name for name in names if name not in known]:
        raise ValueError(f"it has no element {', '.join(missing)}")
    tables: dict[str, np.ndarray] = {}
    for element in header.elements[: max(known.index(name) for name in names) + 1]:
        if element.fields is None:
            raise ValueError(f"a property of its element {element.name} is no plain number")
        if not element.fields.names:
            raise ValueError(f"its element {element.name} has no properties")
        read = _read_text if header.is_text else _read_binary
        tables[element.name] = read(file, element.fields, element.count)
    return tables


def _read_binary(file: BinaryIO, fields: np.dtype, count: int) -> np.ndarray:
    left = os.fstat(file.fileno()).st_size - file.tell()
    there = min(count, left // fields.itemsize)  # a header may promise more than any memory holds
    return np.frombuffer(file.read(there * fields.itemsize), fields, count=there)


def _read_text(file: BinaryIO, fields: np.dtype, count: int) -> np.ndarray:
    lines = [line for _, line in zip(range(count), file, strict=False)]
    return np.loadtxt(lines, fields, comments=None, ndmin=1) if lines else np.empty(0, fields)


def _read_header(file: BinaryIO) -> Header:
    lines = _header_lines(file)
    formats = [words[1] for words in lines if words[0] == "format" and len(words) > 1]
    if len(formats) != 1 or formats[0] not in _BYTE_ORDERS:
        raise ValueError(f"its format is {' '.join(formats) or 'not given'}, expected {', '.join(_BYTE_ORDERS)}")
    comments = tuple(" ".join(words[1:]) for words in lines if words[0] == "comment")
    content = [words for words in lines if words[0] in ("element", "property")]
    starts = [index for index, words in enumerate(content) if words[0] == "element"]
    ends = [*starts[1:], len(content)]
    elements = tuple(
        _element(content[start], content[start + 1 : end], _BYTE_ORDERS[formats[0]])
        for start, end in zip(starts, ends, strict=True)
    )
    return Header(elements, comments, is_text=formats == ["ascii"])


def _element(head: list[str], properties: list[list[str]], byte_order: str) -> Element:
    name, count = " ".join(head[1:2]), " ".join(head[2:])
    if not count.isdecimal():
        rows = "vertices" if name == "vertex" else f"rows of the element {name}"
        raise ValueError(f"its number of {rows} is {count or 'not given'}")
    plain = all(len(words) == 3 and words[1] in _TYPES for words in properties)
    fields = [(words[2], byte_order + _TYPES[words[1]]) for words in properties] if plain else []
    return Element(name, int(count), np.dtype(fields) if plain else None)


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
