"""What the pipeline around a segmenter costs per image: reading, flattening, writing (budget: 0.15 s on one core).

Photos of 1080x1920 with 100 masks; the segmenter is one that has found the masks before, as run lengths, and flattens
them. Prints a Markdown table and writes it to results/bench_masks.md. Run with OMP_NUM_THREADS=1.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from PIL import Image

from proto_saga_ns.labels import cut_patch, flatten_patches
from proto_saga_ns.labels.images import read_rgb
from proto_saga_ns.labels.overview import write_report
from proto_saga_ns.masks.cache import cache_folder, mask_jobs
from proto_saga_ns.masks.segmenters.sam import decode_rle
from proto_saga_ns.masks.survey import survey
from proto_saga_ns.masks.workers import make_masks

HEIGHT, WIDTH, MASKS = 1080, 1920, 100
BUDGET = 0.15


class ReadySegmenter:
    """Flattens the same masks for every image, from the run lengths that Segment Anything gives."""

    name = "ready"

    def __init__(self, labels: np.ndarray) -> None:
        self.settings = {"masks": int(labels.max())}
        self._height, self._width = labels.shape
        self._runs = [_run_lengths(labels == label) for label in range(1, int(labels.max()) + 1)]

    def __call__(self, image: np.ndarray) -> np.ndarray:
        del image
        patches = (cut_patch(decode_rle(runs), score) for score, runs in enumerate(self._runs))
        return flatten_patches(patches, self._height, self._width)


def _run_lengths(mask: np.ndarray) -> dict[str, Any]:
    """COCO's uncompressed run lengths: down the columns, zeros first."""
    flat = mask.T.reshape(-1)
    changes = np.flatnonzero(np.diff(flat, prepend=False))
    return {"size": mask.shape, "counts": np.diff(changes, prepend=0, append=len(flat)).tolist()}


def main(images: int = 12, output: Path = Path("results/bench_masks.md")) -> None:
    """Time the pipeline.

    Args:
        images: photos; medians and means a photo are printed.
        output: Markdown file to write.
    """
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        paths = _write_photos(Path(folder), images, rng)
        segmenter = ReadySegmenter(_voronoi(rng))
        jobs = mask_jobs(cache_folder(Path(folder) / ".proto_saga" / "masks", segmenter), paths)
        memory: list[float] = []
        making = _seconds_each(
            lambda: memory.extend(_resident_mib() for _ in make_masks(jobs, lambda: segmenter)), images
        )
        checking = _seconds_each(lambda: survey(paths, segmenter, Path(folder)), images)
        again = _seconds_each(lambda: [job.current_fingerprint() for job in jobs], images)
        reading = statistics.median(_seconds_each(lambda path=path: read_rgb(path), 1) for path in paths)
        masks = jobs[0].target.parent
        report = _seconds_each(lambda: write_report(paths, masks, Path(folder) / "report.html", "bench"), images)
        size = jobs[0].target.stat().st_size / 1024
    table = (
        "| per image of 1080x1920 with 100 masks, one core | seconds |\n|---|---|\n"
        f"| making: read, fingerprint, decode, flatten 100 masks, encode and write | {making:.3f} |\n"
        f"| budget | {BUDGET:.3f} |\n"
        f"| of it decoding the JPEG | {reading:.3f} |\n"
        f"| finding that a label map is up to date (training) | {again:.4f} |\n"
        f"| verifying it, pixels decoded (`masks --check`) | {checking:.3f} |\n"
        f"| report | {report:.3f} |\n\n"
        f"A label map takes {size:.0f} KiB. Memory: {memory[min(4, images - 1)]:.0f} MiB after the 5th image, "
        f"{memory[-1]:.0f} MiB after the {images}th.\n"
    )
    print(table)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(f"`OMP_NUM_THREADS=1 python scripts/bench_masks.py --images {images}`\n\n{table}")


def _seconds_each(work: Callable[[], object], count: int) -> float:
    start = time.perf_counter()
    work()
    return (time.perf_counter() - start) / count


def _resident_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def _write_photos(folder: Path, count: int, rng: np.random.Generator) -> list[Path]:
    """JPEGs with the detail of a photo: smooth shapes and grain."""
    (folder / "images").mkdir()
    paths = [folder / "images" / f"{index:03d}.jpg" for index in range(count)]
    for path in paths:
        coarse = Image.fromarray(rng.integers(0, 255, (27, 48, 3), dtype=np.uint8))
        smooth = np.asarray(coarse.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC), np.float32)
        grain = rng.normal(0, 6, (HEIGHT, WIDTH, 1))
        Image.fromarray((smooth + grain).clip(0, 255).astype(np.uint8)).save(path, quality=92)
    return paths


def _voronoi(rng: np.random.Generator) -> np.ndarray:
    """A label map of 100 regions with borders as jagged as a segmenter's."""
    seeds = rng.uniform((0, 0), (HEIGHT, WIDTH), (MASKS, 2))
    pixels = np.moveaxis(np.mgrid[:HEIGHT, :WIDTH], 0, -1) + rng.normal(0, 1.5, (HEIGHT, WIDTH, 2))
    best = np.full((HEIGHT, WIDTH), np.inf)
    labels = np.zeros((HEIGHT, WIDTH), np.int32)
    for label, seed in enumerate(seeds, 1):
        distance = ((pixels - seed) ** 2).sum(-1)
        labels[distance < best] = label
        best = np.minimum(best, distance)
    return labels


if __name__ == "__main__":
    tyro.cli(main)
