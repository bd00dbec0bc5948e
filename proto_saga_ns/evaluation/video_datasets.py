"""Where DAVIS and MOSE keep the frames and the annotations of their sequences.

DAVIS (2016 and 2017)::

    JPEGImages/<resolution>/<sequence>/00000.jpg    resolution: 480p, Full-Resolution (2017), 1080p (2016)
    Annotations/<resolution>/<sequence>/00000.png   palette or grey PNG, read by index
    ImageSets/2017/val.txt                          optional; names of sequences, or (2016) a frame a line

MOSE::

    train/JPEGImages/<sequence>/00000.jpg           valid/ has annotations of first frames only
    train/Annotations/<sequence>/00000.png
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from proto_saga_ns.errors import ProtoSagaError

Layout = Literal["davis", "mose"]


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
