"""Training as a person would start it, for the scripts beside this file."""

from __future__ import annotations

import ctypes
import shutil
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from proto_saga_ns.errors import ProtoSagaError

_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1  # of linux/prctl.h


@dataclass(frozen=True)
class Training:
    """A run of ns-train without a viewer and without evaluation.

    Attributes:
        method: of ns-train.
        data: folder of the scene.
        outputs: where runs are kept.
        name: of the run, instead of its date.
        seed: of everything random in training.
        steps: how many.
        options: further ones of ns-train.
        parser: data parser and its options.
    """

    method: str
    data: Path
    outputs: Path
    name: str
    seed: int
    steps: int
    options: Sequence[str] = ()
    parser: Sequence[str] = ()

    @property
    def command(self) -> list[str]:
        """The words behind ns-train."""
        words = [
            *(self.method, "--data", self.data, "--output-dir", self.outputs, "--experiment-name", self.data.name),
            *("--timestamp", self.name, "--machine.seed", self.seed, "--max-num-iterations", self.steps),
            *("--vis", "tensorboard", "--steps-per-eval-image", 0, "--steps-per-eval-all-images", 0),
            *("--logging.local-writer.enable", "False", *self.options, *self.parser),
        ]
        return [str(word) for word in words]


def train_lite(data: Path, outputs: Path, name: str, seed: int, steps: int) -> Path:
    """Train ``proto-saga-lite``; gives the run's config.yml."""
    return train(Training("proto-saga-lite", data, outputs, name, seed, steps))


def train(training: Training) -> Path:
    """Run it; gives the run's config.yml.

    Raises:
        ProtoSagaError: it ended with an error, or before its last step (as after Ctrl-C, which nerfstudio calls no
            error).
    """
    beside = Path(sysconfig.get_path("scripts")) / "ns-train"
    script = beside if beside.is_file() else shutil.which("ns-train") or beside
    command = [sys.executable, script, *training.command]
    done = subprocess.run(command, check=False, stdout=subprocess.DEVNULL, preexec_fn=_end_with_the_parent)
    name, data = training.name, training.data.name
    if done.returncode:
        raise ProtoSagaError(f"ns-train {name} of {data} ended with code {done.returncode}; it said why above.")
    config = training.outputs / data / training.method / name / "config.yml"
    if not (config.parent / "nerfstudio_models" / f"step-{training.steps - 1:09d}.ckpt").is_file():
        raise ProtoSagaError(f"ns-train {name} of {data} left no checkpoint of its last step: it was interrupted.")
    return config


def _end_with_the_parent() -> None:
    """For the child: a script that is killed leaves no training behind, for the next one would train beside it."""
    if sys.platform == "linux":
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
