"""Figures of one object of a training run: found again in other views, or taken out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from proto_saga_ns.cli.work.evaluate import LEVEL, Figures, marked
from proto_saga_ns.cli.work.printing import say
from proto_saga_ns.evaluation.prompt import Prompt
from proto_saga_ns.evaluation.reference_mask import Choice
from proto_saga_ns.evaluation.standins.marks import mark_labels
from proto_saga_ns.plugin.model.object_choice import evaluate_reference
from proto_saga_ns.plugin.model.removal import evaluate_removal
from proto_saga_ns.plugin.run import load_run
from proto_saga_ns.recognition.granularity import level_in_words


def reference_figures(load_config: Path, data: Path | None, ground_truth: Path, prompt: Prompt) -> Figures:
    """Of the protocol of NVOS and SPIn-NeRF.

    Args:
        load_config: config.yml of the run.
        data: where its data lies now, if it has moved.
        ground_truth: folder of the masks of one object.
        prompt: how the object is shown.
    """
    run = load_run(load_config, data)
    protocol = evaluate_reference(run.model, run.scene, list(run.cameras("all")), ground_truth, prompt)
    choice = protocol.choice
    say(f"Reference view {protocol.reference}, which does not count: {_in_words(choice)}.")
    if not choice.ids:
        say("Every view scores 0.")
    own = {} if choice.iou is None else {"IoU in the reference view": 100 * choice.iou}
    figures = {
        **_chosen(choice),
        **protocol.figures(),
        **own,
        "reference": protocol.reference,
        "by view": {name: asdict(scores) for name, scores in protocol.by_view().items()},
    }
    return marked(figures, mark_labels([run.data]))


def removal_figures(
    load_config: Path,
    data: Path | None,
    ground_truth: Path,
    masks: Path | None,
    chosen: Sequence[int] | Prompt,
    granularity: float,
) -> Figures:
    """Of what is left and what is broken where an object was taken out.

    Args:
        load_config: config.yml of the run.
        data: where its data lies now, if it has moved.
        ground_truth: folder of images of the test views without the object.
        masks: folder of the object's masks in the test views, if there is one.
        chosen: ids, or how the object is shown.
        granularity: of the level that ids are of.
    """
    run = load_run(load_config, data)
    views = list(run.cameras("train")), list(run.cameras("test"))
    what = chosen if isinstance(chosen, Prompt) else tuple(chosen)
    result = evaluate_removal(run.model, run.scene, views, ground_truth, masks, what, granularity)
    say(f"Taken out: {_in_words(result.choice)}; {result.num_gaussians} of {run.model.num_points} Gaussians.")
    figures = {
        **_chosen(result.choice),
        **result.protocol.figures(),
        "Gaussians taken out": result.num_gaussians,
        "by view": result.protocol.by_view(),
    }
    return marked(figures, mark_labels([run.data]))


def _chosen(choice: Choice) -> Figures:
    return {LEVEL: level_in_words(choice.granularity), "ids": list(choice.ids)}


def _in_words(choice: Choice) -> str:
    level = level_in_words(choice.granularity)
    if not choice.ids:
        return f"nothing was chosen among the {level}"
    return f"of the {level} {', '.join(map(str, choice.ids))}"
