"""The demo's pictures: photo, rendering, instances, overlay and truth of every test view."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from proto_saga_ns.evaluation.instance import InstanceProtocol
from proto_saga_ns.evaluation.report.panels import SeenView
from proto_saga_ns.evaluation.report.pictures import truth_picture
from proto_saga_ns.evaluation.report.sheets import Block, Row, Sheet, draw_sheet
from proto_saga_ns.export.videos.pictures import to_uint8
from proto_saga_ns.files import write_atomically
from proto_saga_ns.labels import read_label_map
from proto_saga_ns.labels.colors import colorize, overlay
from proto_saga_ns.labels.view_names import view_name
from proto_saga_ns.plugin.model.evaluate import truths_of_views
from proto_saga_ns.plugin.model.views import segment_view
from proto_saga_ns.plugin.run import Run, load_run

COLUMNS = ("photo", "novel view", "instances", "overlay", "ground truth")
NOTES = ("Ground truth has the colours of the instances that it is matched with; hatched: matched with none.",)


def draw_views(load_config: Path, ground_truth: Path, out: Path) -> None:
    """``write_demo_views`` of the run with this config.yml."""
    write_demo_views(load_run(load_config), ground_truth, out)


def write_demo_views(run: Run, ground_truth: Path, out: Path, rows: int = 6) -> None:
    """Write ``views/<stem>.png`` for every test view, and the first ``rows`` of them below each other in ``views.png``.

    Args:
        run: a run with a segmented scene.
        ground_truth: label maps of the true instances, shown in the last column in the colours of their matches.
        out: where to write.

    Raises:
        ProtoSagaError: the scene is not segmented yet, or a test view has no ground truth.
    """
    views, matched = _segmented_views(run, ground_truth)
    shown = {view.name: _row(view, matched) for view in views}
    for name, row in shown.items():
        write_atomically(out / "views" / f"{name}.png", _sheet([row]))
    write_atomically(out / "views.png", _sheet([*shown.values()][:rows]))


def _segmented_views(run: Run, ground_truth: Path) -> tuple[list[SeenView], Mapping[int, int]]:
    """The test views, and the predicted id of each true instance that is matched, over all of them."""
    protocol, views = InstanceProtocol(), []
    cameras = list(run.cameras("test"))
    truths = truths_of_views([path for path, _, _ in cameras], ground_truth)
    for (path, camera, photo), file in zip(cameras, truths, strict=True):
        segmented = segment_view(run.model, run.scene, camera)
        truth = read_label_map(file)
        protocol.add(truth, segmented.labels)
        shown, rendering = to_uint8(photo.cpu().numpy()), to_uint8(segmented.rgb.cpu().numpy())
        views.append(SeenView(view_name(path), shown, rendering, segmented.labels, truth))
    return views, protocol.result().matched_without_void


def _row(view: SeenView, matched: Mapping[int, int]) -> Row:
    assert view.truth is not None
    instances, truth = colorize(view.labels), truth_picture(view.truth, matched)
    return Row([view.photo, view.rendering, instances, overlay(view.rendering, view.labels), truth])


def _sheet(rows: list[Row]) -> bytes:
    return draw_sheet(Sheet([Block(COLUMNS, rows)], NOTES))
