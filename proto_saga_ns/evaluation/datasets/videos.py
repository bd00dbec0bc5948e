"""DAVIS and MOSE: where they keep the frames and the annotations of their sequences, and whether all are there.

Of each sequence only the first and the last annotation, and their frames, are opened: MOSE has tens of thousands.

DAVIS (2016 and 2017)::

    JPEGImages/<resolution>/<sequence>/00000.jpg    resolution: 480p, Full-Resolution (2017), 1080p (2016)
    Annotations/<resolution>/<sequence>/00000.png   palette or grey PNG, read by index
    ImageSets/2017/val.txt                          optional; names of sequences, or (2016) a frame a line

MOSE::

    train/JPEGImages/<sequence>/00000.jpg           valid/ has annotations of first frames only
    train/Annotations/<sequence>/00000.png
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.evaluation.datasets.checks import check_maps
from proto_saga_ns.evaluation.datasets.findings import (
    PNG,
    Finding,
    Report,
    SceneReport,
    about,
    by_severity,
    check_readable,
    files_in,
    folders_in,
)

VideoDataset = Literal["davis", "mose"]

RESOLUTION = "480p"
"""Of DAVIS, that which the protocol is run at."""
COUNTS: dict[str, tuple[int, ...]] = {"davis": (50, 90), "train": (1507, 3666), "valid": (311, 433)}
"""Published numbers of sequences: DAVIS 2016 and 2017 (train and val), MOSE's splits in versions 1 and 2."""

_JPG = frozenset({".jpg"})
_AGAIN = "Unpack the data set again."
Layout = Literal["davis", "mose"]


@dataclass(frozen=True)
class _Part:
    """Sequences that lie side by side.

    Attributes:
        name: of the count in ``COUNTS``.
        images: folder with a folder of frames for each sequence.
        annotations: the same of annotations.
        prefix: of the names of sequences in reports.
    """

    name: str
    images: Path
    annotations: Path
    prefix: str = ""


def check_videos(dataset: VideoDataset, folder: Path) -> Report:
    """What is in a data set of videos, or in one sequence of it, and what is missing.

    Args:
        folder: what its archive was unpacked to, or the folder of the frames of one sequence.

    Raises:
        ProtoSagaError: there is nothing of that layout in the folder.
    """
    root, only = _root_of(folder)
    found = find_layout(root)
    if found != dataset:
        raise ProtoSagaError(f"{root} is laid out as {found}, not as {dataset}. Check it as that.")
    parts = _davis(root) if dataset == "davis" else _mose(root)
    listed = _lists(root) if dataset == "davis" else {}
    first_only = {name for list_, names in listed.items() if list_.stem.startswith("test") for name in names}
    scenes: list[SceneReport] = []
    findings: list[Finding] = []
    for part in parts:
        names = {path.name for where in (part.images, part.annotations) for path in folders_in(where)}
        names = {name for name in names if only is None or part.images / name == only}
        valid = names if part.name == "valid" else names & first_only
        scenes += [_check_sequence(part, name, name in valid) for name in sorted(names)]
        if only is None:
            findings += [*_check_count(part, len(names)), *_check_listed(part, names, listed)]
            findings += [*_only_first(part, valid), *_other_resolution(part)]
    if not scenes:
        raise ProtoSagaError(f"{folder} holds no sequence; expected a folder of JPEG images for each. {_AGAIN}")
    return Report(dataset, folder, tuple(scenes), by_severity(findings))


def _root_of(folder: Path) -> tuple[Path, Path | None]:
    """The data set that a folder is, or that its one sequence is of: ROOT/JPEGImages/480p/bear, ROOT/train/.../bear."""
    parents = folder.resolve().parents
    if len(parents) > 2 and parents[1].name == "JPEGImages":
        return parents[2], folder.resolve()
    if len(parents) > 2 and parents[0].name == "JPEGImages" and parents[1].name in ("train", "valid"):
        return parents[2], folder.resolve()
    return folder, None


def _davis(root: Path) -> list[_Part]:
    resolutions = [path.name for path in folders_in(root / "JPEGImages")]
    if RESOLUTION not in resolutions and resolutions:
        return [_Part("davis", root / "JPEGImages" / name, root / "Annotations" / name) for name in resolutions[:1]]
    return [_Part("davis", root / "JPEGImages" / RESOLUTION, root / "Annotations" / RESOLUTION)]


def _mose(root: Path) -> list[_Part]:
    splits = [split for split in ("train", "valid") if (root / split).is_dir()]
    return [_Part(split, root / split / "JPEGImages", root / split / "Annotations", f"{split}/") for split in splits]


