"""The demo's pictures: photo, rendering, instances, overlay and truth of every test view."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from proto_saga_ns.colors import colorize
from proto_saga_ns.files import write_atomically
from proto_saga_ns.labels import read_label_map
from proto_saga_ns.report.sheets import Block, Row, Sheet, draw_sheet
from proto_saga_ns.videos.pictures import to_uint8

if TYPE_CHECKING:
    from proto_saga_ns.cli.run import Run

SHOWN = {"rgb": "novel view", "segmentation": "instances", "segmentation_overlay": "overlay"}
COLUMNS = ("photo", *SHOWN.values(), "ground truth")


def write_demo_views(run: Run, ground_truth: Path, out: Path, rows: int = 6) -> None:
    """Write ``views/<stem>.png`` for every test view, and the first ``rows`` of them below each other in ``views.png``.

    Args:
        run: a run with a segmented scene.
        ground_truth: label maps of the true instances, shown in the last column in colours of their own.
        out: where to write.
    """
    views = []
    for path, camera, image in run.cameras("test"):
        outputs = run.model.get_outputs_for_camera(camera)
        shown = [to_uint8(picture.cpu().numpy()) for picture in (image, *(outputs[name] for name in SHOWN))]
        truth = colorize(read_label_map(ground_truth / f"{path.stem}.png"))
        views.append(Row([*shown, truth]))
        write_atomically(out / "views" / f"{path.stem}.png", draw_sheet(Sheet([Block(COLUMNS, views[-1:])])))
    write_atomically(out / "views.png", draw_sheet(Sheet([Block(COLUMNS, views[:rows])])))
