"""Training as a person would start it, for the scripts beside this file."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path


def train_lite(data: Path, outputs: Path, name: str, seed: int, steps: int) -> Path:
    """Run ``ns-train proto-saga-lite`` without a viewer and without evaluation; gives the run's config.yml."""
    return train("proto-saga-lite", data, outputs, name, seed, steps)


def train(
    method: str,
    data: Path,
    outputs: Path,
    name: str,
    seed: int,
    steps: int,
    options: Sequence[str] = (),
    parser: Sequence[str] = (),
) -> Path:
    """The same for any method.

    Args:
        method: of ns-train.
        data: folder of the scene.
        outputs: where runs are kept.
        name: of the run, instead of its date.
        seed: of everything random in training.
        steps: how many.
        options: further ones of ns-train.
        parser: data parser and its options.
    """
    script = Path(sysconfig.get_path("scripts")) / "ns-train"
    arguments = [
        *(method, "--data", data, "--output-dir", outputs, "--experiment-name", data.name),
        *("--timestamp", name, "--machine.seed", seed, "--max-num-iterations", steps, "--vis", "tensorboard"),
        *("--steps-per-eval-image", 0, "--steps-per-eval-all-images", 0, "--logging.local-writer.enable", "False"),
        *options,
        *parser,
    ]
    subprocess.run([sys.executable, script, *map(str, arguments)], check=True, stdout=subprocess.DEVNULL)
    return outputs / data.name / method / name / "config.yml"
