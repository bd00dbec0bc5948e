"""Checks the shapes that annotations state (jaxtyping) whenever a function of the package is called by a test.

As ``jaxtyping.install_import_hook`` with beartype would, and unlike it:
- Only jaxtyping's types are checked, alone or inside others (``list[Float[Tensor, "N 3"]]``). Plain types are for
  pyright, and a function without shapes costs nothing.
- Modules are found by the finders that are there, since an editable installation has its compiled kernels elsewhere.
- Modules of others keep their compiled files: the hook of jaxtyping compiles all that ours import, eight seconds long.

Commands that tests start as processes of their own run unchecked.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Sequence
from dataclasses import is_dataclass
from functools import wraps
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from types import CodeType, FunctionType, ModuleType
from typing import Any, get_args, get_type_hints

from beartype import beartype
from jaxtyping import AbstractArray, config, jaxtyped


def check_shapes(package: str) -> None:
    """Modules of a package that are imported from now on check their annotations."""
    sys.meta_path.insert(0, CheckedModules(package))


class CheckedModules(MetaPathFinder):
    """Finds the modules of a package where the other finders do."""

    def __init__(self, package: str) -> None:
        self.package = package

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.partition(".")[0] != self.package:
            return None
        others = sys.meta_path[sys.meta_path.index(self) + 1 :]
        found = (finder.find_spec(fullname, path, target) for finder in others)
        spec = next((spec for spec in found if spec is not None), None)
        if spec is not None and str(spec.origin).endswith(".py"):
            spec.loader = CheckedLoader(fullname, str(spec.origin))
        return spec


class CheckedLoader(SourceFileLoader):
    """Decorates all functions and classes of a module; what it compiles is not kept, since commands would run it."""

    def get_code(self, fullname: str) -> CodeType:
        file = self.get_filename(fullname)
        tree = Decorated().visit(ast.parse(self.get_data(file)))
        return compile(ast.fix_missing_locations(tree), file, "exec", dont_inherit=True)


class Decorated(ast.NodeTransformer):
    """Functions are decorated innermost, where annotations are still there; classes outermost, as dataclasses."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.decorator_list.append(decorator(node))
        return self.generic_visit(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        node.decorator_list.insert(0, decorator(node))
        return self.generic_visit(node)


def decorator(node: ast.FunctionDef | ast.ClassDef) -> ast.expr:
    expression = ast.parse(f"__import__({__name__!r}, fromlist=['checked']).checked", mode="eval").body
    for part in ast.walk(expression):
        ast.copy_location(part, node)
    return expression


def checked(thing: Any) -> Any:
    """A function that states shapes, or a dataclass that does, with checks of these; all else as it is."""
    if isinstance(thing, type):
        if is_dataclass(thing) and "__init__" in vars(thing):
            thing.__init__ = checked(thing.__init__)
        return thing
    hints = {name: resolved(hint, thing) for name, hint in thing.__annotations__.items()}
    shapes = {name: hint for name, hint in hints.items() if is_shape(hint)}
    return with_checks(thing, shapes) if shapes else thing


def with_checks(function: FunctionType, shapes: dict[str, Any]) -> Callable[..., Any]:
    """A function that beartype checks, with ``shapes`` for annotations; each call has sizes of its own.

    Not by ``jaxtyped(typechecker=beartype)``, which checks arguments twice and costs ten times as much.
    """
    stating = FunctionType(
        function.__code__, function.__globals__, function.__name__, function.__defaults__, function.__closure__
    )
    stating.__kwdefaults__, stating.__annotations__ = function.__kwdefaults__, shapes
    stating.__module__, stating.__qualname__ = function.__module__, function.__qualname__
    checking = beartype(stating)
    if any("{" in str(hint) for hint in shapes.values()):
        checking = jaxtyped(checking, typechecker=None)  # knows the values of the arguments

    @wraps(function)
    def called(*args: Any, **kwargs: Any) -> Any:
        if config.jaxtyping_disable:
            return function(*args, **kwargs)
        with jaxtyped("context"):
            return checking(*args, **kwargs)

    return called


def is_shape(hint: Any) -> bool:
    """Whether it is a type of jaxtyping or contains one."""
    return (isinstance(hint, type) and issubclass(hint, AbstractArray)) or any(map(is_shape, get_args(hint)))


def resolved(hint: Any, function: FunctionType) -> Any:
    """An annotation as an object; None where it names what is imported for type checks only."""

    class Holder:
        __annotations__ = {"hint": hint}

    try:
        return get_type_hints(Holder, function.__globals__, include_extras=True)["hint"]
    except NameError:
        return None
