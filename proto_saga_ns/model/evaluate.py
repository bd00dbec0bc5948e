"""The instance protocol, PSNR, SSIM and LPIPS on views of a trained model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.progress import track

from proto_saga_ns.datasets.benchmarks import replica_truth_name
from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.evaluation import InstanceProtocol, InstanceResult
from proto_saga_ns.granularity import OBJECTS
from proto_saga_ns.labels import read_label_map
from proto_saga_ns.labels.folder import mask_files
from proto_saga_ns.labels.view_names import files_by_name, match_views, view_name
from proto_saga_ns.model.image_quality import ImageQuality
from proto_saga_ns.model.segmentation import segment_view
from proto_saga_ns.scene.shown_level import at_granularity, joined_as_shown

if TYPE_CHECKING:
    from nerfstudio.cameras.cameras import Cameras
    from torch import Tensor

    from proto_saga_ns.evaluation.calibration import CalibrationProtocol
    from proto_saga_ns.model.proto_saga import ProtoSagaModel
    from proto_saga_ns.scene import SegmentedScene


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
    for (_, camera, image), file in track([*zip(views, truths, strict=True)], "Evaluating views"):
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
