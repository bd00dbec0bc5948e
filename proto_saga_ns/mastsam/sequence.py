"""Tracking all images of a folder, frame by frame; killed at any moment, the next run goes on where this one stopped.

What is known so far lies in a work folder: one compressed file a frame (its instances) and one a pair of frames (their
matches). Each is written atomically and carries the fingerprint of all that went into it, so what is out of date is not
used. Memory does not grow with the number of frames: earlier ones are read again when they are needed. The result
itself appears at the end: label maps without the splinters, and a table of the tracks.
"""

from __future__ import annotations

import hashlib
import io
import json
import struct
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Int32

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.files import atomic_path, write_json
from proto_saga_ns.labels import MAX_ID, write_label_map
from proto_saga_ns.labels.colors import instance_colors
from proto_saga_ns.labels.view_names import view_name
from proto_saga_ns.mastsam.carried import TrackedFrame
from proto_saga_ns.mastsam.frames import Frame, LazySequence
from proto_saga_ns.mastsam.geometry import FilterOptions, filter_matches
from proto_saga_ns.mastsam.image_sequence import ImageSequence
from proto_saga_ns.mastsam.matches import Matcher, Matches
from proto_saga_ns.mastsam.prompts import Prompter
from proto_saga_ns.mastsam.tracker import TrackerOptions, initialise, place_frame
from proto_saga_ns.mastsam.visits import Visit, collection_pairs, collection_visits, sequence_visits
from proto_saga_ns.progress import Progress

TRACKS = "tracks.json"

# Raised when the same settings begin to give other tracks.
_ALGORITHM = 1
# What numpy and zipfile raise on files that are missing or damaged: no type of their own stands for it.
_UNREADABLE = (
    *(OSError, EOFError, ValueError, LookupError, RuntimeError),
    *(zipfile.BadZipFile, zlib.error, struct.error),
)


