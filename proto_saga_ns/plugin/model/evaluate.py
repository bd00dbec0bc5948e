"""The instance protocol, PSNR, SSIM and LPIPS on views of a trained model."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Bool, Float, Int32, UInt8

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.evaluation.datasets.benchmarks import replica_truth_name
from proto_saga_ns.evaluation.instance import InstanceProtocol, InstanceResult
from proto_saga_ns.evaluation.lerf_mask import PhraseProtocol, phrase_masks
from proto_saga_ns.files import natural_key
from proto_saga_ns.labels import read_label_map, resize_label_map
from proto_saga_ns.labels.folder import mask_files
from proto_saga_ns.labels.view_names import files_by_name, match_views, view_name
from proto_saga_ns.masks.phrases.find import covered_instances
from proto_saga_ns.masks.phrases.sources import TextMasks, read_mask
from proto_saga_ns.plugin.console_bar import console_bar
from proto_saga_ns.plugin.model.image_quality import ImageQuality
from proto_saga_ns.plugin.model.views import render_view, segment_view
from proto_saga_ns.recognition.granularity import OBJECTS
from proto_saga_ns.scene.shown import at_granularity, joined_as_shown

if TYPE_CHECKING:
    from nerfstudio.cameras.cameras import Cameras
    from torch import Tensor

    from proto_saga_ns.evaluation.calibration import CalibrationProtocol
    from proto_saga_ns.plugin.model.proto_saga import ProtoSagaModel
    from proto_saga_ns.scene import SegmentedScene


MIN_PROBABILITY = 0.2
"""A pixel belongs to what was chosen if any of it is more probable than this."""


def evaluate_views(
    model: ProtoSagaModel,
    scene: SegmentedScene,
    views: Iterable[tuple[Path, Cameras, Tensor]],
    ground_truth: Path,
    calibration: CalibrationProtocol | None = None,
    granularity: float = OBJECTS,
) -> tuple[InstanceResult, ImageQuality]:
    """Segment views and compare them with ``ground_truth/<view name>.png``.

    Args:
        model: what is rendered.
        scene: its segmentation.
        views: image file, camera and image (H, W, 3, in [0, 1]) of each.
        ground_truth: folder of label maps with the true instance ids.
        calibration: is given every view with its confidence, too: that of a group is the sum of its objects'.
        granularity: what has an id of its own, see ``granularity.py``.

    Returns:
        The result of the instance protocol, and how close the views are to the images.

    Raises:
        ProtoSagaError: if a view has no ground truth, or the scene no such level.
        ValueError: a calibration of parts, which have no confidence of their own.
    """
    if calibration is not None and granularity > OBJECTS:
        raise ValueError("parts have no confidence")
    if granularity < OBJECTS:
        scene, granularity = joined_as_shown(at_granularity(scene, granularity)), OBJECTS
    protocol, quality = InstanceProtocol(), ImageQuality()
    views = list(views)
    truths = truths_of_views([path for path, _, _ in views], ground_truth)
    for (_, camera, image), file in console_bar([*zip(views, truths, strict=True)], "Evaluating views"):
        truth = read_label_map(file)
        shown = segment_view(model, scene, camera, granularity)
        protocol.add(truth, shown.labels)
        quality.add(shown.rgb, image)
        if calibration is not None:
            calibration.add(truth, shown.labels, shown.confidence.cpu().numpy())
    return protocol.result(), quality


def truths_of_views(images: Sequence[Path], ground_truth: Path) -> list[Path]:
    """Files of the truth of views: ``<view name>.png``, in Replica ``*_semantic_instance_*.png`` of ``*_rgb_*``.

    Raises:
        ProtoSagaError: a view has none, or two.
    """
    files = files_by_name(ground_truth, mask_files(ground_truth)) if ground_truth.is_dir() else {}
    replica = [files.get(Path(replica_truth_name(image.stem)).stem) for image in images]
    truths = [one or other for one, other in zip(replica, match_views(files, images), strict=True)]
    for image, truth in zip(images, truths, strict=True):
        if truth is None:
            expected = ground_truth / f"{view_name(image)}.png"
            raise ProtoSagaError(f"View {image.name} has no ground truth {expected}; every evaluated view needs one.")
    return [truth for truth in truths if truth is not None]


@dataclass(frozen=True)
class PhraseResult:
    """Figures of a scene.

    Attributes:
        by_probability: the protocol's rule: the probability of something chosen is above 0.2.
        by_label: the instance that wins is one of the chosen. With many prototypes a probability of 0.2 is much.
        chosen: instances of each phrase.
        views_without_truth: test views that have no mask, as one of LERF-Mask's scene teatime.
    """

    by_probability: PhraseProtocol
    by_label: PhraseProtocol
    chosen: dict[str, tuple[int, ...]]
    views_without_truth: tuple[str, ...]

    def figures(self) -> dict[str, float | int]:
        """What a table shows: percentages and counts, then each phrase by the rule of the protocol."""
        scores = self.by_probability.by_phrase()
        return {
            **self.by_probability.figures(),
            **{f"{name} by label": value for name, value in self.by_label.figures().items()},
            "phrases": len(scores),
            "phrases that chose nothing": sum(not ids for ids in self.chosen.values()),
            "masks": sum(score.num_views for score in scores.values()),
            "test views without truth": len(self.views_without_truth),
            **{f"IoU of {phrase}": 100 * score.iou for phrase, score in scores.items()},
            **{f"boundary IoU of {phrase}": 100 * score.boundary_iou for phrase, score in scores.items()},
        }


@dataclass(frozen=True)
class _Shown:
    rgb: UInt8[np.ndarray, "H W 3"]
    labels: Int32[np.ndarray, "H W"]
    probabilities: Float[np.ndarray, "H W T"]


def evaluate_phrases(
    model: ProtoSagaModel,
    scene: SegmentedScene,
    test_views: Iterable[tuple[Path, Cameras, Tensor]],
    test_mask: Path,
    text_masks: TextMasks,
    min_share: float,
) -> PhraseResult:
    """Choose instances by every phrase in the first test view, and compare them with the truth in all.

    Args:
        model: what is rendered.
        scene: its segmentation.
        test_views: image file, camera and image of each; numbered in natural order of the files.
        test_mask: the true masks, see ``phrase_masks``.
        text_masks: what finds a phrase's mask.
        min_share: an instance is chosen if more than this share of it lies on the mask.

    Raises:
        ProtoSagaError: no test view, no truth, or an unreadable mask.
    """
    views = sorted(((path, camera) for path, camera, _ in test_views), key=lambda view: natural_key(view[0].name))
    if not views:
        raise ProtoSagaError("The run has no test view. The protocol lerf-mask chooses instances in the first of them.")
    truths = phrase_masks(test_mask, [view_name(path) for path, _ in views])
    phrases = sorted({phrase for masks in truths for phrase in masks})
    first = _show(model, scene, views[0][1])
    chosen = {
        phrase: covered_instances(first.labels, text_masks(first.rgb, phrase), min_share)
        for phrase in console_bar(phrases, "Finding phrases")
    }
    result = PhraseResult(PhraseProtocol(), PhraseProtocol(), chosen, _without(truths, views))
    cameras = [camera for _, camera in views]
    for index, masks in enumerate(console_bar(truths, "Comparing views")):
        if masks:
            _compare(_show(model, scene, cameras[index]) if index else first, scene.ids, masks, result)
    return result


def _without(truths: Sequence[dict[str, Path]], views: Sequence[tuple[Path, Cameras]]) -> tuple[str, ...]:
    return tuple(view_name(path) for (path, _), masks in zip(views, truths, strict=True) if not masks)


@torch.no_grad()
def _show(model: ProtoSagaModel, scene: SegmentedScene, camera: Cameras) -> _Shown:
    rendered = render_view(model, camera.to(model.device), scene=scene)
    labelling = (rendered.features, rendered.alpha[..., 0], rendered.votes)
    rgb = rendered.over(model.background_color.to(model.device))
    return _Shown(
        (255 * rgb).round().byte().cpu().numpy(),
        scene.segment(*labelling)[0].cpu().numpy(),
        scene.probabilities(*labelling).cpu().numpy(),
    )


def _compare(shown: _Shown, ids: Sequence[int], masks: dict[str, Path], result: PhraseResult) -> None:
    for phrase, file in masks.items():
        truth, chosen = read_mask(file), result.chosen[phrase]
        result.by_label.add(phrase, truth, _resized(np.isin(shown.labels, chosen), truth))
        result.by_probability.add(phrase, truth, _resized(_probable(shown, ids, chosen), truth))


def _probable(shown: _Shown, ids: Sequence[int], chosen: Collection[int]) -> Bool[np.ndarray, "H W"]:
    columns = [ids.index(number) for number in chosen]
    return (shown.probabilities[..., columns] > MIN_PROBABILITY).any(axis=-1)


def _resized(mask: Bool[np.ndarray, "H W"], truth: Bool[np.ndarray, "H2 W2"]) -> Bool[np.ndarray, "H2 W2"]:
    return resize_label_map(mask.astype(np.int32), *truth.shape) > 0
