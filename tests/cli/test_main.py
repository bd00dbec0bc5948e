"""The command line as a whole: it knows all commands, and loads the one that is asked for."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

from proto_saga_ns.cli.commands import COMMANDS
from proto_saga_ns.cli.main import parse

HEAVY = ("torch", "nerfstudio", "gsplat", "scipy", "skimage", "sklearn", "matplotlib", "pycocotools", "viser")

PROBE = """
import sys
from proto_saga_ns.cli.main import parse
for words in {lines!r}:
    try:
        parse(words)
    except SystemExit as ended:
        assert ended.code == 0, words
print("LOADED", *sorted(sys.modules))
"""


def modules_after(*lines: list[str]) -> set[str]:
    """What a fresh process has imported after these command lines."""
    probe = PROBE.format(lines=lines)
    process = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    return set(process.stdout.rsplit("LOADED", 1)[1].split())


def test_the_list_of_commands_loads_none() -> None:
    loaded = modules_after(["--help"])
    assert not loaded.intersection(HEAVY)
    assert not {f"proto_saga_ns.cli.{command.module}" for command in COMMANDS.values()} & loaded


def test_help_loads_the_command_that_is_asked_for_and_no_other() -> None:
    loaded = modules_after(["info", "--help"])
    found = {name for name, command in COMMANDS.items() if f"proto_saga_ns.cli.{command.module}" in loaded}
    assert found == {"info"} and not loaded.intersection((*HEAVY, "numpy", "PIL"))


def test_no_help_loads_what_only_the_work_needs() -> None:
    assert not modules_after(*([name, "--help"] for name in COMMANDS)).intersection(HEAVY)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_says_of_a_command_what_the_command_says(name: str) -> None:
    documented = inspect.getdoc(COMMANDS[name].load()) or ""
    assert " ".join(documented.split("\n\n")[0].split()).startswith(COMMANDS[name].help)


def test_a_command_is_found_however_its_name_is_spelt() -> None:
    for spelt in ("convert-masks", "convert_masks"):
        assert type(parse([spelt, "DIR"])) is COMMANDS["convert-masks"].load()
    hints = parse(["data", "hints", "davis"])
    assert type(hints) is COMMANDS["data"].load() and hints.action.dataset == "davis"


@pytest.mark.parametrize("words", [["inform"], []], ids=["unknown", "none"])
def test_without_a_known_command_all_are_listed(words: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(words)
    said = capfd.readouterr().err
    assert ended.value.code == 2 and all(name in said for name in COMMANDS) and " ".join(words) in said


def test_completions_know_the_options_of_all_commands(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["--tyro-print-completion", "bash"])
    script = capfd.readouterr().out
    assert all(option in script for option in ("--load-config", "--min-support", "--reliability", "--superpixel"))


def test_a_reader_that_has_read_enough_ends_the_command_quietly() -> None:
    program = "import sys; from proto_saga_ns.cli.main import entrypoint; sys.argv[1:] = sys.argv[2:]; entrypoint()"
    command = [sys.executable, "-c", program, "proto-saga", "track", "--help"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141
