"""The directions of imports between the package's rooms (docs/architecture.md), and that there is no circle."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import proto_saga_ns

PACKAGE = Path(proto_saga_ns.__file__).parent
ROOMS = (
    ("errors", "files", "progress", "library_warnings", "console"),
    ("kernels",),
    ("rasterize", "labels"),
    ("recognition", "masks"),
    ("splats",),
    ("mastsam", "association", "scene"),
    ("export", "evaluation", "viewpoints"),
    ("plugin",),
    ("cli",),
)
"""Lower ones first. Rooms of one floor may use each other as long as no circle comes of it."""
WORK = f"{PACKAGE.name}.cli.work"
FLOOR = {room: floor for floor, rooms in enumerate(ROOMS) for room in rooms}
NERFSTUDIO_IS_KNOWN_TO = {"plugin", "cli", "library_warnings"}


def modules() -> dict[str, ast.Module]:
    """Every file's syntax tree by the module's name."""
    return {_name(file): ast.parse(file.read_text(encoding="utf-8")) for file in PACKAGE.rglob("*.py")}


def _name(file: Path) -> str:
    parts = (PACKAGE.name, *file.relative_to(PACKAGE).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(tree: ast.AST, known: set[str]) -> Iterator[str]:
    """Modules that a file imports, at once, inside functions or for annotations."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            inside = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in known else node.module for name in inside)


def imported_inside_functions(tree: ast.Module, known: set[str]) -> set[str]:
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return {name for node in functions for name in imported(node, known)}


def room(module: str) -> str:
    return [*module.split("."), ""][1]


@pytest.fixture(scope="module")
def graph() -> dict[str, set[str]]:
    trees = modules()
    return {name: set(imported(tree, set(trees))) - {name} for name, tree in trees.items()}


def test_imports_go_down(graph):
    upwards = [
        f"{name} -> {other}"
        for name, others in graph.items()
        for other in others
        if other in graph and room(other) and room(name) and FLOOR[room(other)] > FLOOR[room(name)]
    ]
    assert not upwards


def test_there_is_no_circle(graph):
    ours = {name: {other for other in others if other in graph} for name, others in graph.items()}
    TopologicalSorter(ours).prepare()  # raises CycleError


def test_rooms_are_in_no_circle(graph):
    rooms: dict[str, set[str]] = {}
    for name, others in graph.items():
        rooms.setdefault(room(name), set()).update(room(other) for other in others if other in graph)
    TopologicalSorter({name: others - {name, ""} for name, others in rooms.items() if name}).prepare()


def test_only_the_plugin_and_commands_know_nerfstudio(graph):
    nerfstudio = "nerfstudio"
    knowing = {
        room(name) for name, others in graph.items() if any(other.split(".")[0] == nerfstudio for other in others)
    }
    assert knowing <= NERFSTUDIO_IS_KNOWN_TO


def test_every_room_has_its_floor(graph):
    assert {room(name) for name in graph} - {""} == set(FLOOR)


def test_a_command_imports_its_work_when_it_runs_and_nothing_else_then():
    """Its options stand before any work is imported, so that help and wrong options are answered at once."""
    trees, commands = modules(), f"{PACKAGE.name}.cli."
    for name, tree in trees.items():
        if name.startswith(commands) and not name.startswith(WORK):
            inside = imported_inside_functions(tree, set(trees))
            assert all(other.startswith(WORK) for other in inside), name
            assert not any(other.startswith(WORK) for other in {*imported(tree, set(trees))} - inside), name


def test_the_work_of_commands_imports_at_the_top():
    trees = modules()
    inside = {name for name, tree in trees.items() if imported_inside_functions(tree, set(trees))}
    assert {name for name in inside if name.startswith(WORK)} <= {f"{WORK}.doctor"}, "which looks at what is broken"
