"""Training as a person would start it, for the scripts beside this file."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path


def train_lite(data: Path, outputs: Path, name: str, seed: int, steps: int) -> Path:
    """Run ``ns-train proto-saga-lite`` without a viewer and without evaluation; gives the run's config.yml."""
    script = Path(sysconfig.get_path("scripts")) / "ns-train"
    arguments = [
        *("proto-saga-lite", "--data", data, "--output-dir", outputs, "--experiment-name", data.name),
        *("--timestamp", name, "--machine.seed", seed, "--max-num-iterations", steps, "--vis", "tensorboard"),
        *("--steps-per-eval-image", 0, "--steps-per-eval-all-images", 0, "--logging.local-writer.enable", "False"),
    ]
    subprocess.run([sys.executable, script, *map(str, arguments)], check=True, stdout=subprocess.DEVNULL)
    return outputs / data.name / "proto-saga-lite" / name / "config.yml"