def _lists(root: Path) -> dict[Path, list[str]]:
    """Names of sequences in DAVIS's lists; those of 2016 name frames, /JPEGImages/480p/bear/00000.jpg."""
    found = {}
    for path in sorted((root / "ImageSets").rglob("*.txt")):
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        words = [line.split()[0] for line in lines if line.strip()]
        found[path] = sorted({Path(word).parent.name if "/" in word else word for word in words})
    return found


def _check_sequence(part: _Part, name: str, first_only: bool) -> SceneReport:
    images, annotations = part.images / name, part.annotations / name
    frames, labels = files_in(images, _JPG), files_in(annotations, PNG)
    first = next(iter(frames or labels), "00000")
    findings = [
        *([] if frames else [Finding("error", images, f"no JPEG frames such as {first}.jpg", _AGAIN)]),
        *([] if labels else [Finding("error", annotations, f"no annotations such as {first}.png", _AGAIN)]),
        *_check_stems(images, annotations, frames, labels, first_only),
    ]
    ends = [stem for stem in labels if stem in frames]
    pairs = [(frames[stem], labels[stem]) for stem in dict.fromkeys([*ends[:1], *ends[-1:]])]
    findings += [*check_readable([frame for frame, _ in pairs], _AGAIN), *check_maps(pairs, _AGAIN)]
    return SceneReport(part.prefix + name, images, 0, len(frames), len(labels), by_severity(findings))


def _check_stems(
    images: Path, annotations: Path, frames: dict[str, Path], labels: dict[str, Path], first_only: bool
) -> list[Finding]:
    """That every frame has its annotation, every annotation its frame, and no frame is left out."""
    wanted = list(frames)[:1] if first_only else list(frames)
    bare = [annotations / f"{stem}.png" for stem in wanted if stem not in labels]
    alone = [images / f"{stem}.jpg" for stem in labels if stem not in frames]
    numbers = [int(stem) for stem in frames if stem.isdecimal()]
    width = len(next(iter(frames), ""))
    names = {f"{number:0{width}d}" for number in range(max(numbers, default=-1) + 1)}
    gaps = [images / f"{stem}.jpg" for stem in sorted(names - set(frames) - set(labels))]
    return [
        *about("error", bare if labels else [], f"{len(bare)} of {len(wanted)} frames have no annotation", _AGAIN),
        *about("error", alone if frames else [], f"{len(alone)} annotations have no frame", _AGAIN),
        *about("warning", gaps, f"{len(gaps)} frames are left out in the count from 0", _AGAIN),
    ]


def _check_count(part: _Part, count: int) -> list[Finding]:
    if count in COUNTS[part.name]:
        return []
    published = " or ".join(map(str, COUNTS[part.name]))
    what = f"the number of sequences is {count}, published are {published}"
    return [Finding("warning", part.images, what, "Means over other sequences do not compare with published ones.")]


def _check_listed(part: _Part, names: Collection[str], listed: dict[Path, list[str]]) -> list[Finding]:
    findings = []
    for file, wanted in listed.items():
        missing = [part.images / name for name in wanted if name not in names]
        what = f"{len(missing)} sequences of {file.parent.name}/{file.name} are missing"
        findings += about("error", missing, what, f"{_AGAIN} Or remove that list, if you have no use for it.")
    if part.name == "davis" and not listed:
        lists = part.images.parent.parent / "ImageSets"
        how = "Without lists, a split cannot be chosen by name; all sequences can be evaluated."
        findings.append(Finding("warning", lists, "no lists of sequences", f"{how} {_AGAIN}"))
    return findings


def _other_resolution(part: _Part) -> list[Finding]:
    if part.name != "davis" or part.images.name == RESOLUTION:
        return []
    what = f"there is no {RESOLUTION}, so this resolution was looked at"
    return [Finding("warning", part.images, what, f"Published figures are of {RESOLUTION}: unpack that archive.")]


def _only_first(part: _Part, names: Collection[str]) -> list[Finding]:
    if not names:
        return []
    what = f"{len(names)} sequences of a test or validation split have annotations of their first frames only"
    how = "As published: their figures come from the benchmark's server. Evaluate here on the others."
    return [Finding("note", part.annotations, what, how)]


@dataclass(frozen=True)
class VideoSequence:
    """One video.

    Attributes:
        name: of its folder.
        frames: images, in name order.
        annotations: label maps of objects, in name order, each with the stem of a frame; maybe not of all frames.
    """

    name: str
    frames: tuple[Path, ...]
    annotations: tuple[Path, ...]


