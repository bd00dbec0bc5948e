"""Figures of training runs, whose views are segmented first."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from proto_saga_ns.cli.work.evaluate import LEVEL, Figures, marked
from proto_saga_ns.evaluation.calibration import CalibrationProtocol, Reliability, reliability_diagram
from proto_saga_ns.evaluation.standins.marks import mark_labels
from proto_saga_ns.files import write_atomically
from proto_saga_ns.plugin.model.evaluate import PhraseResult, evaluate_phrases, evaluate_views
from proto_saga_ns.plugin.model.image_quality import FIGURES
from proto_saga_ns.plugin.run import load_run
from proto_saga_ns.recognition.granularity import OBJECTS, level_in_words

if TYPE_CHECKING:
    from proto_saga_ns.masks.phrases.sources import TextMasks


def instance_figures(
    load_config: Path, data: Path | None, ground_truth: Path, granularity: float, diagram: Path | None
) -> Figures:
    """Of Gaga's protocol, of the quality of the pictures, and of how far confidence can be relied on.

    Args:
        load_config: config.yml of the run.
        data: where its data lies now, if it has moved.
        granularity: the level that is measured; parts have no confidence of their own.
        diagram: PNG file for the reliability diagram.
    """
    run = load_run(load_config, data)
    calibration = None if granularity > OBJECTS else CalibrationProtocol()
    views = run.cameras("test")
    result, quality = evaluate_views(run.model, run.scene, views, ground_truth, calibration, granularity)
    figures = {LEVEL: level_in_words(granularity), **result.figures(), **dict.fromkeys(FIGURES), **quality.figures()}
    if calibration is not None:
        reliability = calibration.result(result.matched_without_void)
        if diagram is not None:
            _draw(reliability, diagram)
        figures |= {**reliability.figures(), "reliability": reliability.to_json()}
    return marked(figures, mark_labels([run.data]))


def phrase_figures(
    load_config: Path, data: Path | None, ground_truth: Path, text_masks: TextMasks, min_share: float
) -> Figures:
    """Of Gaussian Grouping's protocol.

    Args:
        load_config: config.yml of the run.
        data: where its data lies now, if it has moved.
        ground_truth: holds <test view>/<phrase>.png.
        min_share: of an instance that has to lie on the mask of a phrase.
    """
    run = load_run(load_config, data)
    result = evaluate_phrases(run.model, run.scene, run.cameras("test"), ground_truth, text_masks, min_share)
    _say_what_is_missing(result)
    figures = {**result.figures(), "chosen": {phrase: list(ids) for phrase, ids in result.chosen.items()}}
    return marked(figures, mark_labels([run.data]))


def _draw(reliability: Reliability, file: Path) -> None:
    write_atomically(file, reliability_diagram({"confidence of the test views": reliability}))


def _say_what_is_missing(result: PhraseResult) -> None:
    console = Console(highlight=False, markup=False)
    if result.views_without_truth:
        console.print(f"No truth for the test views {', '.join(result.views_without_truth)}; they are left out.")
    nothing = [phrase for phrase, ids in result.chosen.items() if not ids]
    if nothing:
        console.print(f"These phrases chose no instance and score 0: {', '.join(nothing)}.")
