"""A splat of any program: its format is told by what the file holds, not by its name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.files import what_it_is_instead
from proto_saga_ns.splats import glb, spz
from proto_saga_ns.splats.compressed_ply import is_compressed, read_compressed_ply
from proto_saga_ns.splats.dot_splat import looks_like_dot_splat, read_dot_splat
from proto_saga_ns.splats.ply import read_ply, says_antialiased
from proto_saga_ns.splats.sog import META, read_sog
from proto_saga_ns.splats.splat import SplatFile
from proto_saga_ns.splats.vertices import read_header

FORMATS = "PLY, compressed PLY, SPZ, .splat, SOG (a file, or a folder with meta.json) or GLB"
GZIP, ZIP = b"\x1f\x8b", b"PK\x03\x04"
UNREAD = frozenset({".ksplat", ".lcc", ".lcc2", ".rad"})
"""Names of formats that other programs make PLYs of."""


def read_splat(path: Path) -> SplatFile:
    """Read a splat, and what its file says of it.

    Args:
        path: a file, or the folder of a SOG.

    Raises:
        ProtoSagaError: it is missing, empty, damaged, or no splat of a format that is known.
    """
    return _reader(path)(path)


def _reader(path: Path) -> Callable[[Path], SplatFile]:
    if path.is_dir():
        if (path / META).is_file():
            return read_sog
        raise ProtoSagaError(f"{path} is a folder without {META}, which a SOG has. Name the file of the splat in it.")
    try:
        with path.open("rb") as file:
            beginning = file.read(16)
        if not beginning:
            raise ProtoSagaError(f"{path} is empty. Expected a splat: {FORMATS}. Make it again, or copy it anew.")
        if path.suffix.lower() not in UNREAD:
            for known, reader in _BY_MAGIC.items():
                if beginning.startswith(known):
                    return reader
            if path.name == META:
                return read_sog
            if path.suffix.lower() == ".splat" or looks_like_dot_splat(path):
                return read_dot_splat
    except OSError as error:
        raise ProtoSagaError(f"Cannot read {path}: {error.strerror or error}. Expected a splat: {FORMATS}.") from error
    remedy = what_it_is_instead(path) or (
        f"Expected {FORMATS}. splat-transform makes a PLY of some others (npm install -g @playcanvas/splat-transform; "
        f"splat-transform {path.name} {path.stem}.ply)."
    )
    raise ProtoSagaError(f"{path} is no splat that is known here. {remedy}")


def _read_any_ply(path: Path) -> SplatFile:
    try:
        compressed = is_compressed(read_header(path))
    except ValueError:
        compressed = False  # whatever is wrong with it, the reader says
    return read_compressed_ply(path) if compressed else SplatFile(read_ply(path), says_antialiased(path))


_BY_MAGIC: dict[bytes, Callable[[Path], SplatFile]] = {
    b"ply\n": _read_any_ply,
    b"ply\r": _read_any_ply,
    GZIP: spz.read_spz,
    spz.MAGIC: spz.read_spz,
    ZIP: read_sog,
    glb.MAGIC: glb.read_glb,
}
