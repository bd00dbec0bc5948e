"""Entry point of the ``proto-saga`` command."""

from __future__ import annotations

import sys
from collections.abc import Collection, Sequence
from dataclasses import make_dataclass
from importlib.metadata import version
from typing import Annotated, Any, Union

import tyro

from proto_saga_ns import console, library_warnings
from proto_saga_ns.cli.commands import COMMANDS
from proto_saga_ns.errors import (
    closed_pipe_ends_the_process,
    ctrl_c_ends_the_process,
    user_errors_end_the_process,
)
from proto_saga_ns.kernels.device import WITHOUT_GPU, memory_errors_are_explained

COMPLETION = ("--tyro-print-completion", "--tyro-write-completion")


def entrypoint() -> None:
    """Parse the command line and run the sub-command; a user error is one line on stderr and exit code 2."""
    if sys.argv[1:] == ["--version"]:
        print(f"proto-saga {version('proto_saga_ns')}")
        return
    library_warnings.silence()
    console.replace_what_cannot_be_printed()
    with closed_pipe_ends_the_process():
        command = parse(sys.argv[1:])
        how_to_go_on = "The same command starts again or goes on."
        with (
            user_errors_end_the_process(),
            ctrl_c_ends_the_process(lambda: how_to_go_on),
            memory_errors_are_explained("this", lambda: WITHOUT_GPU),
        ):
            command.run()


def parse(words: Sequence[str]) -> Any:
    """The command with its options, from the words after ``proto-saga``; wrong ones end the process with help."""
    return tyro.cli(
        _choice(_asked(words)),
        prog="proto-saga",
        args=words,
        description="Take 3D Gaussian Splatting scenes apart into objects. Scenes are trained by "
        "`ns-train proto-saga --data DIR` or `ns-train proto-saga-lite --data DIR`. `proto-saga COMMAND --help` tells "
        "more about a command, `proto-saga --version` which version this is.",
    )


def _asked(words: Sequence[str]) -> Collection[str]:
    """The commands whose options must be known: the one that is named; for the completions of a shell, all."""
    if any(_hyphened(word) in COMPLETION for word in words):
        return COMMANDS
    return [_hyphened(word) for word in words if not word.startswith("-")][:1]


def _hyphened(word: str) -> str:
    """As tyro takes it: under_scores are as good as hyphens."""
    return word.replace("_", "-")


def _choice(loaded: Collection[str]) -> Any:
    """A type of all commands for tyro; those that are not to be loaded have no options, only a name and help."""
    return Union[tuple(_loaded(name) if name in loaded else _named(name) for name in COMMANDS)]  # noqa: UP007


def _loaded(name: str) -> Any:
    command = COMMANDS[name]
    flat = (tyro.conf.OmitSubcommandPrefixes, tyro.conf.OmitArgPrefixes) if command.is_flat else ()
    return Annotated[(command.load(), *flat, tyro.conf.subcommand(name))]


def _named(name: str) -> Any:
    command = COMMANDS[name]
    return Annotated[make_dataclass(command.name, ()), tyro.conf.subcommand(name, description=command.help)]


if __name__ == "__main__":
    entrypoint()
