"""What the tracker costs without its networks, and how time and memory grow with the length of a sequence.

A window glides over a textured world, 384x288 pixels and about 50 masks at a time, whose labels are shuffled from frame
to frame; the matcher knows the true correspondences. Masks vote (no prompts), the order is that of a video. Every
length is tracked in a process of its own. Prints a Markdown table and writes it to results/bench_tracking.md. Run with
OMP_NUM_THREADS=1.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

import numpy as np
import tyro
from PIL import Image
from scipy.ndimage import gaussian_filter
from scipy.spatial import KDTree

from proto_saga_ns.labels import write_label_map
from proto_saga_ns.mastsam.frames import Frame
from proto_saga_ns.mastsam.matches import Matches
from proto_saga_ns.mastsam.sequence import ImageSequence, SequenceOptions, Tracking, write_tracks

T = TypeVar("T")

HEIGHT, WIDTH, MASKS = 288, 384, 50
SPEED = 4
"""pixels a frame"""
POINTS = 2000
"""matches between two frames at the same place"""
LAST = 10


class TrueMatcher:
    """Points of the world that lie in both windows; frames are named by their number."""

    name = "true"

    def __init__(self, frames: int) -> None:
        self.settings = {"points": POINTS}
        rng = np.random.default_rng(1)
        width = _world_width(frames)
        self._xy = rng.uniform((0, 0), (width, HEIGHT), (POINTS * width // WIDTH, 2))
        self._xy = self._xy[np.argsort(self._xy[:, 0])]

    def match(self, a: Frame, b: Frame) -> Matches:
        starts = [SPEED * int(frame.name) for frame in (a, b)]
        first, last = np.searchsorted(self._xy[:, 0], (max(starts), min(starts) + WIDTH - 0.01))
        xy = self._xy[first : max(first, last)]
        xy_a, xy_b = (np.ascontiguousarray((xy - (start, 0)), np.float32) for start in starts)
        return Matches(xy_a, xy_b, np.ones(len(xy), np.float32))


def main(
    frames: tuple[int, ...] = (25, 100, 400),
    windows: tuple[int, ...] = (5, 20),
    output: Path = Path("results/bench_tracking.md"),
) -> None:
    """Time the tracker.

    Args:
        frames: lengths of the sequences.
        windows: earlier frames that each frame is compared with.
        output: Markdown file to write.
    """
    lines = [
        f"| window | frames | frames a second | seconds a frame | of it CPU | CPU, last {LAST} frames "
        "| peak resident MiB | of it before the first frame | work folder, KiB a frame | tracks |",
        f"|{'---|' * 10}",
    ]
    with tempfile.TemporaryDirectory() as folder:
        write_sequence(Path(folder), max(frames))
        for window in windows:
            for count in frames:
                lines.append(_row(window, count, _in_a_fresh_process(Path(folder), count, window)))
                print(lines[-1], flush=True)
    table = "\n".join(lines) + "\n"
    print(f"\n{table}")
    output.parent.mkdir(parents=True, exist_ok=True)
    command = f"OMP_NUM_THREADS=1 python scripts/bench_tracking.py {' '.join(sys.argv[1:])}".strip()
    output.write_text(f"`{command}`\n\n{table}")


def measure(folder: Path, frames: int, window: int) -> dict[str, float]:
    """Track the first frames of the sequence in this process.

    Returns:
        Seconds a frame by the clock and of the CPU, the latter of the last frames too, peak memory in MiB at the end
        and before the first frame, bytes of the work folder, number of tracks.
    """
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    paths = [(folder / "images" / f"{n:05d}.png", folder / "masks" / f"{n:05d}.png") for n in range(frames)]
    sequence = ImageSequence([image for image, _ in paths], [masks for _, masks in paths])
    options = SequenceOptions(order="sequence", window=window)
    before, ends = _peak_mib(), [_clocks()]

    def progress(items: Iterable[T], what: str, total: int | None = None) -> Iterable[T]:
        del what, total
        for item in items:
            yield item
            ends.append(_clocks())

    with tempfile.TemporaryDirectory() as work:
        tracking = Tracking(sequence, TrueMatcher(frames), options, Path(work) / "work")
        tracking.run(progress)
        tracks = write_tracks(tracking, sequence, Path(work), options.required_frames(frames))
        wall, cpu = _clocks() - ends[0]
        size = sum(path.stat().st_size for path in (Path(work) / "work").rglob("*.npz"))
    return {
        "wall": wall / frames,
        "cpu": cpu / frames,
        "last": (ends[-1] - ends[-1 - LAST])[1] / LAST if frames > LAST else float("nan"),
        "peak": _peak_mib(),
        "before": before,
        "size": size,
        "tracks": len(tracks),
    }


def write_sequence(folder: Path, frames: int) -> None:
    """Images and shuffled label maps, ``images/00000.png`` and ``masks/00000.png``."""
    rng = np.random.default_rng(0)
    width = _world_width(frames)
    texture = gaussian_filter(rng.uniform(0, 255, (HEIGHT, width, 3)), (1.5, 1.5, 0)) - 127.5
    world = (4 * texture + 127.5).clip(0, 255).astype(np.uint8)
    seeds = rng.uniform((0, 0), (HEIGHT, width), (round(MASKS * width / WIDTH), 2))
    pixels = np.moveaxis(np.mgrid[:HEIGHT, :width], 0, -1).reshape(-1, 2)
    cells = KDTree(seeds).query(pixels)[1].reshape(HEIGHT, width)
    for name in ("images", "masks"):
        (folder / name).mkdir()
    for number in range(frames):
        view = slice(SPEED * number, SPEED * number + WIDTH)
        Image.fromarray(world[:, view]).save(folder / "images" / f"{number:05d}.png")
        ids, labels = np.unique(cells[:, view], return_inverse=True)
        shuffled = (rng.permutation(len(ids)) + 1)[labels].reshape(HEIGHT, WIDTH)
        write_label_map(folder / "masks" / f"{number:05d}.png", shuffled)


def _in_a_fresh_process(folder: Path, frames: int, window: int) -> dict[str, float]:
    code = (
        f"import sys, json; sys.path.insert(0, {str(Path(__file__).parent)!r}); "
        "from pathlib import Path; from bench_tracking import measure; "
        f"print(json.dumps(measure(Path({str(folder)!r}), {frames}, {window})))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def _row(window: int, frames: int, found: dict[str, float]) -> str:
    return (
        f"| {window} | {frames} | {1 / found['wall']:.2f} | {found['wall']:.3f} | {found['cpu']:.3f} "
        f"| {found['last']:.3f} | {found['peak']:.0f} | {found['before']:.0f} "
        f"| {found['size'] / frames / 1024:.0f} | {found['tracks']:.0f} |"
    )


def _clocks() -> np.ndarray:
    """Seconds by the clock, and of the CPU: others may share the machine."""
    return np.array([time.perf_counter(), time.process_time()])


def _peak_mib() -> float:
    # Not getrusage: its figure starts with the parent's.
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024


def _world_width(frames: int) -> int:
    return WIDTH + SPEED * (frames - 1)


if __name__ == "__main__":
    tyro.cli(main)
