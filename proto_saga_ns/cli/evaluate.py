"""``proto-saga evaluate``: measure a segmentation by a published protocol."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.evaluation.prompt import Click, Prompt
from proto_saga_ns.evaluation.standins.marks import mark_labels
from proto_saga_ns.masks.phrases.options import TextOptions
from proto_saga_ns.recognition.granularity import OBJECTS, LevelName, granularity_of

Protocol = Literal["instance", "best-mask", "consistency", "lerf-mask", "reference-mask", "removal"]
Figures = dict[str, Any]


@dataclass
class Evaluate:
    """Measure label maps by a published protocol, most often against ground truth.

    Either of a training run (--load-config: its test views are segmented, and PSNR, SSIM and LPIPS are reported too) or
    of a folder of PNG label maps (--predictions), file by file with the same stem.
    """

    ground_truth: Path | None = None
    """folder of label maps with the true instance ids, one for every view; consistency goes without. lerf-mask: the
    folder test_mask, with <test view>/<phrase>.png. reference-mask: masks of one object, <view>.png, 0 outside; or
    masks/<object> of NVOS, or the folder of a scene of SPIn-NeRF. removal: images of the test views without the
    object"""
    load_config: Path | None = None
    """config.yml of a training run; for all but best-mask and consistency"""
    predictions: Path | None = None
    """folder of predicted label maps; for best-mask, of one sequence"""
    protocol: Protocol = "instance"
    """instance: Gaga's protocol for Replica and ScanNet (mIoU, precision, recall; Hungarian matching over the scene).
    best-mask: MastSAM's protocol for DAVIS and MOSE (of each image the mask with the highest IoU; and one track for the
    whole sequence). consistency: whether the same place has the same id in all views (MastSAM's Eqs. 4 to 6); needs
    --data, and scores 100 if everything is one mask. lerf-mask: Gaussian Grouping's protocol (IoU and boundary IoU of
    what phrases choose in the first test view). reference-mask: the protocol of NVOS and SPIn-NeRF (an object that is
    shown in one view is compared with its masks in the others; IoU, accuracy). removal: an object is taken out, and
    views are compared with images without it (PSNR, SSIM, holes)"""
    json: Path | None = None
    """also write the figures to this file"""
    reliability: Path | None = None
    """instance, with --load-config: also draw the reliability diagram into this PNG file: of the pixels of each
    confidence, how many are right"""
    granularity: LevelName | float = "object"
    """instance, with --load-config: what is measured against the truth: group, object, part, or a number from 0
    (coarsest) to 1 (finest), of which 0.5 is object. Needs the strategy consensus. reference-mask and removal: what
    clicks and scribbles choose, and what --instances are"""
    reference: str | None = None
    """reference-mask and removal: name of the view in which the object is shown (what NVOS says, else the first view
    that has a mask)"""
    clicks: tuple[Click, ...] = ()
    """reference-mask and removal: pixels of the rendered reference view that lie on the object, column and row of each;
    in place of its mask or scribbles"""
    negative_clicks: tuple[Click, ...] = ()
    """with --clicks: pixels that do not lie on the object"""
    instances: tuple[int, ...] = ()
    """removal: ids of what is taken out, in place of a reference view"""
    masks: Path | None = None
    """removal: the object's masks, <view>.png, of all test views: which pixels it covers, and what is meant. Without,
    those that the run gives to what is taken out"""
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
        _check_arguments(self)
        marks = mark_labels(self._paths())
        figures = _PROTOCOLS[self.protocol](self)

        from proto_saga_ns.cli.work.evaluate import show

        show(figures, self.protocol, marks, self.json)

    def _paths(self) -> list[Path]:
        given = (
            *(self.ground_truth, self.load_config, self.predictions, self.data),
            *(self.text_masks, self.boxes, self.masks),
        )
        return [path for path in given if path is not None]


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

        from proto_saga_ns.cli.work import evaluate_runs

        config, data = arguments.load_config, arguments.data
        return evaluate_runs.instance_figures(config, data, ground_truth, granularity, arguments.reliability)
    if arguments.reliability is not None:
        raise ProtoSagaError("--reliability needs --load-config: label maps in a folder have no confidence.")
    if arguments.granularity != "object":
        raise ProtoSagaError("--granularity needs --load-config: label maps in a folder keep the level that they have.")
    predictions = _given(arguments, "predictions")

    from proto_saga_ns.cli.work import evaluate_folders

    return evaluate_folders.instance_figures(predictions, ground_truth)


def _best_mask(arguments: Evaluate) -> Figures:
    predictions, ground_truth = _given(arguments, "predictions"), _given(arguments, "ground_truth")

    from proto_saga_ns.cli.work.evaluate_folders import best_mask_figures

    return best_mask_figures(predictions, ground_truth, arguments.merge_objects)


def _consistency(arguments: Evaluate) -> Figures:
    predictions, data = _given(arguments, "predictions"), _given(arguments, "data")

    from proto_saga_ns.cli.work.evaluate_folders import consistency_figures

    return consistency_figures(
        *(predictions, data, arguments.ground_truth, arguments.matcher),
        window=arguments.window,
        epsilon=arguments.epsilon,
        depth_scale=arguments.depth_unit_scale_factor,
    )


def _lerf_mask(arguments: Evaluate) -> Figures:
    load_config, ground_truth = _given(arguments, "load_config"), _given(arguments, "ground_truth")
    if arguments.text_masks is not None and arguments.boxes is not None:
        raise ProtoSagaError("Give --text-masks or --boxes, not both.")

    from proto_saga_ns.cli.work.phrases import text_masks

    # Before the next import, which takes seconds: what is missing shall be said at once.
    masks = text_masks(arguments.text_masks, arguments.boxes, arguments.text)

    from proto_saga_ns.cli.work.evaluate_runs import phrase_figures

    return phrase_figures(load_config, arguments.data, ground_truth, masks, arguments.text.min_share)


def _reference_mask(arguments: Evaluate) -> Figures:
    load_config, ground_truth = _given(arguments, "load_config"), _given(arguments, "ground_truth")
    _check_clicks(arguments)

    from proto_saga_ns.cli.work.evaluate_objects import reference_figures

    return reference_figures(load_config, arguments.data, ground_truth, _prompt(arguments))


def _removal(arguments: Evaluate) -> Figures:
    load_config, ground_truth = _given(arguments, "load_config"), _given(arguments, "ground_truth")
    _check_clicks(arguments)
    if arguments.instances and (arguments.reference is not None or arguments.clicks):
        raise ProtoSagaError("Give --instances, or show the object with --reference and --clicks, not both.")
    if not arguments.instances and arguments.masks is None and not (arguments.reference and arguments.clicks):
        raise ProtoSagaError(
            "--protocol removal needs to know what is taken out: --instances ID ..., or --masks DIR with the object's "
            "masks, or --reference VIEW and --clicks COLUMN ROW."
        )

    from proto_saga_ns.cli.work.evaluate_objects import removal_figures

    chosen = arguments.instances or _prompt(arguments)
    level = granularity_of(arguments.granularity)
    return removal_figures(load_config, arguments.data, ground_truth, arguments.masks, chosen, level)


def _check_clicks(arguments: Evaluate) -> None:
    if arguments.negative_clicks and not arguments.clicks:
        raise ProtoSagaError("--negative-clicks takes away from what --clicks choose. Give these, too.")


def _prompt(arguments: Evaluate) -> Prompt:
    level = granularity_of(arguments.granularity)
    return Prompt(arguments.reference, arguments.clicks, arguments.negative_clicks, level)


_PROTOCOLS: dict[Protocol, Callable[[Evaluate], Figures]] = {
    "instance": _instance,
    "best-mask": _best_mask,
    "consistency": _consistency,
    "lerf-mask": _lerf_mask,
    "reference-mask": _reference_mask,
    "removal": _removal,
}

_FITTING: dict[Protocol, tuple[str, ...]] = {
    "instance": ("ground_truth", "load_config", "predictions", "data", "reliability", "granularity"),
    "best-mask": ("ground_truth", "predictions", "merge_objects"),
    "consistency": (
        *("ground_truth", "predictions", "data"),
        *("window", "epsilon", "depth_unit_scale_factor", "matcher"),
    ),
    "lerf-mask": ("ground_truth", "load_config", "data", "text_masks", "boxes", "text"),
    "reference-mask": (
        *("ground_truth", "load_config", "data", "granularity"),
        *("reference", "clicks", "negative_clicks"),
    ),
    "removal": (
        *("ground_truth", "load_config", "data", "granularity"),
        *("reference", "clicks", "negative_clicks", "instances", "masks"),
    ),
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
