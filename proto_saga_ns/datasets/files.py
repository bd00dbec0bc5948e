"""Listings of folders, and the headers of images."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from proto_saga_ns.datasets.report import Finding, about

PHOTOS = frozenset({".jpg", ".jpeg", ".png"})
PNG = frozenset({".png"})


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
