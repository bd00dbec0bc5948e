"""How much importing the plugin adds to every ns-* command (budget: 0.3 s).

Prints a Markdown table and writes it to results/bench_import.md.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
from pathlib import Path

import tyro

# Nerfstudio is imported first with no plugin in sight; what our import takes after that is what we add.
PROBE = """
import importlib.metadata as metadata, time
installed = metadata.entry_points
metadata.entry_points = lambda **query: type(installed(**query))(())
start = time.perf_counter()
import nerfstudio.configs.method_configs
import nerfstudio.scripts.train
middle = time.perf_counter()
import proto_saga_ns.config
print(middle - start, time.perf_counter() - middle)
"""


def main(runs: int = 5, output: Path = Path("results/bench_import.md")) -> None:
    """Time the imports.

    Args:
        runs: fresh processes; medians are printed.
        output: Markdown file to write.
    """
    times = [_probe() for _ in range(runs + 1)][1:]
    nerfstudio, plugin = (statistics.median(column) for column in zip(*times, strict=True))
    table = (
        "| what | median seconds |\n|---|---|\n"
        f"| importing nerfstudio's methods and ns-train | {nerfstudio:.2f} |\n"
        f"| importing proto_saga_ns.config after that | {plugin:.2f} |\n"
        f"| ratio | {plugin / nerfstudio:.3f} |\n"
    )
    print(table)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(f"`python scripts/bench_import.py --runs {runs}`\n\n{table}")


def _probe() -> tuple[float, float]:
    process = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, check=True)
    nerfstudio, plugin = process.stdout.split()[-2:]
    return float(nerfstudio), float(plugin)


if __name__ == "__main__":
    tyro.cli(main)
