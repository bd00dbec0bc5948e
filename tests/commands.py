"""Running the real console scripts in processes of their own, without paying nerfstudio's imports every time.

A fork server that has imported nerfstudio once forks a fresh process for each command. What runs there is the entry
point that the installed script would call, with the same arguments, streams and exit code.
"""

from __future__ import annotations

import importlib.metadata
import multiprocessing
import os
import re
import signal
import sys
import tempfile
import time
from ctypes.util import find_library
from dataclasses import dataclass
from pathlib import Path

from proto_saga_ns.cli.commands import COMMANDS

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(
    [
        *("nerfstudio.scripts.train", "nerfstudio.scripts.render", "nerfstudio.scripts.viewer.run_viewer"),
        *("proto_saga_ns.cli.main", *(f"proto_saga_ns.cli.{command.module}" for command in COMMANDS.values())),
    ]
)


@dataclass(frozen=True)
class Finished:
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str


class Started:
    """A command that is running.

    Args:
        program: name of the console script.
        *arguments: on its command line.
        without: modules that it cannot import, as on a machine that lacks what they need.
    """

    def __init__(self, program: str, *arguments: object, without: tuple[str, ...] = ()) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="command_", ignore_cleanup_errors=True)
        self._streams = Path(self._folder.name)
        words = [program, *map(str, arguments)]
        self._process = _context.Process(target=_call, args=(words, str(self._streams), without))
        self._process.start()

    @property
    def stdout(self) -> str:
        """What it has printed so far."""
        return self._read("stdout")

    @property
    def stderr(self) -> str:
        """What it has complained about so far."""
        return self._read("stderr")

    @property
    def is_running(self) -> bool:
        return self._process.is_alive()

    def wait(self, timeout: float) -> Finished:
        """Wait for its end; one that takes longer is killed and fails the test, as does a warning of Python's."""
        self._process.join(timeout)
        if self._process.is_alive():
            self.kill()
            raise TimeoutError(f"still running after {timeout} s:\n{self.stdout}\n{self._read('stderr')}")
        assert self._process.exitcode is not None
        finished = Finished(self._process.exitcode, self.stdout, self._read("stderr"))
        assert not (found := python_warnings(finished.stdout + finished.stderr)), found
        return finished

    def interrupt(self) -> None:
        """Ctrl-C."""
        assert self._process.pid is not None
        os.kill(self._process.pid, signal.SIGINT)

    def wait_until_said(self, words: str, timeout: float = 300) -> None:
        """Wait until it has printed some words, wherever its lines break."""
        end = time.monotonic() + timeout
        while words not in " ".join(self.stdout.split()):
            assert self.is_running and time.monotonic() < end, self.stdout + self.stderr
            time.sleep(0.1)

    def kill(self) -> None:
        """SIGKILL."""
        self._process.kill()
        self._process.join()

    def _read(self, name: str) -> str:
        path = self._streams / name
        return path.read_text(errors="replace") if path.exists() else ""


def run(program: str, *arguments: object, timeout: float = 300, without: tuple[str, ...] = ()) -> Finished:
    """Run a console script to its end."""
    return Started(program, *arguments, without=without).wait(timeout)


def has_libraries_of_a_screen() -> bool:
    """Whether open3d and pymeshlab can be imported, as nerfstudio's ns-export does; servers lack what they need."""
    return all(find_library(name) for name in ("EGL", "GL", "OpenGL", "usb-1.0"))


def python_warnings(output: str) -> list[str]:
    """Lines in which Python shows a warning, which users can do nothing about."""
    return re.findall(r"^.*:\d+: \w*Warning: .*$", output, re.MULTILINE)


def _call(words: list[str], streams: str, without: tuple[str, ...]) -> None:
    assert not sys.modules.keys() & set(without), "nothing has them before the command starts"
    sys.modules.update(dict.fromkeys(without))
    for descriptor, name in ((1, "stdout"), (2, "stderr")):
        file = os.open(Path(streams) / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, descriptor)
    sys.stdout = os.fdopen(1, "w", buffering=1)
    sys.stderr = os.fdopen(2, "w", buffering=1)
    sys.argv = words
    (entry_point,) = importlib.metadata.entry_points(group="console_scripts", name=words[0])
    sys.exit(entry_point.load()())
