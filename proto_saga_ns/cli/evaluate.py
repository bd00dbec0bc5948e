"""``proto-saga evaluate``: compare a segmentation with ground truth by a published protocol."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from proto_saga_ns.errors import ProtoSagaError


@dataclass
class Evaluate:
    """Measure label maps against ground truth.

    Either of a training run (--load-config: its test views are segmented, and PSNR is reported too) or of a folder of
    PNG label maps (--predictions), file by file with the same stem.
    """

    ground_truth: Path
    """folder of label maps with the true instance ids, one for every view"""
    load_config: Path | None = None
    """config.yml of a training run"""
    predictions: Path | None = None
    """folder of predicted label maps"""
    protocol: Literal["instance"] = "instance"
    """instance: Gaga's protocol for Replica and ScanNet (mIoU, precision, recall; Hungarian matching over the scene)"""
    json: Path | None = None
    """also write the figures to this file"""
    data: Path | None = None
    """where the data lies now, if it has moved since training"""

    def run(self) -> None:
        from proto_saga_ns.files import write_json

        if (self.load_config is None) == (self.predictions is None):
            raise ProtoSagaError("Give either --load-config of a training run or --predictions DIR, not both.")
        figures = self._of_run() if self.load_config is not None else self._of_folder()
        _print(figures)
        if self.json is not None:
            write_json(self.json, figures)

    def _of_folder(self) -> dict[str, Any]:
        from proto_saga_ns.evaluation.folders import evaluate_folders

        assert self.predictions is not None
        return evaluate_folders(self.predictions, self.ground_truth).figures()

    def _of_run(self) -> dict[str, Any]:
        from proto_saga_ns.cli.run import load_run
        from proto_saga_ns.model.evaluate import evaluate_views

        assert self.load_config is not None
        run = load_run(self.load_config, self.data)
        result, psnr = evaluate_views(run.model, run.scene, run.cameras("test"), self.ground_truth)
        return {**result.figures(), "PSNR": psnr}


def _print(figures: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title="instance protocol")
    table.add_column("figure")
    table.add_column("value", justify="right")
    for name, value in figures.items():
        if isinstance(value, float):
            table.add_row(name, f"{value:.2f}")
        elif isinstance(value, int):
            table.add_row(name, str(value))
    Console().print(table)