def find_sequences(root: Path, split: str | None = None, resolution: str = "480p") -> list[VideoSequence]:
    """The sequences of a DAVIS or MOSE folder, in name order; which of the two it is shows in its folders.

    Args:
        split: see ``find_davis`` and ``find_mose``.
        resolution: of DAVIS.

    Raises:
        ProtoSagaError: neither layout, or something of it is missing.
    """
    if find_layout(root) == "davis":
        return find_davis(root, split, resolution)
    return find_mose(root, split or "train")


def find_layout(root: Path) -> Layout:
    """Which layout a folder has.

    Raises:
        ProtoSagaError: no such folder, or neither.
    """
    if (root / "JPEGImages").is_dir():
        return "davis"
    if any((root / split / "JPEGImages").is_dir() for split in ("train", "valid")):
        return "mose"
    if not root.is_dir():
        raise ProtoSagaError(f"{root} is not a folder. Give the one that DAVIS or MOSE was unpacked to.")
    raise ProtoSagaError(
        f"{root} holds neither JPEGImages/480p/<sequence>/*.jpg (DAVIS) nor train/JPEGImages/<sequence>/*.jpg (MOSE). "
        "Give the folder that the archive of the data set was unpacked to."
    )


def find_davis(root: Path, split: str | None = None, resolution: str = "480p") -> list[VideoSequence]:
    """Sequences of DAVIS, in name order.

    Args:
        split: a list in ImageSets without its suffix, such as ``2017/val``; None takes all sequences.
        resolution: name of the folder below JPEGImages and Annotations.

    Raises:
        ProtoSagaError: a folder, list, frame or annotation is missing; the message names it.
    """
    images, annotations = root / "JPEGImages" / resolution, root / "Annotations" / resolution
    if not images.is_dir():
        there = ", ".join(sorted(path.name for path in images.parent.glob("*") if path.is_dir())) or "nothing"
        raise ProtoSagaError(
            f"There is no {images}; {images.parent} holds {there}. Choose the resolution that is there."
        )
    names = _folders(images) if split is None else _listed(root / "ImageSets", split)
    return [_sequence(images / name, annotations / name) for name in names]


def find_mose(root: Path, split: str = "train") -> list[VideoSequence]:
    """Sequences of MOSE, in name order.

    Args:
        split: ``train`` or ``valid``.

    Raises:
        ProtoSagaError: a folder, frame or annotation is missing; the message names it.
    """
    images, annotations = root / split / "JPEGImages", root / split / "Annotations"
    if not images.is_dir():
        raise ProtoSagaError(f"There is no {images}. MOSE has the splits train and valid: unpack {split}.tar.gz there.")
    return [_sequence(images / name, annotations / name) for name in _folders(images)]


def _folders(folder: Path) -> list[str]:
    names = sorted(path.name for path in folder.iterdir() if path.is_dir())
    if not names:
        raise ProtoSagaError(f"{folder} holds no folder; expected one of JPEG images for each sequence.")
    return names


def _listed(image_sets: Path, split: str) -> list[str]:
    """Names in a list of DAVIS; 2016's lists have lines such as ``/JPEGImages/480p/bear/00000.jpg ...``."""
    file = image_sets / f"{split}.txt"
    if not file.is_file():
        there = sorted(str(path.relative_to(image_sets).with_suffix("")) for path in image_sets.rglob("*.txt"))
        raise ProtoSagaError(f"There is no list {file}; choose a split that is there: {', '.join(there) or 'none'}.")
    lines = [line.split()[0] for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    names = sorted({Path(line).parent.name if "/" in line else line for line in lines})
    if not names:
        raise ProtoSagaError(f"The list {file} is empty; expected the name of one sequence a line.")
    return names


def _sequence(images: Path, annotations: Path) -> VideoSequence:
    frames = _files(images, ".jpg", "the frames 00000.jpg, ...")
    labels = _files(annotations, ".png", "the annotations 00000.png, ...")
    stems = {path.stem for path in frames}
    for path in labels:
        if path.stem not in stems:
            raise ProtoSagaError(f"The annotation {path} has no frame {images / path.stem}.jpg. Unpack the data again.")
    return VideoSequence(images.name, tuple(frames), tuple(labels))


def _files(folder: Path, suffix: str, what: str) -> list[Path]:
    if not folder.is_dir():
        raise ProtoSagaError(f"There is no folder {folder}; expected {what} in it. Unpack that part of the data set.")
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() == suffix and path.name[0] != ".")
    if not found:
        raise ProtoSagaError(f"The folder {folder} holds no {suffix} file; expected {what}. Unpack the data set again.")
    return found
