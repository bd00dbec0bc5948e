"""What scripts/check_versions.sh runs in each of its environments; prints a row of its table.

Runs in a folder that holds a copy of ``tests`` and nothing else of ours, so that the package is the installed one. The
first run of each numpy is kept, since another one must open its checkpoint, too.
"""

from __future__ import annotations

import importlib.metadata
import platform
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import tyro

PACKAGES = ("numpy", "torch", "transformers", "gsplat")
TESTS = (
    *("rasterize/test_kernels.py", "rasterize/test_strategy.py", "labels/test_maps.py", "labels/test_png.py"),
    *("association/test_association.py", "segmenters/test_sam.py", "segmenters/test_sam2.py", "text/test_grounding.py"),
)
"""Those of the kernels, gsplat's strategy, label maps, association, and all backends of the extras sam and text."""
SCENE, OUTPUTS = Path("scene"), Path("outputs")
CONFIG = OUTPUTS / "tiny" / "proto-saga-lite" / "run" / "config.yml"
STEPS = 150
# Early enough for Gaussians to be split, and their opacities reset, within these steps.
REFINEMENT = ("--pipeline.model.warmup-length", 20, "--pipeline.model.refine-every", 20)
REFINEMENT += ("--pipeline.model.reset-alpha-every", 4)
PORT = 7399


class Failed(Exception):
    """A step did not work; the message is a line that says why."""


def main(name: str, installed: str, kept: Path) -> None:
    """Try this environment.

    Args:
        name: of the combination.
        installed: what is to stand in the table about the installation.
        kept: folder of the runs that other environments left, and in which this one leaves its own.
    """
    versions = [platform.python_version(), *map(importlib.metadata.version, PACKAGES)]
    print("|", " | ".join([name, *versions, installed, _commands(kept), _tests()]), "|")


def _commands(kept: Path) -> str:
    """Run one after the other, up to the first that fails."""
    start = time.monotonic()
    steps = _steps(kept)
    for number, (name, step) in enumerate(steps.items()):
        try:
            step()
        except Failed as error:
            return f"{number} of {len(steps)}; {name}: {error}"
    _keep(kept)
    return f"all {len(steps)}, {time.monotonic() - start:.0f} s"


def _steps(kept: Path) -> dict[str, Callable[[], None]]:
    load = ("--load-config", CONFIG)
    video = ("--output-path", "video.mp4", "--rendered-output-names", "rgb", "segmentation")
    steps: dict[str, Callable[[], None]] = {
        "import": lambda: _run("proto-saga", "--version"),
        "ns-train": _train,
        "segment": lambda: _run("proto-saga", "segment", *load, "--output-dir", "maps"),
        "evaluate": lambda: _run("proto-saga", "evaluate", *load, "--ground-truth", SCENE / "instances"),
        "export": lambda: _run("proto-saga", "export", *load, "--output-dir", "objects"),
        "ns-eval": lambda: _run("ns-eval", *load, "--output-path", "metrics.json"),
        "ns-render": lambda: _run(
            "ns-render", "interpolate", *load, "--pose-source", "train", "--interpolation-steps", 2, *video
        ),
        "ns-viewer": _view,
    }
    for folder in sorted(kept.glob("numpy *")):
        steps[f"the run of {folder.name}"] = lambda folder=folder: _open(folder)
    return steps


def _train() -> None:
    from tests.scenes import write_tiny_scene

    write_tiny_scene(SCENE)
    _run(
        *("ns-train", "proto-saga-lite", "--data", SCENE, "--output-dir", OUTPUTS, "--experiment-name", "tiny"),
        *("--timestamp", "run", "--max-num-iterations", STEPS, "--vis", "tensorboard"),
        *("--pipeline.model.num-downscales", 0, *REFINEMENT),
    )


def _view() -> None:
    """Start the viewer, and load its page."""
    from tests.commands import Started
    from tests.test_nerfstudio_commands import wait_for_page

    viewer = Started("ns-viewer", "--load-config", CONFIG, "--viewer.websocket-port", PORT)
    try:
        wait_for_page(f"http://127.0.0.1:{PORT}", viewer, seconds=120)
    except AssertionError as error:
        raise Failed(_reason(viewer.stdout + viewer.stderr)) from error
    finally:
        viewer.kill()


def _open(folder: Path) -> None:
    """Segment with the run that another environment left."""
    config, data = folder / "run" / "config.yml", folder / "scene"
    _run("proto-saga", "segment", "--load-config", config, "--data", data, "--output-dir", f"maps of {folder.name}")


def _keep(kept: Path) -> None:
    """Leave this run for other environments, unless there is one of this numpy."""
    folder = kept / f"numpy {importlib.metadata.version('numpy').partition('.')[0]}"
    if not folder.exists():
        shutil.copytree(CONFIG.parent, folder / "run")
        shutil.copytree(SCENE, folder / "scene")


def _run(program: str, *arguments: object) -> None:
    """Run a console script; a fresh process, but nerfstudio is imported only once for all of them."""
    from tests.commands import run

    process = run(program, *arguments, timeout=1800)
    _check(process.returncode, process.stdout + process.stderr)


def _tests() -> str:
    process = subprocess.run(
        [sys.executable, "-m", "pytest", "--durations=10", *(f"tests/{file}" for file in TESTS)],
        capture_output=True,
        text=True,
    )
    print(process.stdout, file=sys.stderr)
    failed = re.findall(r"^(?:FAILED|ERROR) (?:\S*::)?(\S+)", process.stdout, re.MULTILINE)
    summary = re.search(r"^[^\n]*?(\d+ (?:passed|failed|error)[^\n]*?) in [\d.]+", process.stdout, re.MULTILINE)
    return "; ".join([summary[1] if summary else _reason(process.stdout + process.stderr), *failed[:3]])


def _check(returncode: int, output: str) -> None:
    print(output, file=sys.stderr)
    if returncode != 0:
        raise Failed(_reason(output))


def _reason(output: str) -> str:
    """The line of a command's output that says why it failed: the last error, or the last line."""
    lines = [line.strip() for line in output.splitlines() if line.strip()] or ["no output"]
    errors = [line for line in lines if re.match(r"([\w.]*(Error|Exception)\b|proto-saga: error)", line)]
    return (errors or lines)[-1][:200].replace("|", "\\|")


if __name__ == "__main__":
    tyro.cli(main)
