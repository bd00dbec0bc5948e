"""A splat in any of the formats that are written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from proto_saga_ns.recognition.gaussian_instances import GaussianInstances
from proto_saga_ns.splats.compressed_ply import write_compressed_ply
from proto_saga_ns.splats.dot_splat import write_dot_splat
from proto_saga_ns.splats.formats import WITH_IDS, Format
from proto_saga_ns.splats.glb import write_glb
from proto_saga_ns.splats.ply import render_mode, write_labelled_ply, write_ply
from proto_saga_ns.splats.sog import write_sog
from proto_saga_ns.splats.splat import Splat
from proto_saga_ns.splats.spz import write_spz


@dataclass(frozen=True)
class Origin:
    """What the head of a file says, as far as its format has room.

    Attributes:
        generator: what made it, in ASCII.
        antialiased: whether the splat is to be shown with antialiasing.
        comments: further lines, in ASCII.
    """

    generator: str
    antialiased: bool = False
    comments: Sequence[str] = ()

    @property
    def lines(self) -> tuple[str, ...]:
        """The comments of a PLY."""
        return (self.generator, render_mode(self.antialiased), *self.comments)


def write_splat(
    path: Path, splat: Splat, kind: Format, origin: Origin, instances: GaussianInstances | None = None
) -> None:
    """Write a splat atomically.

    Args:
        path: file to write, by convention with the suffix of its format.
        splat: of at least one Gaussian.
        kind: the format.
        origin: what the head of the file says.
        instances: of each Gaussian; only for formats ``WITH_IDS``.

    Raises:
        ProtoSagaError: the file cannot be written, or the format cannot hold the splat.
        ValueError: the format has no room for instances.
    """
    if instances is not None and kind not in WITH_IDS:
        raise ValueError(f"{kind} has no room for instances")
    if kind == "ply":
        if instances is None:
            write_ply(path, splat, origin.lines)
        else:
            write_labelled_ply(path, splat, instances, origin.lines)
    elif kind == "compressed-ply":
        write_compressed_ply(path, splat, origin.lines)
    elif kind == "spz":
        write_spz(path, splat, origin.antialiased)
    elif kind == "splat":
        write_dot_splat(path, splat)
    elif kind == "sog":
        write_sog(path, splat, origin.antialiased, origin.generator)
    else:
        write_glb(path, splat, origin.antialiased, origin.generator, instances)
