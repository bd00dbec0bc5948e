"""Training as a person would start it, for the scripts beside this file."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

from proto_saga_ns.errors import ProtoSagaError


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

    Raises:
        ProtoSagaError: it ended with an error.
    """
    beside = Path(sysconfig.get_path("scripts")) / "ns-train"
    script = beside if beside.is_file() else shutil.which("ns-train") or beside
    command = training_command(method, data, outputs, name, seed, steps, options, parser)
    done = subprocess.run([sys.executable, script, *command], check=False, stdout=subprocess.DEVNULL)
    if done.returncode:
        raise ProtoSagaError(f"ns-train {name} of {data.name} ended with code {done.returncode}; it said why above.")
    return outputs / data.name / method / name / "config.yml"


def training_command(
    method: str,
    data: Path,
    outputs: Path,
    name: str,
    seed: int,
    steps: int,
    options: Sequence[str] = (),
    parser: Sequence[str] = (),
) -> list[str]:
    """The words behind ns-train, from the same arguments."""
    words = [
        *(method, "--data", data, "--output-dir", outputs, "--experiment-name", data.name),
        *("--timestamp", name, "--machine.seed", seed, "--max-num-iterations", steps, "--vis", "tensorboard"),
        *("--steps-per-eval-image", 0, "--steps-per-eval-all-images", 0, "--logging.local-writer.enable", "False"),
        *options,
        *parser,
    ]
    return [str(word) for word in words]
