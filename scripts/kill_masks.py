"""Kill `proto-saga masks` at random moments, many times over: afterwards the cache is complete and every file valid.

Each round starts the real command in a process group of its own, waits until it writes label maps, and after a random
delay sends SIGKILL to all of it, to the main process alone, or to one of its workers. After every kill all label maps
that lie in the cache must be whole and equal to what the segmenter makes. Linux only (it looks into /proc).
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
import tyro
from PIL import Image

from proto_saga_ns.labels import read_label_map, read_rgb
from proto_saga_ns.masks.segmenters import SuperpixelSegmenter, SuperpixelSettings

SETTINGS = SuperpixelSettings(working_size=96)


def main(kills: int = 50, images: int = 150, seed: int = 0, output: Path = Path("results/kill_masks.md")) -> None:
    """Kill and verify.

    Args:
        kills: processes to kill.
        images: in the folder; small ones.
        seed: of the moments and the victims.
        output: Markdown file to write.
    """
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory() as name:
        data = Path(name)
        paths = _write_images(data, images)
        truth = {path.stem: SuperpixelSegmenter(SETTINGS)(read_rgb(path)) for path in paths}
        victims: Counter[str] = Counter()
        checked = debris = 0
        for _ in range(kills):
            victims[_kill_once(data, chance)] += 1
            checked += _verify(data, truth)
            debris = len(list(data.rglob(".*.tmp")))
        final = subprocess.run(_command(data), capture_output=True, text=True, check=True)
        _verify(data, truth, complete=True)
        subprocess.run([*_command(data), "--check"], capture_output=True, check=True)
    table = (
        "| what | count |\n|---|---|\n"
        + "".join(f"| killed: {victim} | {count} |\n" for victim, count in sorted(victims.items()))
        + f"| label maps verified after kills | {checked} |\n| of them damaged or wrong | 0 |\n"
        f"| half-written temporary files left by the dead (cleared after an hour) | {debris} |\n"
        f"| label maps after the last run, complete | {images} |\n"
    )
    print(final.stdout.splitlines()[-1], table, sep="\n\n")
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(f"`python scripts/kill_masks.py --kills {kills} --seed {seed}`\n\n{table}")


def _write_images(data: Path, count: int) -> list[Path]:
    rng = np.random.default_rng(0)
    (data / "images").mkdir()
    paths = [data / "images" / f"{index:03d}.png" for index in range(count)]
    for path in paths:
        coarse = Image.fromarray(rng.integers(0, 255, (4, 5, 3), dtype=np.uint8))
        coarse.resize((160, 120), Image.Resampling.NEAREST).save(path)
    return paths


def _command(data: Path) -> list[str]:
    options = ["--superpixel.working-size", str(SETTINGS.working_size)]
    return [sys.executable, "-m", "proto_saga_ns.cli.main", "masks", str(data), *options]


def _kill_once(data: Path, chance: random.Random) -> str:
    """Start the command, kill some of it while it writes; returns who was killed."""
    workers = chance.choice([1, 2])
    # A cache that became complete is made anew.
    command = [*_command(data), "--workers", str(workers), *(["--force"] if _is_complete(data) else [])]
    before = _state(data)
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    while _state(data) == before and process.poll() is None:
        time.sleep(0.002)
    time.sleep(chance.uniform(0, 0.4))
    victim = chance.choice(["all processes", "the main process", "a worker"] if workers > 1 else ["all processes"])
    if process.poll() is not None:
        return "nobody (it had ended)"
    if victim == "a worker" and (children := _workers(process.pid)):
        os.kill(chance.choice(children), signal.SIGKILL)
        if process.wait(timeout=300) != 0:
            raise SystemExit("the command did not survive the death of a worker")
        return victim
    (os.killpg if victim == "all processes" else os.kill)(process.pid, signal.SIGKILL)
    process.wait()
    return victim


def _workers(pid: int) -> list[int]:
    """Worker processes of the command."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]


def _state(data: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in data.glob(".proto_saga/masks/*/*.png")}


def _is_complete(data: Path) -> bool:
    return len(_state(data)) == len(list((data / "images").iterdir()))


def _verify(data: Path, truth: dict[str, np.ndarray], complete: bool = False) -> int:
    """Every label map that is there is right; returns how many there are."""
    files = sorted(data.glob(".proto_saga/masks/*/*.png"))
    for file in files:
        if not np.array_equal(read_label_map(file), truth[file.stem]):
            raise SystemExit(f"{file} is wrong")
    if complete and {file.stem for file in files} != set(truth):
        raise SystemExit(f"{len(truth) - len(files)} label maps are missing")
    return len(files)


if __name__ == "__main__":
    tyro.cli(main)
