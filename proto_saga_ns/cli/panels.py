"""Pictures of novel views: photo, rendering and segmentation side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

from proto_saga_ns.colors import colorize
from proto_saga_ns.labels import read_label_map

if TYPE_CHECKING:
    from jaxtyping import Float, UInt8

    from proto_saga_ns.cli.run import Run

TITLE_HEIGHT = 18
SHOWN = {"rgb": "novel view", "segmentation": "instances", "segmentation_overlay": "overlay"}


def write_panels(run: Run, ground_truth: Path, out: Path, rows: int = 6) -> None:
    """Write ``views/<stem>.png`` for every test view, and the first ``rows`` of them below each other in ``views.png``.

    Args:
        run: a run with a segmented scene.
        ground_truth: label maps of the true instances, shown in the last column in colours of their own.
        out: where to write.
    """
    panels = []
    (out / "views").mkdir(parents=True, exist_ok=True)
    for path, camera, image in run.cameras("test"):
        outputs = run.model.get_outputs_for_camera(camera)
        columns = {"photo": _to_uint8(image.cpu().numpy())}
        columns |= {title: _to_uint8(outputs[name].cpu().numpy()) for name, title in SHOWN.items()}
        columns["ground truth"] = colorize(read_label_map(ground_truth / f"{path.stem}.png"))
        panels.append(_row(columns))
        Image.fromarray(panels[-1]).save(out / "views" / f"{path.stem}.png")
    Image.fromarray(np.concatenate(panels[:rows])).save(out / "views.png")


def _row(columns: dict[str, UInt8[np.ndarray, "H W 3"]]) -> UInt8[np.ndarray, "H2 W2 3"]:
    height, width = next(iter(columns.values())).shape[:2]
    row = Image.new("RGB", (width * len(columns), height + TITLE_HEIGHT), "white")
    draw = ImageDraw.Draw(row)
    for index, (title, image) in enumerate(columns.items()):
        row.paste(Image.fromarray(image), (index * width, TITLE_HEIGHT))
        draw.text((index * width + 4, 3), title, fill="black")
    return np.asarray(row)


def _to_uint8(image: Float[np.ndarray, "H W 3"]) -> UInt8[np.ndarray, "H W 3"]:
    return (image.clip(0, 1) * 255).round().astype(np.uint8)
