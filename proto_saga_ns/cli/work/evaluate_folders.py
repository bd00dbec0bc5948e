"""Figures of label maps in folders."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from proto_saga_ns.cli.work.evaluate import Figures
from proto_saga_ns.evaluation.folders import evaluate_best_masks, evaluate_folders
from proto_saga_ns.evaluation.scene_consistency import ConsistencyOptions, evaluate_consistency
from proto_saga_ns.mastsam.geometry import filter_matches
from proto_saga_ns.mastsam.matchers.registry import default_matcher, make_matcher

if TYPE_CHECKING:
    from proto_saga_ns.evaluation.mask_consistency import MatchFrames


def instance_figures(predictions: Path, ground_truth: Path) -> Figures:
    """Of Gaga's protocol."""
    return evaluate_folders(predictions, ground_truth).figures()


def best_mask_figures(predictions: Path, ground_truth: Path, merge_objects: bool) -> Figures:
    """Of MastSAM's protocol for sequences."""
    return evaluate_best_masks(predictions, ground_truth, merge_objects=merge_objects).figures()


def consistency_figures(
    predictions: Path,
    data: Path,
    ground_truth: Path | None,
    matcher: str | None,
    *,
    window: int | None,
    epsilon: float | None,
    depth_scale: float,
) -> Figures:
    """Whether the same place has the same id in all views; with ground truth also mIoU.

    Args:
        data: folder of posed images.
        matcher: what finds the points that frames share, where there are no depth maps.
        window, epsilon, depth_scale: see ``ConsistencyOptions``.
    """
    figures: Figures = {}
    if ground_truth is not None:
        # First, since it is quick and finds what is missing.
        figures = {"mIoU": instance_figures(predictions, ground_truth)["mIoU"]}
    options = ConsistencyOptions(window, epsilon, depth_scale)
    result = evaluate_consistency(predictions, data, options, lambda: _match_frames(matcher))
    return {**result.figures(), **figures}


def _match_frames(name: str | None) -> MatchFrames:
    """Matches that agree with the poses, by the matcher of that name, or by the best one that is installed."""
    if name is None:
        name, reason = default_matcher()
        Console().print(reason, markup=False)
    matcher = make_matcher(name)
    return lambda a, b: filter_matches(matcher.match(a, b), a, b)
