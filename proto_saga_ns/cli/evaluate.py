"""``proto-saga evaluate``: measure a segmentation by a published protocol."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from proto_saga_ns.errors import ProtoSagaError

if TYPE_CHECKING:
    from proto_saga_ns.evaluation.mask_consistency import MatchFrames

Protocol = Literal["instance", "best-mask", "consistency"]
Figures = dict[str, Any]


@dataclass
class Evaluate:
    """Measure label maps by a published protocol, most often against ground truth.

    Either of a training run (--load-config: its test views are segmented, and PSNR is reported too) or of a folder of
    PNG label maps (--predictions), file by file with the same stem.
    """

    ground_truth: Path | None = None
    """folder of label maps with the true instance ids, one for every view; consistency goes without"""
    load_config: Path | None = None
    """instance: config.yml of a training run"""
    predictions: Path | None = None
    """folder of predicted label maps; for best-mask, of one sequence"""
    protocol: Protocol = "instance"
    """instance: Gaga's protocol for Replica and ScanNet (mIoU, precision, recall; Hungarian matching over the scene).
    best-mask: MastSAM's protocol for DAVIS and MOSE (of each image the mask with the highest IoU; and one track for the
    whole sequence). consistency: whether the same place has the same id in all views (MastSAM's Eqs. 4 to 6); needs
    --data, and scores 100 if everything is one mask"""
    json: Path | None = None
    """also write the figures to this file"""
    data: Path | None = None
    """consistency: folder of posed images (transforms.json), with depth maps if there are any. --load-config: where the
    data lies now, if it has moved since training"""
    merge_objects: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """best-mask: take all annotated objects for one, as DAVIS 2016 does"""
    window: int | None = None
    """consistency: compare frames that are at most so many places apart in name order (10 with depth maps, else 1)"""
    epsilon: float | None = None
    """consistency: greatest distance of points that are the same place, in units of the poses (what a pixel covers at
    the median depth)"""
    depth_unit_scale_factor: float = 1e-3
    """consistency: units of the poses in one unit of the depth maps, as in nerfstudio (depth in millimetres)"""
    matcher: str | None = None
    """consistency without depth maps: what finds the points that two frames share, as in proto-saga track"""

    def run(self) -> None:
        from proto_saga_ns.files import write_json

        _check_arguments(self)
        figures = _PROTOCOLS[self.protocol](self)
        _print(figures, self.protocol)
        if self.json is not None:
            write_json(self.json, figures)


def _instance(arguments: Evaluate) -> Figures:
    if (arguments.load_config is None) == (arguments.predictions is None):
        raise ProtoSagaError("Give either --load-config of a training run or --predictions DIR, not both.")
    ground_truth = _given(arguments, "ground_truth")
    if arguments.load_config is not None:
        return _of_run(arguments.load_config, arguments.data, ground_truth)
    return _of_folder(_given(arguments, "predictions"), ground_truth)


def _best_mask(arguments: Evaluate) -> Figures:
    from proto_saga_ns.evaluation.folders import evaluate_best_masks

    predictions, ground_truth = _given(arguments, "predictions"), _given(arguments, "ground_truth")
    return evaluate_best_masks(predictions, ground_truth, merge_objects=arguments.merge_objects).figures()


def _consistency(arguments: Evaluate) -> Figures:
    from proto_saga_ns.evaluation.scene_consistency import ConsistencyOptions, evaluate_consistency

    predictions, data = _given(arguments, "predictions"), _given(arguments, "data")
    options = ConsistencyOptions(arguments.window, arguments.epsilon, arguments.depth_unit_scale_factor)
    figures: Figures = {}
    if arguments.ground_truth is not None:
        # First, since it is quick and finds what is missing.
        figures = {"mIoU": _of_folder(predictions, arguments.ground_truth)["mIoU"]}
    result = evaluate_consistency(predictions, data, options, lambda: _match_frames(arguments.matcher))
    return {**result.figures(), **figures}


_PROTOCOLS: dict[Protocol, Callable[[Evaluate], Figures]] = {
    "instance": _instance,
    "best-mask": _best_mask,
    "consistency": _consistency,
}

_FITTING: dict[Protocol, tuple[str, ...]] = {
    "instance": ("ground_truth", "load_config", "predictions", "data"),
    "best-mask": ("ground_truth", "predictions", "merge_objects"),
    "consistency": (
        *("ground_truth", "predictions", "data"),
        *("window", "epsilon", "depth_unit_scale_factor", "matcher"),
    ),
}
"""Arguments that a protocol reads, beside those that all do."""


def _check_arguments(arguments: Evaluate) -> None:
    """Each argument that was given means something to the protocol."""
    fitting = (*_FITTING[arguments.protocol], "protocol", "json")
    for field in fields(arguments):
        assert field.default is not MISSING
        if field.name not in fitting and getattr(arguments, field.name) != field.default:
            others = [name for name, names in _FITTING.items() if field.name in names]
            raise ProtoSagaError(
                f"{_option(field.name)} means nothing to --protocol {arguments.protocol}, only to "
                f"{' and '.join(others)}. Leave it out, or choose another protocol."
            )


def _given(arguments: Evaluate, name: str) -> Path:
    value = getattr(arguments, name)
    if value is None:
        raise ProtoSagaError(f"--protocol {arguments.protocol} needs {_option(name)} DIR.")
    return value


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _of_folder(predictions: Path, ground_truth: Path) -> Figures:
    from proto_saga_ns.evaluation.folders import evaluate_folders

    return evaluate_folders(predictions, ground_truth).figures()


def _of_run(config: Path, data: Path | None, ground_truth: Path) -> Figures:
    from proto_saga_ns.cli.run import load_run
    from proto_saga_ns.model.evaluate import evaluate_views

    run = load_run(config, data)
    result, psnr = evaluate_views(run.model, run.scene, run.cameras("test"), ground_truth)
    return {**result.figures(), "PSNR": psnr}


def _match_frames(name: str | None) -> MatchFrames:
    """Matches that agree with the poses, by the matcher of that name, or by the best one that is installed."""
    from rich.console import Console

    from proto_saga_ns.mastsam.geometry import filter_matches
    from proto_saga_ns.mastsam.matchers.registry import (
        default_matcher,
        make_matcher,
    )

    if name is None:
        name, reason = default_matcher()
        Console().print(reason, markup=False)
    matcher = make_matcher(name)
    return lambda a, b: filter_matches(matcher.match(a, b), a, b)


def _print(figures: Figures, protocol: str) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{protocol} protocol")
    table.add_column("figure")
    table.add_column("value", justify="right")
    for name, value in figures.items():
        if isinstance(value, float):
            # Lengths may be tiny, percentages are not.
            table.add_row(name, f"{value:.2g}" if name == "epsilon" else f"{value:.2f}")
        elif isinstance(value, int):
            table.add_row(name, str(value))
    Console().print(table)
