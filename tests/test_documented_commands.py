"""Every command that the documentation prints is one that its parser takes, and the README's Python runs."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import tyro

from proto_saga_ns.cli.main import parse
from tests.commands import has_libraries_of_a_screen
from tests.conftest import TrainedRun

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
METHODS = ("proto-saga", "proto-saga-lite")


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def command_lines(block: str) -> list[list[str]]:
    """The words of every line of a shell that calls one of our commands or of nerfstudio's; what is optional is in."""
    lines = re.split(r"\n|&&", block.replace("\\\n", " "))
    words = [shlex.split(re.sub(r"[\[\]]", "", line), comments=True) for line in lines]
    return [line for line in words if line and line[0] in PARSERS]


@cache
def trainers() -> Any:
    """What ns-train chooses from, of our methods alone."""
    from nerfstudio.configs.method_configs import all_methods

    choice = tyro.extras.subcommand_type_from_defaults({name: all_methods[name] for name in METHODS})
    return tyro.conf.SuppressFixed[tyro.conf.FlagConversionOff[choice]]


def take_training(words: list[str]) -> None:
    tyro.cli(trainers(), args=words)


def take_viewer(words: list[str]) -> None:
    from nerfstudio.scripts.viewer.run_viewer import RunViewer

    tyro.cli(tyro.conf.FlagConversionOff[RunViewer], args=words)


def take_render(words: list[str]) -> None:
    from nerfstudio.scripts.render import Commands

    tyro.cli(Commands, args=words)


def take_photos(words: list[str]) -> None:
    if not has_libraries_of_a_screen():
        pytest.skip("ns-process-data needs libEGL, libGL, libOpenGL and libusb")
    from nerfstudio.scripts.process_data import Commands
    from nerfstudio.utils import install_checks

    with pytest.MonkeyPatch.context() as patch:  # what is parsed looks for its programs at once
        for program in ("ffmpeg", "colmap"):
            patch.setattr(install_checks, f"check_{program}_installed", lambda *_: None)
        tyro.cli(Commands, args=words)


PARSERS: dict[str, Callable[[list[str]], object]] = {
    "proto-saga": parse,
    "ns-train": take_training,
    "ns-viewer": take_viewer,
    "ns-render": take_render,
    "ns-process-data": take_photos,
}
COMMAND_LINES = {
    f"{page.name}: {shlex.join(words)}": words
    for page in PAGES
    for block in blocks(page, "bash")
    for words in command_lines(block)
}


@pytest.mark.parametrize("words", COMMAND_LINES.values(), ids=COMMAND_LINES)
def test_a_printed_command_is_taken(words: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    try:
        PARSERS[words[0]](words[1:])
    except SystemExit:
        pytest.fail(f"{shlex.join(words)}\n{capfd.readouterr().err}")


def test_all_pages_are_read() -> None:
    found = {words[0] for words in COMMAND_LINES.values()}
    assert found == set(PARSERS) and len(COMMAND_LINES) > 60


def test_the_python_of_the_readme_runs(trained_run: TrainedRun, capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = blocks(ROOT / "README.md", "python")
    config = re.compile(r'"outputs/[^"]*config\.yml"')
    assert len(config.findall(code)) == 1
    names: dict[str, Any] = {}
    exec(config.sub(lambda _: repr(str(trained_run.config)), code), names)
    assert names["view"].labels.shape == names["view"].rgb.shape[:2]
    assert "'instance 1'" in capsys.readouterr().out
