"""Nerfstudio's data parsers, made to read pose files as people have them, and to ask nobody who is not there."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import rich.prompt
from nerfstudio.data.dataparsers import blender_dataparser, colmap_dataparser, nerfstudio_dataparser

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.labels.images import read_pose_file
from proto_saga_ns.plugin.data.intrinsics import read_with_intrinsics


@contextmanager
def reading_as_people_have_files(unanswered: str) -> Iterator[None]:
    """While active, nerfstudio's parsers read pose files by our functions, and ask only where a terminal is.

    Args:
        unanswered: what to do about a question that nobody can answer.

    Raises:
        ProtoSagaError: there was one.
    """

    class Refuse:
        @staticmethod
        def ask(question: str = "", **_: Any) -> bool:
            asked = " ".join(question.split())
            raise ProtoSagaError(f"nerfstudio asks: {asked} No terminal is here to answer. {unanswered}")

    with ExitStack() as stack:
        stack.enter_context(_replaced(nerfstudio_dataparser, "load_from_json", read_with_intrinsics))
        stack.enter_context(_replaced(blender_dataparser, "load_from_json", read_pose_file))
        if not sys.stdin.isatty():
            for module in (colmap_dataparser, rich.prompt):
                stack.enter_context(_replaced(module, "Confirm", Refuse))
        yield


@contextmanager
def _replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    original = owner.__dict__[name]
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, original)
