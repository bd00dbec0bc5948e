"""What a look at a data set found."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from PIL import Image

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")

_NAMED = 3
PHOTOS = frozenset({".jpg", ".jpeg", ".png"})
PNG = frozenset({".png"})
Dataset = Literal["replica", "lerf-mask", "scannet", "mipnerf360", "davis", "mose", "nvos", "spin-nerf"]

DATASETS: tuple[Dataset, ...] = get_args(Dataset)


@dataclass(frozen=True)
class Finding:
    """One thing to know.

    Attributes:
        severity: error: something cannot run, or its figures would be wrong. warning: it runs, but is not what the
            published tables were made on. note: a quirk of the data set, which is as published.
        path: file or folder; of several, the first.
        what: is the matter.
        remedy: what to do about it.
    """

    severity: Severity
    path: Path
    what: str
    remedy: str


@dataclass(frozen=True)
class SceneReport:
    """One scene, or one video.

    Attributes:
        name: of its folder.
        folder: where it lies; of a video, its frames.
        train_views: images to train on; none in videos.
        test_views: images to evaluate on; of a video, all its frames.
        ground_truth: maps, or masks of phrases or of one object, whichever split they belong to.
        findings: errors first.
    """

    name: str
    folder: Path
    train_views: int
    test_views: int
    ground_truth: int
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class Report:
    """A data set, or one scene of it.

    Attributes:
        findings: on the data set as a whole; scenes have their own.
    """

    dataset: Dataset
    folder: Path
    scenes: tuple[SceneReport, ...]
    findings: tuple[Finding, ...]

    def all_findings(self) -> tuple[Finding, ...]:
        """Those of the whole and of all scenes, errors first."""
        return by_severity([*self.findings, *(finding for scene in self.scenes for finding in scene.findings)])

    def count(self, severity: Severity) -> int:
        """How many findings of that kind there are."""
        return sum(finding.severity == severity for finding in self.all_findings())

    def to_json(self) -> dict[str, Any]:
        """The same as plain values, for a file."""
        scenes = [
            {
                "name": scene.name,
                "folder": str(scene.folder),
                "train_views": scene.train_views,
                "test_views": scene.test_views,
                "ground_truth": scene.ground_truth,
                "findings": [_plain(finding) for finding in scene.findings],
            }
            for scene in self.scenes
        ]
        return {
            "dataset": self.dataset,
            "folder": str(self.folder),
            **{f"{severity}s": self.count(severity) for severity in SEVERITIES},
            "findings": [_plain(finding) for finding in self.findings],
            "scenes": scenes,
        }


def about(severity: Severity, files: Sequence[Path], what: str, remedy: str) -> list[Finding]:
    """One finding on all these files, which names the first of them; none if there is no file."""
    if not files:
        return []
    more = f" and {len(files) - _NAMED} more" if len(files) > _NAMED else ""
    names = ", ".join(path.name for path in files[:_NAMED])
    return [Finding(severity, files[0], f"{what}: {names}{more}", remedy)]


def by_severity(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Errors, then warnings, then notes; each kind in the order in which it was found."""
    return tuple(sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity)))


def _plain(finding: Finding) -> dict[str, str]:
    return {
        "severity": finding.severity,
        "path": str(finding.path),
        "what": finding.what,
        "remedy": finding.remedy,
    }


@dataclass(frozen=True)
class Header:
    """What the first bytes of an image say.

    Attributes:
        width: in pixels.
        height: in pixels.
        mode: as PIL names it: P by a palette, L 8 bit grey, I;16 16 bit grey, RGB.
    """

    width: int
    height: int
    mode: str

    @property
    def holds_ids(self) -> bool:
        """Whether a pixel is one whole number, as an id is."""
        return self.mode in ("P", "L") or self.mode.startswith("I")

    @property
    def size(self) -> str:
        """For people."""
        return f"{self.width}x{self.height}"


def files_in(folder: Path, suffixes: Collection[str]) -> dict[str, Path]:
    """Files by stem, in name order; none if there is no such folder. Hidden files are left out, also ``._a.png``."""
    if not folder.is_dir():
        return {}
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in suffixes and path.name[0] != ".")
    return {path.stem: path for path in found}


def folders_in(folder: Path) -> list[Path]:
    """Folders in a folder that are not hidden, in name order; none if there is no such folder."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.name[0] != "." and path.is_dir())


def read_header(path: Path) -> Header | None:
    """Size and mode of an image, without decoding it; None if there is no image in that file."""
    try:
        with Image.open(path) as image:
            return Header(image.width, image.height, image.mode or "")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None


def check_readable(images: Iterable[Path], remedy: str) -> list[Finding]:
    """That all these are images, as far as their headers tell."""
    broken = [path for path in images if read_header(path) is None]
    return about("error", broken, f"{len(broken)} files are no images, or are cut off", remedy)
