"""Commands do not end at a character that the terminal cannot show."""

from __future__ import annotations

import io
import sys

import pytest

from proto_saga_ns.console import replace_in_nerfstudio, replace_what_cannot_be_printed


def written(monkeypatch: pytest.MonkeyPatch, text: str, errors: str = "strict") -> bytes:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, "latin-1", errors=errors))
    replace_what_cannot_be_printed()
    print(text, end="", flush=True)
    return raw.getvalue()


def test_what_the_encoding_lacks_becomes_a_question_mark(monkeypatch: pytest.MonkeyPatch) -> None:
    assert written(monkeypatch, "ü \u256d \U0001f600 \udcff") == b"\xfc ? ? ?"
    assert written(monkeypatch, "\u256d", errors="backslashreplace") == b"\\u256d"


@pytest.mark.parametrize(("program", "errors"), [("/bin/ns-train", "replace"), ("/bin/pytest", "strict")])
def test_only_nerfstudios_commands_are_changed(monkeypatch: pytest.MonkeyPatch, program: str, errors: str) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), "ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(sys, "argv", [program])
    replace_in_nerfstudio()
    assert stream.errors == errors
