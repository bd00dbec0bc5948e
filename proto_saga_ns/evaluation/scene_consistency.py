"""Consistency of a folder of label maps of a posed scene: by depth maps where there are any, else by matches."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.evaluation.consistency import PixelConsistency, pixel_consistency
from proto_saga_ns.evaluation.folders import label_maps_in
from proto_saga_ns.evaluation.mask_consistency import MaskConsistency, MatchFrames, mask_consistency
from proto_saga_ns.labels import read_label_map
from proto_saga_ns.labels.view_names import view_name
from proto_saga_ns.mastsam.frames import LazySequence
from proto_saga_ns.mastsam.image_sequence import DEPTH_UNIT, PosedImage, read_frame, read_posed_images

DEPTH_WINDOW = 10
MATCH_WINDOW = 1


@dataclass(frozen=True)
class ConsistencyOptions:
    """Options of both ways to compare.

    Attributes:
        window: how many places apart two frames may be, in name order; None is 10 with depth maps, and 1 by matches.
        epsilon: greatest distance of points that are the same place, in units of the world; None is what a pixel
            covers at the median depth. For depth maps only.
        depth_unit: units of the world in a unit of the depth files.
    """

    window: int | None = None
    epsilon: float | None = None
    depth_unit: float = DEPTH_UNIT


def evaluate_consistency(
    predictions: Path, data: Path, options: ConsistencyOptions, make_match: Callable[[], MatchFrames]
) -> PixelConsistency | MaskConsistency:
    """Compare the label maps of a folder with each other, in name order.

    Args:
        predictions: folder with ``<image stem>.png`` for some or all images of ``data``.
        data: folder with transforms.json.
        options: what counts as the same place.
        make_match: called where there are no depth maps; gives what finds the matches of two frames.

    Raises:
        ProtoSagaError: an option is out of range or does not fit, fewer than two label maps, one without an image, or
            only some of the images have a depth map.
    """
    _check(options)
    maps = label_maps_in(predictions)
    paths, images = list(maps.values()), _images_of(maps, data)
    depths = [image for image in images if image.depth is not None]
    window = options.window or (DEPTH_WINDOW if depths else MATCH_WINDOW)
    labels = LazySequence(paths, read_label_map, kept=window + 1)
    frames = LazySequence(images, lambda image: read_frame(image, options.depth_unit), kept=window + 1)
    if depths:
        _check_all_have_depth(images)
        return pixel_consistency(frames, labels, epsilon=options.epsilon, window=window)
    if options.epsilon is not None:
        raise ProtoSagaError(f"--epsilon is for depth maps, but {data} names none (depth_file_path). Leave it out.")
    return mask_consistency(frames, labels, make_match(), window=window)


def _check(options: ConsistencyOptions) -> None:
    for name, value in (
        ("window", options.window),
        ("epsilon", options.epsilon),
        ("depth-unit-scale-factor", options.depth_unit),
    ):
        if value is not None and not value > 0:
            raise ProtoSagaError(f"--{name} is {value}; expected a number above 0.")


def _images_of(label_maps: Mapping[str, Path], data: Path) -> list[PosedImage]:
    images = {view_name(image.path): image for image in read_posed_images(data)}
    for name, path in label_maps.items():
        if name not in images:
            raise ProtoSagaError(
                f"The label map {path} has no image of that name in the transforms.json of {data}. Give the data that "
                "it was made from, or remove it."
            )
    if len(label_maps) < 2:
        holder = next(iter(label_maps.values())).parent
        raise ProtoSagaError(f"{holder} holds one label map; to be consistent takes at least two.")
    return [images[name] for name in label_maps]


def _check_all_have_depth(images: list[PosedImage]) -> None:
    for image in images:
        if image.depth is None:
            raise ProtoSagaError(
                f"The image {image.path} has no depth_file_path in transforms.json, but others have one. Name a depth "
                "map for every image, or for none to compare by matches."
            )
