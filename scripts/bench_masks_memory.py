"""Whether memory stays flat while Segment Anything and SAM 2 make masks of many photos.

The real automatic mask generators with small models of random weights (those of the tests), a grid of 3x3 points, and
filters that let everything pass. Prints a Markdown table and writes it to results/bench_masks_memory.md. Run from the
root of the repository: PYTHONPATH=. OMP_NUM_THREADS=1 python scripts/bench_masks_memory.py --data DIR
"""

from __future__ import annotations

import resource
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import tyro

from proto_saga_ns.labels import read_rgb
from proto_saga_ns.labels.images import find_images
from proto_saga_ns.masks.segmenters import Sam2Segmenter, Sam2Settings, SamSegmenter, SamSettings, Segmenter
from tests.masks.segmenters.tiny_models import LENIENT, save_tiny_sam, save_tiny_sam2

EVERY = 5


def main(data: Path, output: Path = Path("results/bench_masks_memory.md")) -> None:
    """Measure.

    Args:
        data: a folder of photos.
        output: Markdown file to write.
    """
    images = find_images(data)
    lines = [f"{len(images)} photos\n", "| backend | masks a photo | s a photo | resident MiB after each 5th photo |"]
    lines.append("|---|---|---|---|")
    for segmenter in _segmenters():
        memory, masks, start = [], 0, time.perf_counter()
        for count, path in enumerate(images, 1):
            masks += int(segmenter(read_rgb(path)).max())
            if count % EVERY == 0:
                memory.append(_resident_mib())
        seconds = (time.perf_counter() - start) / len(images)
        row = f"| {segmenter.name} | {masks / len(images):.1f} | {seconds:.2f} | {' '.join(map(str, memory))} |"
        print(row, flush=True)
        lines.append(row)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text("\n".join(lines) + "\n")


def _segmenters() -> Iterator[Segmenter]:
    settings = {**LENIENT, "points_per_side": 3}
    with tempfile.TemporaryDirectory() as folder:
        yield SamSegmenter(SamSettings(checkpoint=save_tiny_sam(Path(folder) / "sam.pth"), **settings))
        yield Sam2Segmenter(Sam2Settings(model=str(save_tiny_sam2(Path(folder) / "sam2")), **settings))


def _resident_mib() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() // 2**20


if __name__ == "__main__":
    tyro.cli(main)
