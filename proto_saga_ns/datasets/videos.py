"""DAVIS and MOSE; ``proto_saga_ns.evaluation.video_datasets`` says how they are laid out and reads them.

Only the first and the last annotation of each sequence, and their frames, are opened: MOSE has tens of thousands.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from proto_saga_ns.datasets.files import PNG, check_readable, files_in, folders_in
from proto_saga_ns.datasets.report import Finding, Report, SceneReport, about, by_severity
from proto_saga_ns.datasets.truth import check_maps
from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.evaluation.video_datasets import find_layout

VideoDataset = Literal["davis", "mose"]

RESOLUTION = "480p"
"""Of DAVIS, that which the protocol is run at."""
COUNTS: dict[str, tuple[int, ...]] = {"davis": (50, 90), "train": (1507, 3666), "valid": (311, 433)}
"""Published numbers of sequences: DAVIS 2016 and 2017 (train and val), MOSE's splits in versions 1 and 2."""

_JPG = frozenset({".jpg"})
_AGAIN = "Unpack the data set again."


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
