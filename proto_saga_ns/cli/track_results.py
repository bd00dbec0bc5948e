"""What ``proto-saga track`` leaves beside its label maps, and the figures that it prints."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from proto_saga_ns.cli.printing import say
from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.labels.view_names import view_name

if TYPE_CHECKING:
    from pathlib import Path

    from proto_saga_ns.mastsam.frames import Progress
    from proto_saga_ns.mastsam.image_sequence import ImageSequence
    from proto_saga_ns.mastsam.sequence import Tracking

VIDEO_FOLDER = "frames"
"""Where the frames of a video are put."""


def remove_outdated(output: Path, sequence: ImageSequence) -> None:
    """Of an earlier run on other frames: its label maps have other ids, and its points other places."""
    from proto_saga_ns.mastsam.sequence import TRACKS

    try:
        earlier = json.loads((output / TRACKS).read_text(encoding="utf-8"))["frames"]
    except (OSError, ValueError, KeyError, TypeError):
        return
    for stem in set(earlier) - {view_name(path) for path in sequence.images}:
        (output / f"{stem}.png").unlink(missing_ok=True)
    if sequence.cameras is None:
        (output / "points.ply").unlink(missing_ok=True)


def evaluate(output: Path, truths: dict[str, Path]) -> dict[str, Any]:
    """The instance protocol on the frames that have a true label map."""
    from proto_saga_ns.evaluation.instance import InstanceProtocol
    from proto_saga_ns.labels import read_label_map

    protocol = InstanceProtocol()
    for stem, truth in truths.items():
        protocol.add(read_label_map(truth), read_label_map(output / f"{stem}.png"))
    return {"frames with truth": len(truths), **protocol.result().figures()}


def consistency(tracking: Tracking, sequence: ImageSequence, output: Path) -> dict[str, Any]:
    """Of the written label maps, by the matches that were found already."""
    from proto_saga_ns.evaluation.mask_consistency import mask_consistency
    from proto_saga_ns.labels import read_label_map
    from proto_saga_ns.mastsam.frames import LazySequence

    if len(sequence.images) < 2:
        return {}
    indices = tracking.path()
    place = {view_name(sequence.images[index]): index for index in indices}
    frames = LazySequence(indices, sequence.frame)
    labels = LazySequence(indices, lambda index: read_label_map(output / f"{view_name(sequence.images[index])}.png"))
    try:
        found = mask_consistency(frames, labels, lambda a, b: tracking.matches(place[a.name], place[b.name]))
    except ProtoSagaError as error:
        # The tracks are there all the same: nothing can be compared.
        say(f"No figure for the consistency. {error}")
        return {}
    return found.figures()


def write_overlay(sequence: ImageSequence, output: Path, progress: Progress) -> None:
    """``overlay.mp4``: the frames with the written label maps over them."""
    from proto_saga_ns.export.videos.overlay import overlay_video
    from proto_saga_ns.labels import read_label_map
    from proto_saga_ns.mastsam.video import frames_per_second

    step = progress("Drawing", len(sequence.images))
    with overlay_video(output / "overlay.mp4", frames_per_second(output / VIDEO_FOLDER)) as write:
        for index, path in enumerate(sequence.images):
            write(sequence.frame(index).image, read_label_map(output / f"{view_name(path)}.png"))
            step()


def write_points(tracking: Tracking, sequence: ImageSequence, output: Path) -> None:
    """``points.ply``: triangulated points with colours and instance ids; poses must be known."""
    from proto_saga_ns.labels import read_label_map
    from proto_saga_ns.mastsam.point_cloud import build_point_cloud, write_ply

    assert sequence.cameras is not None
    views = (
        (sequence.frame(index).image, read_label_map(output / f"{view_name(path)}.png"))
        for index, path in enumerate(sequence.images)
    )
    pairs = ((a, b, tracking.matches(a, b)) for a, b in tracking.pairs())
    write_ply(output / "points.ply", build_point_cloud(pairs, sequence.cameras, views))


def written(output: Path) -> list[str]:
    """Which of the files beside the label maps are there."""
    return [name for name in ("tracks.json", "overlay.mp4", "points.ply") if (output / name).is_file()]
