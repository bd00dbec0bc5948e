"""What is known of a sequence so far, kept on disk: matches of pairs of frames, and instances of frames.

Every file is written atomically and carries the fingerprint of all that went into it.
"""

from __future__ import annotations

import hashlib
import io
import json
import struct
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int32

from proto_saga_ns.files import atomic_path
from proto_saga_ns.mastsam.matches import Matches

# What numpy and zipfile raise on files that are missing or damaged: no type of their own stands for it.
_UNREADABLE = (
    *(OSError, EOFError, ValueError, LookupError, RuntimeError),
    *(zipfile.BadZipFile, zlib.error, struct.error),
)


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