@dataclass(frozen=True)
class SequenceOptions:
    """How a sequence or a collection of frames is tracked."""

    order: Literal["auto", "sequence", "poses", "matches"] = "auto"
    """sequence: by file name, as in a video. poses: an unordered collection, compared with those that see alike.
    matches: the same without poses, which compares all with all. auto: poses where they are known, else sequence"""
    window: int = 20
    """earlier frames that each frame is compared with"""
    min_frames: int | None = None
    """drop tracks that fewer frames than this show; None takes 5, or a twelfth of the frames if less; 0 keeps all"""
    tracker: TrackerOptions = field(default_factory=TrackerOptions)
    """how instances are followed from frame to frame"""
    filter: FilterOptions = field(default_factory=FilterOptions)
    """which matches count"""

    def __post_init__(self) -> None:
        if self.window < 1:
            raise ValueError("window must be at least 1")

    def required_frames(self, num_frames: int) -> int:
        """How many of ``num_frames`` frames must show a track."""
        return min(5, num_frames // 12) if self.min_frames is None else self.min_frames


@dataclass(frozen=True)
class Track:
    """One instance over the sequence."""

    id: int
    frames: list[str]
    """names of the frames that show it, in the order of the sequence"""
    pixels: int
    """in all of them"""


class Tracking:
    """Tracks one sequence.

    Args:
        sequence: images, masks and poses.
        matcher: finds matches between two frames.
        options: see there.
        work: folder for what is known so far.
        prompter: a segmenter that takes prompts; None lets the masks take the instances.

    Raises:
        ProtoSagaError: see ``ImageSequence.check``; poses are asked for and there are none.
    """

    def __init__(
        self,
        sequence: ImageSequence,
        matcher: Matcher,
        options: SequenceOptions,
        work: Path,
        prompter: Prompter | None = None,
    ) -> None:
        if options.order == "poses" and sequence.cameras is None:
            raise ProtoSagaError("--order poses needs poses, and there are none. Give --order sequence or matches.")
        sequence.check()
        self._sequence, self._matcher, self._options, self._prompter = sequence, matcher, options, prompter
        self._work = WorkFolder(work)
        self._images = [file_fingerprint(path) for path in sequence.images]
        kept = range(len(sequence.images))
        # The near frames, the far ones, and the new one.
        held = options.window + len(kept).bit_length() + 3
        self._frames = LazySequence(kept, sequence.frame, kept=held)
        self._tracked = LazySequence(kept, self._read_tracked, kept=held)
        self._keys: dict[int, str] = {}
        self._pairs: set[tuple[int, int]] = set()

    def run(self, progress: Progress) -> None:
        """Find the instances of all frames."""
        visits = self._visits(progress)
        self._pairs = {(min(visit.index, old), max(visit.index, old)) for visit in visits for old in visit.near}
        key, next_instance = self._settings_key(), 1
        for visit in progress(visits, "Tracking frames"):
            name = view_name(self._sequence.images[visit.index])
            # Each key holds all before it: what follows a change is out of date.
            key = self._keys[visit.index] = fingerprint(key, asdict(visit), *self._contents(visit.index))
            instances = self._work.read_instances(name, key)
            if instances is None:
                instances = self._place(visit, next_instance)
                self._work.write_instances(name, key, instances)
            next_instance = max(next_instance, int(instances.max(initial=0)) + 1)

    def matches(self, a: int, b: int) -> Matches:
        """Filtered matches between two frames, found once."""
        if a > b:
            return self.matches(b, a).reversed()
        settings = (self._matcher.name, self._matcher.settings, asdict(self._options.filter), _ALGORITHM)
        geometry = [self._geometry(index) for index in (a, b)]
        key = fingerprint(settings, self._images[a], self._images[b], geometry)
        found = self._work.read_matches(key)
        if found is None:
            frames = self._frames[a], self._frames[b]
            found = filter_matches(self._matcher.match(*frames), *frames, self._options.filter)
            self._work.write_matches(key, found)
        return found

    def instances(self, index: int) -> Int32[np.ndarray, "H W"]:
        """The instances of a frame, after ``run``."""
        instances = self._work.read_instances(view_name(self._sequence.images[index]), self._keys[index])
        if instances is None:
            name = view_name(self._sequence.images[index])
            raise ProtoSagaError(f"The work folder lost the instances of {name}. Run the same command again.")
        return instances

    def path(self) -> list[int]:
        """The frames in the order in which they were visited, after ``run``."""
        return list(self._keys)

    def pairs(self) -> list[tuple[int, int]]:
        """Pairs of frames that were compared, (smaller, larger), after ``run``."""
        return sorted(self._pairs)

    def _visits(self, progress: Progress) -> list[Visit]:
        count, order = len(self._sequence.images), self._options.order
        if order == "sequence" or (order == "auto" and self._sequence.cameras is None):
            return sequence_visits(count, self._options.window)
        cameras = None if order == "matches" else self._sequence.cameras
        window = self._options.window
        pairs = progress(collection_pairs(count, window, cameras), "Matching frames")
        return collection_visits(count, window, pairs, lambda a, b: len(self.matches(a, b)))

    def _place(self, visit: Visit, next_instance: int) -> Int32[np.ndarray, "H W"]:
        frame = self._frames[visit.index]
        masks = self._sequence.own_masks(frame, visit.index)
        numbers = {view_name(self._sequence.images[index]): index for index in (*visit.near, *visit.far)}
        options = self._options.tracker

        def find(old: Frame, new: Frame) -> Matches:
            del new
            return self.matches(numbers[old.name], visit.index)

        def place(earlier: Sequence[int]) -> Int32[np.ndarray, "H W"]:
            known = [self._tracked[index] for index in earlier]
            return place_frame(frame, masks, known, find, next_instance, options, self._prompter).instances

        instances = place(visit.near)
        founded = initialise(instances, masks, next_instance, options.min_area)
        # Something is new, or comes back; without masks of its own a frame cannot tell.
        if visit.far and (founded.max(initial=0) >= next_instance or not masks.any()):
            instances = place([*visit.near, *visit.far])
        return instances

    def _read_tracked(self, index: int) -> TrackedFrame:
        frame = self._frames[index]
        return TrackedFrame(frame, self._sequence.own_masks(frame, index), self.instances(index))

    def _geometry(self, index: int) -> list[Any] | None:
        """Pose and depth map, as JSON values."""
        sequence = self._sequence
        if sequence.cameras is None:
            return None
        pose = [value.tolist() for value in asdict(sequence.cameras[index]).values()]
        if sequence.depths is None:
            return pose
        return [*pose, file_fingerprint(sequence.depths[index]), sequence.depth_unit]

    def _contents(self, index: int) -> tuple[Any, ...]:
        """All that is known of a frame before it is tracked, as JSON values."""
        masks = file_fingerprint(self._sequence.masks[index])
        return view_name(self._sequence.images[index]), self._images[index], masks, self._geometry(index)

    def _settings_key(self) -> str:
        prompts = None if self._prompter is None else (self._prompter.name, dict(self._prompter.settings))
        matcher = self._matcher.name, dict(self._matcher.settings)
        # The order is in the visits, and short tracks are dropped at the end.
        options = self._options.tracker, self._options.filter
        return fingerprint(_ALGORITHM, matcher, [asdict(part) for part in options], prompts)


def write_tracks(tracking: Tracking, sequence: ImageSequence, output: Path, min_frames: int) -> list[Track]:
    """Write the consistent label maps ``<image stem>.png`` and ``tracks.json``.

    Args:
        min_frames: tracks that fewer frames show become unlabelled; the others are numbered 1..T, in their old order.

    Raises:
        ProtoSagaError: more tracks than a label map has ids.
    """
    seen: dict[int, list[str]] = {}
    for index, path in enumerate(sequence.images):
        for instance in np.unique(tracking.instances(index)).tolist():
            seen.setdefault(instance, []).append(view_name(path))
    kept = [instance for instance in sorted(seen) if instance > 0 and len(seen[instance]) >= min_frames]
    if len(kept) > MAX_ID:
        raise ProtoSagaError(
            f"{len(kept)} tracks, but a label map has {MAX_ID} ids. Drop short ones with --min-frames."
        )
    number = np.zeros(max(seen, default=0) + 1, np.int32)
    number[kept] = np.arange(1, len(kept) + 1)
    pixels = np.zeros(len(kept) + 1, np.int64)
    for index, path in enumerate(sequence.images):
        labels = number[tracking.instances(index)]
        pixels += np.bincount(labels.reshape(-1), minlength=len(pixels))
        write_label_map(output / f"{view_name(path)}.png", labels)
    tracks = [Track(int(number[old]), seen[old], int(pixels[number[old]])) for old in kept]
    colors = instance_colors(np.array([track.id for track in tracks], np.int64))
    records = [asdict(track) | {"color": color} for track, color in zip(tracks, colors.tolist(), strict=True)]
    write_json(output / TRACKS, {"frames": [view_name(path) for path in sequence.images], "tracks": records})
    return tracks


def fingerprint(*parts: Any) -> str:
    """Hash of JSON values."""
    return hashlib.blake2b(json.dumps(parts, sort_keys=True, default=str).encode(), digest_size=12).hexdigest()


def file_fingerprint(path: Path | None) -> str:
    """Hash of a file's bytes; empty for none."""
    return "" if path is None else hashlib.blake2b(path.read_bytes(), digest_size=12).hexdigest()


class WorkFolder:
    """Reads and writes the intermediate results; what is missing, damaged or out of date reads as None."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read_matches(self, key: str) -> Matches | None:
        """Matches of the pair of frames with this fingerprint."""
        found = _read(self._folder / "matches" / f"{key}.npz", key, ("xy_a", "xy_b", "confidence"))
        return None if found is None else Matches(*found)

    def write_matches(self, key: str, matches: Matches) -> None:
        """Keep matches for ``read_matches``."""
        content = {"xy_a": matches.xy_a, "xy_b": matches.xy_b, "confidence": matches.confidence}
        _write(self._folder / "matches" / f"{key}.npz", key, content)

    def read_instances(self, name: str, key: str) -> Int32[np.ndarray, "H W"] | None:
        """Instances of the frame of this name, if they have this fingerprint."""
        found = _read(self._folder / "instances" / f"{name}.npz", key, ("instances",))
        return None if found is None else found[0]

    def write_instances(self, name: str, key: str, instances: Int32[np.ndarray, "H W"]) -> None:
        """Keep the instances of a frame for ``read_instances``."""
        _write(self._folder / "instances" / f"{name}.npz", key, {"instances": instances})


def _write(path: Path, key: str, arrays: Mapping[str, np.ndarray]) -> None:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, key=np.array(key), **arrays)
    # Not synced to the disk, which would take longer than the tracking. A file that the machine lost reads as None.
    with atomic_path(path) as temporary:
        temporary.write_bytes(buffer.getvalue())


def _read(path: Path, key: str, names: Sequence[str]) -> list[np.ndarray] | None:
    try:
        with np.load(path) as content:
            return [content[name] for name in names] if str(content["key"]) == key else None
    except _UNREADABLE:
        return None
