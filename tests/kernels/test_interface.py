"""The signatures and structures that ctypes is told are those of the C++ sources.

Nothing else would notice: a call with another number of arguments, or a structure with two fields exchanged, reads
memory that is not meant.
"""

from __future__ import annotations

import ctypes
import importlib
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import proto_saga_ns
from proto_saga_ns.kernels import library

PACKAGE = Path(proto_saga_ns.__file__).parent
CSRC = PACKAGE / "kernels" / "csrc"
ARRAYS = {"Bounds", "Contribution"}
"""Structs that are rows of a tensor."""
TYPES = {
    "void": None,
    "int": ctypes.c_int,
    "int32_t": ctypes.c_int32,
    "int64_t": ctypes.c_int64,
    "float": ctypes.c_float,
    "double": ctypes.c_double,
}


@dataclass(frozen=True)
class Declared:
    """A function or a struct of the sources: its types in order, with what it returns or the fields' names."""

    place: str
    types: tuple[object, ...]
    names: tuple[str, ...] = ()
    result: object = None


def ctype_of(declaration: str, place: str) -> object:
    """The type in ctypes of a declaration without its name."""
    words = declaration.replace("const ", "").strip()
    if "*" in words:
        return ctypes.c_void_p
    assert words in TYPES, f"{place}: this test does not know the type {words!r}"
    return TYPES[words]


def exported() -> dict[str, Declared]:
    """Functions of api.cpp by name."""
    text = (CSRC / "api.cpp").read_text()
    found = {}
    for match in re.finditer(r"^SPLAT_API\s+(.+?)(\w+)\(([^)]*)\)\s*{", text, re.MULTILINE):
        result, name, arguments = match.groups()
        place = f"csrc/api.cpp:{text.count(chr(10), 0, match.start()) + 1}: {name}"
        declared = [argument.strip() for argument in arguments.split(",") if argument.strip()]
        types = tuple(ctype_of(re.sub(r"\w+$", "", argument), place) for argument in declared)
        found[name] = Declared(place, types, result=ctype_of(result, place))
    return found


def structs() -> dict[str, Declared]:
    """Structs of the headers by name, those with functions left out."""
    found = {}
    for header in sorted(CSRC.glob("*.h")):
        text = re.sub(r"//.*", "", header.read_text())
        for match in re.finditer(r"^struct (\w+) {\n([^(){}]*)};", text, re.MULTILINE):
            place = f"csrc/{header.name}:{text.count(chr(10), 0, match.start()) + 1}: {match[1]}"
            fields = list(fields_of(match[2], place))
            found[match[1]] = Declared(place, tuple(kind for _, kind in fields), tuple(name for name, _ in fields))
    return found


def fields_of(body: str, place: str) -> Iterator[tuple[str, object]]:
    for statement in filter(None, map(str.strip, body.split(";"))):
        names = re.split(r"\s*,\s*", statement)
        kind, names[0] = re.fullmatch(r"(.*?)(\w+(?:\[\d+\])?)", names[0], re.DOTALL).groups()  # type: ignore[union-attr]
        for name in names:
            size = re.search(r"\[(\d+)\]", name)
            scalar = ctype_of(kind, place)
            yield name.partition("[")[0], scalar * int(size[1]) if size else scalar  # type: ignore[operator]


def mirrors() -> dict[str, type[ctypes.Structure]]:
    """The structures of the package by the name of the struct that their docstrings give."""
    for file in PACKAGE.rglob("*.py"):
        if "(ctypes.Structure)" in file.read_text(encoding="utf-8"):
            importlib.import_module(".".join((PACKAGE.name, *file.relative_to(PACKAGE).with_suffix("").parts)))
    found = {}
    for structure in ctypes.Structure.__subclasses__():
        if structure.__module__.startswith(PACKAGE.name):
            name = re.match(r"``splat::(\w+)`` of csrc/(\w+\.h)\.", structure.__doc__ or "")
            assert name, f"{structure.__module__}.{structure.__name__}: its docstring names no struct and header"
            found[name[1]] = structure
    return found


def test_every_function_has_its_signature() -> None:
    functions = exported()
    assert set(functions) == set(library._SIGNATURES), "functions of csrc/api.cpp and kernels/library.py"
    for name, (result, arguments) in library._SIGNATURES.items():
        declared = functions[name]
        assert (declared.result, declared.types) == (result, tuple(arguments)), (
            f"{declared.place} and its line in kernels/library.py differ"
        )


def test_every_structure_has_the_fields_of_its_struct() -> None:
    found, declared = mirrors(), structs()
    assert len(found) >= 8 and set(found) <= set(declared)
    for name, structure in found.items():
        fields = tuple(zip(declared[name].names, declared[name].types, strict=True))
        mirror = f"{structure.__module__}.{structure.__name__}"
        assert tuple(structure._fields_) == fields, f"{declared[name].place} and {mirror} differ"


def test_a_struct_without_structure_is_pointers_alone() -> None:
    """So that ``pointers`` makes one; the others that the interface takes are arrays."""
    taken = set(re.findall(r"\b([A-Z]\w+)\*", (CSRC / "api.cpp").read_text()))
    declared = structs()
    for name in taken - set(mirrors()) - ARRAYS:
        assert set(declared[name].types) == {ctypes.c_void_p}, f"{declared[name].place} needs a structure"


@pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")
def test_the_compiler_lays_them_out_in_the_same_way(tmp_path: Path) -> None:
    lines = ["#include <cstddef>", *(f'#include "{header.name}"' for header in sorted(CSRC.glob("*.h")))]
    for name, structure in mirrors().items():
        lines.append(f"static_assert(sizeof(splat::{name}) == {ctypes.sizeof(structure)});")
        for field in structure._fields_:
            offset = getattr(structure, field[0]).offset
            lines.append(f"static_assert(offsetof(splat::{name}, {field[0]}) == {offset});")
    source = tmp_path / "layout.cpp"
    source.write_text("\n".join(lines))
    command = ["g++", "-std=c++17", "-fsyntax-only", f"-I{CSRC}", str(source)]
    compiled = subprocess.run(command, capture_output=True, text=True)
    assert compiled.returncode == 0, compiled.stderr
