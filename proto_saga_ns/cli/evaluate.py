"""``proto-saga evaluate``: measure a segmentation by a published protocol."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.evaluation.standins.marks import mark_labels
from proto_saga_ns.masks.phrases.options import TextOptions
from proto_saga_ns.recognition.granularity import OBJECTS, LevelName, granularity_of, level_in_words

if TYPE_CHECKING:
    from proto_saga_ns.evaluation.calibration import Reliability
    from proto_saga_ns.evaluation.mask_consistency import MatchFrames
    from proto_saga_ns.masks.phrases.sources import TextMasks
    from proto_saga_ns.plugin.model.evaluate import PhraseResult

Protocol = Literal["instance", "best-mask", "consistency", "lerf-mask"]
Figures = dict[str, Any]
LEVEL = "level"
"""Among the figures of a run: what was measured, in words."""
STANDIN = "stand-in"
"""Among the figures: the marks of the stand-ins that were measured."""


@dataclass
class Evaluate:
    """Measure label maps by a published protocol, most often against ground truth.

    Either of a training run (--load-config: its test views are segmented, and PSNR, SSIM and LPIPS are reported too) or
    of a folder of PNG label maps (--predictions), file by file with the same stem.
    """

    ground_truth: Path | None = None
    """folder of label maps with the true instance ids, one for every view; consistency goes without. lerf-mask: the
    folder test_mask, with <test view>/<phrase>.png"""
    load_config: Path | None = None
    """instance and lerf-mask: config.yml of a training run"""
    predictions: Path | None = None
    """folder of predicted label maps; for best-mask, of one sequence"""
    protocol: Protocol = "instance"
    """instance: Gaga's protocol for Replica and ScanNet (mIoU, precision, recall; Hungarian matching over the scene).
    best-mask: MastSAM's protocol for DAVIS and MOSE (of each image the mask with the highest IoU; and one track for the
    whole sequence). consistency: whether the same place has the same id in all views (MastSAM's Eqs. 4 to 6); needs
    --data, and scores 100 if everything is one mask. lerf-mask: Gaussian Grouping's protocol (IoU and boundary IoU of
    what phrases choose in the first test view)"""
    json: Path | None = None
    """also write the figures to this file"""
    reliability: Path | None = None
    """instance, with --load-config: also draw the reliability diagram into this PNG file: of the pixels of each
    confidence, how many are right"""
    granularity: LevelName | float = "object"
    """instance, with --load-config: what is measured against the truth: group, object, part, or a number from 0
    (coarsest) to 1 (finest), of which 0.5 is object. Needs the strategy consensus"""
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
    text_masks: Path | None = None
    """lerf-mask: folder with <phrase>.png, the phrase's mask in the first test view, in place of the text model and
    Segment Anything. A phrase without file chooses nothing"""
    boxes: Path | None = None
    """lerf-mask: JSON file {"phrase": [[left, top, right, bottom], ...]} with boxes in the first test view, in pixels
    of its rendering, in place of the text model; Segment Anything makes masks of them"""
    text: TextOptions = field(default_factory=TextOptions)
    """lerf-mask: how a phrase becomes boxes, boxes a mask, and the mask a choice of instances"""

    def run(self) -> None:
        from proto_saga_ns.files import write_json

        _check_arguments(self)
        marks = mark_labels(self._paths())
        figures = _marked(_PROTOCOLS[self.protocol](self), marks)
        _print(figures, self.protocol)
        if self.json is not None:
            write_json(self.json, {name: value for name, value in figures.items() if value is not None})

    def _paths(self) -> list[Path]:
        given = (self.ground_truth, self.load_config, self.predictions, self.data, self.text_masks, self.boxes)
        return [path for path in given if path is not None]


def _marked(figures: Figures, marks: Sequence[str]) -> Figures:
    """Figures with the marks of stand-ins before all others, if there are any."""
    labels = sorted({*marks, *figures.pop(STANDIN, ())})
    return {STANDIN: labels, **figures} if labels else figures


def _instance(arguments: Evaluate) -> Figures:
    if (arguments.load_config is None) == (arguments.predictions is None):
        raise ProtoSagaError("Give either --load-config of a training run or --predictions DIR, not both.")
    ground_truth = _given(arguments, "ground_truth")
    if arguments.load_config is not None:
        granularity = granularity_of(arguments.granularity)
        if arguments.reliability is not None and granularity > OBJECTS:
            raise ProtoSagaError(
                f"--reliability means nothing at --granularity {arguments.granularity}: a part has no confidence of "
                "its own, only its object has. Leave it out, or stay at the level of objects or groups."
            )
        return _of_run(arguments.load_config, arguments.data, ground_truth, granularity, arguments.reliability)
    if arguments.reliability is not None:
        raise ProtoSagaError("--reliability needs --load-config: label maps in a folder have no confidence.")
    if arguments.granularity != "object":
        raise ProtoSagaError("--granularity needs --load-config: label maps in a folder keep the level that they have.")
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


def _lerf_mask(arguments: Evaluate) -> Figures:
    load_config, ground_truth = _given(arguments, "load_config"), _given(arguments, "ground_truth")
    text_masks = _text_masks(arguments)

    from proto_saga_ns.plugin.model.evaluate import evaluate_phrases
    from proto_saga_ns.plugin.run import load_run

    run = load_run(load_config, arguments.data)
    min_share = arguments.text.min_share
    result = evaluate_phrases(run.model, run.scene, run.cameras("test"), ground_truth, text_masks, min_share)
    _say_what_is_missing(result)
    figures = {**result.figures(), "chosen": {phrase: list(ids) for phrase, ids in result.chosen.items()}}
    return _marked(figures, mark_labels([run.data]))


def _text_masks(arguments: Evaluate) -> TextMasks:
    """From files, from boxes, or by the text model; what they need is looked for at once."""
    if arguments.text_masks is not None and arguments.boxes is not None:
        raise ProtoSagaError("Give --text-masks or --boxes, not both.")
    if arguments.text_masks is not None:
        from proto_saga_ns.masks.phrases.sources import masks_in_folder

        return masks_in_folder(arguments.text_masks)

    from proto_saga_ns.masks.phrases.find import TextFinder
    from proto_saga_ns.masks.phrases.sources import masks_by_model, masks_in_boxes

    finder = TextFinder(arguments.text)
    return masks_by_model(finder) if arguments.boxes is None else masks_in_boxes(arguments.boxes, finder)


def _say_what_is_missing(result: PhraseResult) -> None:
    from rich.console import Console

    console = Console(highlight=False, markup=False)
    if result.views_without_truth:
        console.print(f"No truth for the test views {', '.join(result.views_without_truth)}; they are left out.")
    nothing = [phrase for phrase, ids in result.chosen.items() if not ids]
    if nothing:
        console.print(f"These phrases chose no instance and score 0: {', '.join(nothing)}.")


_PROTOCOLS: dict[Protocol, Callable[[Evaluate], Figures]] = {
    "instance": _instance,
    "best-mask": _best_mask,
    "consistency": _consistency,
    "lerf-mask": _lerf_mask,
}

_FITTING: dict[Protocol, tuple[str, ...]] = {
    "instance": ("ground_truth", "load_config", "predictions", "data", "reliability", "granularity"),
    "best-mask": ("ground_truth", "predictions", "merge_objects"),
    "consistency": (
        *("ground_truth", "predictions", "data"),
        *("window", "epsilon", "depth_unit_scale_factor", "matcher"),
    ),
    "lerf-mask": ("ground_truth", "load_config", "data", "text_masks", "boxes", "text"),
}
"""Arguments that a protocol reads, beside those that all do."""


def _check_arguments(arguments: Evaluate) -> None:
    """Each argument that was given means something to the protocol."""
    fitting = (*_FITTING[arguments.protocol], "protocol", "json")
    for option in fields(arguments):
        default = option.default if option.default_factory is MISSING else option.default_factory()
        if option.name not in fitting and getattr(arguments, option.name) != default:
            others = [name for name, names in _FITTING.items() if option.name in names]
            raise ProtoSagaError(
                f"{_option(option.name)} means nothing to --protocol {arguments.protocol}, only to "
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


def _of_run(config: Path, data: Path | None, ground_truth: Path, granularity: float, diagram: Path | None) -> Figures:
    from proto_saga_ns.evaluation.calibration import CalibrationProtocol
    from proto_saga_ns.plugin.model.evaluate import evaluate_views
    from proto_saga_ns.plugin.model.image_quality import FIGURES
    from proto_saga_ns.plugin.run import load_run

    run = load_run(config, data)
    calibration = None if granularity > OBJECTS else CalibrationProtocol()
    views = run.cameras("test")
    result, quality = evaluate_views(run.model, run.scene, views, ground_truth, calibration, granularity)
    figures = {LEVEL: level_in_words(granularity), **result.figures(), **dict.fromkeys(FIGURES), **quality.figures()}
    if calibration is not None:
        reliability = calibration.result(result.matched_without_void)
        if diagram is not None:
            _draw(reliability, diagram)
        figures |= {**reliability.figures(), "reliability": reliability.to_json()}
    return _marked(figures, mark_labels([run.data]))


def _draw(reliability: Reliability, file: Path) -> None:
    from proto_saga_ns.evaluation.calibration import reliability_diagram
    from proto_saga_ns.files import write_atomically

    write_atomically(file, reliability_diagram({"confidence of the test views": reliability}))


def _match_frames(name: str | None) -> MatchFrames:
    """Matches that agree with the poses, by the matcher of that name, or by the best one that is installed."""
    from rich.console import Console

    from proto_saga_ns.mastsam.geometry import filter_matches
    from proto_saga_ns.mastsam.matchers.registry import default_matcher, make_matcher

    if name is None:
        name, reason = default_matcher()
        Console().print(reason, markup=False)
    matcher = make_matcher(name)
    return lambda a, b: filter_matches(matcher.match(a, b), a, b)


# Lengths may be tiny, percentages are not; SSIM and LPIPS are between 0 and 1.
_FORMATS = {"epsilon": ".2g", "SSIM": ".4f", "LPIPS": ".4f"}


def _print(figures: Figures, protocol: str) -> None:
    from rich.console import Console
    from rich.table import Table

    console, marks = Console(), figures.get(STANDIN, ())
    for label in marks:
        said = f"{label}: these figures say nothing about any data set."
        console.print(said, style="bold red", markup=False, highlight=False, soft_wrap=True)
    level = f", {figures[LEVEL]}" if LEVEL in figures else ""
    table = Table(title=f"{protocol} protocol{level}" + (", STAND-IN" if marks else ""))
    table.add_column("figure")
    table.add_column("value", justify="right")
    for name, value in figures.items():
        if isinstance(value, float):
            table.add_row(name, f"{value:{_FORMATS.get(name, '.2f')}}")
        elif isinstance(value, int):
            table.add_row(name, str(value))
        elif value is None:
            table.add_row(name, "no weights: see above")
    console.print(table)
