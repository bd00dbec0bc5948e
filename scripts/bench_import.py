"""How long it takes until something can happen: what the plugin adds to every ns-* command, and proto-saga's own help.

Budgets: 0.2 s for the plugin, 1 s for ``proto-saga --help``. Prints a Markdown table and writes it to
results/bench_import.md. Processor seconds stay the same beside other programs, seconds do not.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import tyro

from proto_saga_ns.cli.commands import COMMANDS

# Nerfstudio is imported first with no plugin in sight; what our import takes after that is what we add.
PROBE = """
import importlib.metadata as metadata, time
installed = metadata.entry_points
metadata.entry_points = lambda **query: type(installed(**query))(())
def now(): return time.perf_counter(), time.process_time()
start = now()
import nerfstudio.configs.method_configs
import nerfstudio.scripts.train
middle = now()
import proto_saga_ns.plugin.methods
end = now()
print(*(b - a for pair in ((start, middle), (middle, end)) for a, b in zip(*pair)))
"""
PROTO_SAGA = "from proto_saga_ns.cli.main import entrypoint; entrypoint()"

Times = tuple[float, float]
"""Seconds, and processor seconds."""


def main(runs: int = 5, output: Path = Path("results/bench_import.md")) -> None:
    """Time imports and help.

    Args:
        runs: fresh processes of each; medians are printed.
        output: Markdown file to write.
    """
    of_imports = _imports(runs)
    rows = {
        "importing nerfstudio's methods and ns-train": _median([row[0] for row in of_imports]),
        "importing proto_saga_ns.plugin.methods after that": _median([row[1] for row in of_imports]),
    }
    for words in (["--help"], *([name, "--help"] for name in COMMANDS)):
        rows[f"`proto-saga {' '.join(words)}`"] = _median(_repeated(lambda words=words: _time_command(words), runs))
    table = "| what | median seconds | processor seconds |\n|---|---|---|\n"
    table += "".join(f"| {what} | {seconds:.2f} | {processor:.2f} |\n" for what, (seconds, processor) in rows.items())
    print(table)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(f"`python scripts/bench_import.py --runs {runs}`\n\n{table}")


def processor_seconds(runs: int) -> tuple[float, float]:
    """Medians of importing the plugin, and of ``proto-saga --help``."""
    help_times = _median(_repeated(lambda: _time_command(["--help"]), runs))
    return _median([row[1] for row in _imports(runs)])[1], help_times[1]


def _imports(runs: int) -> list[tuple[Times, Times]]:
    return [_time_imports() for _ in range(runs + 1)][1:]


def _repeated(measure: Callable[[], Times], runs: int) -> list[Times]:
    """The first run, which fills the disk's cache, does not count."""
    return [measure() for _ in range(runs + 1)][1:]


def _median(times: list[Times]) -> Times:
    seconds, processor = (statistics.median(column) for column in zip(*times, strict=True))
    return seconds, processor


def _time_imports() -> tuple[Times, Times]:
    """Of nerfstudio, and of the plugin after it."""
    process = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, check=True)
    alone, alone_processor, plugin, plugin_processor = map(float, process.stdout.split()[-4:])
    return (alone, alone_processor), (plugin, plugin_processor)


def _time_command(words: list[str]) -> Times:
    """Of the whole process, the start of Python included."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, "-c", PROTO_SAGA, *words], capture_output=True, check=True)
    seconds, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    tyro.cli(main)
