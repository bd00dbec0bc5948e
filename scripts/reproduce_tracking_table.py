"""The table of the tracker on the demo scene: its training views, degraded masks and SIFT, with parts left out.

Each row is compared with the ground truth by the instance and the best-mask protocol, and with itself by the matches
of the first row. What was matched before, is kept in results/tracking/ and not matched again.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import tyro
from jaxtyping import Int

from proto_saga_ns.association import ground_truth_association
from proto_saga_ns.cli.demo_scene import DINING
from proto_saga_ns.evaluation.best_mask import BestMaskProtocol
from proto_saga_ns.evaluation.instance import InstanceProtocol
from proto_saga_ns.evaluation.mask_consistency import mask_consistency
from proto_saga_ns.labels import read_label_map
from proto_saga_ns.mastsam.frames import Frame, LazySequence
from proto_saga_ns.mastsam.geometry import FilterOptions
from proto_saga_ns.mastsam.image_sequence import PosedImage, read_posed_images
from proto_saga_ns.mastsam.matchers.registry import MatcherOptions, make_matcher
from proto_saga_ns.mastsam.matches import Matches
from proto_saga_ns.mastsam.sequence import ImageSequence, SequenceOptions, Tracking, write_tracks
from proto_saga_ns.mastsam.tracker import TrackerOptions
from proto_saga_ns.progress import unseen

LabelMap = Int[np.ndarray, "H W"]

TRACKER = {
    "tracker": SequenceOptions(),
    "no unmasked region initialisation": SequenceOptions(tracker=TrackerOptions(initialise=False)),
    "no search by position": SequenceOptions(tracker=TrackerOptions(reach=0)),
    "window 5": SequenceOptions(window=5),
    "window 12": SequenceOptions(window=12),
    "order of the file names": SequenceOptions(order="sequence"),
}
COLUMNS = ("mIoU", "precision", "recall", "best-mask IoU", "track IoU", "consistency", "labelled pixels", "tracks")


def main(folder: Path = Path("results/tracking")) -> None:
    """Track in every way, evaluate, print the table.

    Args:
        folder: where matches, label maps and the table are kept.
    """
    images = _training_images()
    posed = _sequence(images)
    own = [read_label_map(DINING / "masks" / f"{image.path.stem}.png") for image in images]
    truth = [read_label_map(DINING / "instances" / f"{image.path.stem}.png") for image in images]
    rows = {"masks as they come": own, "upper bound: every mask has its true instance": _upper_bound(own, truth)}
    seconds: dict[str, float] = {}
    tracking: Tracking | None = None
    for name, options in TRACKER.items():
        start = time.perf_counter()
        row, maps = _track(posed, options, folder, name)
        seconds[name], rows[name], tracking = time.perf_counter() - start, maps, tracking or row
    assert tracking is not None
    unguided = MatcherOptions(sift_guided=False)
    rows["no search along epipolar lines"] = _track(posed, SequenceOptions(), folder, "unguided", unguided)[1]
    ransac = SequenceOptions(filter=FilterOptions(use_poses=False))
    rows["no epipolar filter (RANSAC)"] = _track(posed, ransac, folder, "ransac", unguided)[1]
    lines = [f"| way | {' | '.join(COLUMNS)} |", "|---" * (len(COLUMNS) + 1) + "|"]
    for name, maps in rows.items():
        figures = _figures(maps, truth, _consistency(tracking, posed, maps))
        lines.append(f"| {name} | " + " | ".join(f"{figures[column]:.1f}" for column in COLUMNS) + " |")
    table = "\n".join(lines) + "\n"
    print(table)
    (folder / "table.md").write_text(f"`python scripts/reproduce_tracking_table.py`\n\n{table}")
    (folder / "seconds.json").write_text(json.dumps(seconds, indent=1))


def _training_images() -> list[PosedImage]:
    names = set(json.loads((DINING / "transforms.json").read_text())["train_filenames"])
    return [image for image in read_posed_images(DINING) if image.path.relative_to(DINING).as_posix() in names]


def _sequence(images: list[PosedImage]) -> ImageSequence:
    cameras = [image.camera(384, 288) for image in images]
    masks = [DINING / "masks" / f"{image.path.stem}.png" for image in images]
    known = [camera for camera in cameras if camera is not None]
    return ImageSequence([image.path for image in images], masks, known)


def _track(
    sequence: ImageSequence, options: SequenceOptions, folder: Path, name: str, matching: MatcherOptions | None = None
) -> tuple[Tracking, list[LabelMap]]:
    tracking = Tracking(sequence, make_matcher("sift", matching), options, folder / "work")
    tracking.run(unseen)
    output = folder / name.replace(" ", "_")
    write_tracks(tracking, sequence, output, options.required_frames(len(sequence.images)))
    return tracking, [read_label_map(output / f"{path.stem}.png") for path in sequence.images]


def _upper_bound(own: list[LabelMap], truth: list[LabelMap]) -> list[LabelMap]:
    return [ground_truth_association(mask, true)[mask] for mask, true in zip(own, truth, strict=True)]


def _consistency(tracking: Tracking, sequence: ImageSequence, maps: list[LabelMap]) -> float:
    indices = tracking.path()
    place = {sequence.images[index].stem: index for index in indices}
    frames = LazySequence(indices, sequence.frame)

    def match(a: Frame, b: Frame) -> Matches:
        return tracking.matches(place[a.name], place[b.name])

    return mask_consistency(frames, [maps[index] for index in indices], match).figures()["consistency"]


def _figures(maps: list[LabelMap], truth: list[LabelMap], consistency: float) -> dict[str, float]:
    instance, best = InstanceProtocol(), BestMaskProtocol()
    for true, found in zip(truth, maps, strict=True):
        instance.add(true, found)
        best.add(true, found)
    result = best.result()
    figures: dict[str, float] = dict(instance.result().figures())
    ids = np.unique(np.concatenate([np.unique(found) for found in maps]))
    return {
        **figures,
        "best-mask IoU": 100 * result.best[0],
        "track IoU": 100 * result.track[0],
        "consistency": consistency,
        "labelled pixels": 100 * float(np.mean([(found > 0).mean() for found in maps])),
        "tracks": float((ids > 0).sum()),
    }


if __name__ == "__main__":
    tyro.cli(main)
