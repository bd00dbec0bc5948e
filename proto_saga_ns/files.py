"""Writing files so that nobody ever sees half of one."""

from __future__ import annotations

import json
import os
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from proto_saga_ns.errors import ProtoSagaError

_WEB_PAGE = "It is a web page, which a download leaves that went wrong: download it again."
DISGUISES = {
    b"version https://git-lfs": "It is a pointer of Git LFS, not the file itself: git lfs pull brings that.",
    b"<!doctype html": _WEB_PAGE,
    b"<html": _WEB_PAGE,
    b"pk\x03\x04": "It is a ZIP archive: unpack it.",
}
"""How files begin, in small letters, that bear the name of another."""


def what_it_is_instead(path: Path) -> str:
    """A sentence on a file that is not what its name says, as people receive them; empty if nothing is known of it."""
    try:
        with path.open("rb") as file:
            beginning = file.read(64)
    except OSError:
        return ""
    known = (sentence for begins, sentence in DISGUISES.items() if beginning.lstrip().lower().startswith(begins))
    if beginning[4:8] == b"ftyp":
        return "It is a photo in HEIF (HEIC), which is not read here: convert all photos to JPEG, at their full size."
    return next(known, "")


def check_output_folder(folder: Path) -> None:
    """Raise a ``ProtoSagaError`` if a folder for output, or one above it, is a file; none of them need be there."""
    there = next((place for place in (folder, *folder.parents) if place.exists()), None)
    if there is not None and not there.is_dir():
        raise ProtoSagaError(
            f"--output-dir {folder} cannot be made: {there} is a file. Name a folder; it is made if it is not there."
        )


def remove_file(path: Path) -> None:
    """Remove a file that may be there, before what it tells of is replaced.

    Raises:
        ProtoSagaError: it cannot be removed.
    """
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise ProtoSagaError(
            f"Cannot replace {path}: {error.strerror or error}. Choose a folder that you may write to."
        ) from error


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A free name beside ``path``, ending in .tmp, for a file that is moved to ``path`` when the block ends well.

    On failure the old file stays, and the new one is removed. Makes the folders above it.

    Raises:
        ProtoSagaError: the file cannot be written (full disk, no permission).
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        raise ProtoSagaError(
            f"Cannot write {path}: {error.strerror or error}. Free some space or choose a folder that you "
            "may write to, then run the same command again."
        ) from error
    finally:
        # After a successful replace nothing is left; after a failure no debris shall stay behind.
        with suppress(OSError):
            temporary.unlink()


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """A file that takes the place of ``path`` as ``atomic_path`` does.

    Raises:
        ProtoSagaError: the file cannot be written (full disk, no permission).
    """
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


def write_atomically(path: Path, content: bytes) -> None:
    """Put ``content`` into ``path`` as ``atomic_file`` does."""
    with atomic_file(path) as file:
        file.write(content)


def write_json(path: Path, content: Any) -> None:
    """Put JSON that people can read into ``path`` as ``atomic_file`` does."""
    write_atomically(path, (json.dumps(content, indent=1, default=str) + "\n").encode())


def natural_key(name: str) -> list[tuple[int, int | str]]:
    """Sorts file names as people do: view2 before view10."""
    return [(0, int(part)) if part.isdecimal() else (1, part) for part in re.split(r"(\d+)", name) if part]
