"""The demo's pictures of test views: what is right has one colour everywhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from proto_saga_ns.cli.work.demo import COLUMNS, write_demo_views
from proto_saga_ns.evaluation.report.sheets import GAP
from proto_saga_ns.labels import write_label_map
from proto_saga_ns.plugin.model.views import segment_view
from proto_saga_ns.plugin.run import load_run
from tests.conftest import TrainedRun


def test_truth_that_differs_by_its_ids_alone_looks_like_the_instances(trained_run: TrainedRun, tmp_path: Path) -> None:
    run = load_run(trained_run.config)
    labels = {path.stem: segment_view(run.model, run.scene, camera).labels for path, camera, _ in run.cameras("test")}
    other_ids = np.random.default_rng(0).permutation(np.arange(1, 200))
    for stem, found in labels.items():
        write_label_map(tmp_path / "truth" / f"{stem}.png", np.concatenate([[0], other_ids])[found].astype(np.int32))
    write_demo_views(run, tmp_path / "truth", tmp_path / "out", rows=1)
    assert {path.stem for path in (tmp_path / "out" / "views").iterdir()} == {*labels}
    for stem, found in labels.items():
        sheet = np.asarray(Image.open(tmp_path / "out" / "views" / f"{stem}.png"))
        instances, truth = (_column(sheet, name, found.shape[1]) for name in ("instances", "ground truth"))
        same = (instances == truth).all((1, 2))
        assert len(np.unique(found)) > 2 and _longest_run(same) >= found.shape[0]


def _column(sheet: np.ndarray, name: str, width: int) -> np.ndarray:
    left = GAP + COLUMNS.index(name) * (width + GAP)
    return sheet[:, left : left + width]


def _longest_run(flags: np.ndarray) -> int:
    return max(len(part) for part in "".join("x" if flag else " " for flag in flags).split(" "))
