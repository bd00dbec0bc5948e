"""The published weights of Segment Anything: where they come from, where they lie, and that they are the right ones.

Meta publishes no SHA-256 sums, and its file names carry six digits of an MD5 sum only. The sums here are those that
independent projects check their downloads with, such as micro-sam and the SegmentAnyMedia extension of 3D Slicer;
they agree. No weights were at hand to compute them again.
"""

from __future__ import annotations

import hashlib
import http.client
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.files import atomic_file
from proto_saga_ns.masks.segmenters.mask_generation import OTHER_WAYS

SamModel = Literal["vit_h", "vit_l", "vit_b"]

_TIMEOUT_SECONDS = 30
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class PublishedWeights:
    """One file of weights on the internet."""

    url: str
    sha256: str
    gigabytes: float
    """size, for people"""

    @property
    def file_name(self) -> str:
        return self.url.rsplit("/", 1)[-1]


def _published(file_name: str, sha256: str, gigabytes: float) -> PublishedWeights:
    return PublishedWeights(f"https://dl.fbaipublicfiles.com/segment_anything/{file_name}", sha256, gigabytes)


PUBLISHED: dict[SamModel, PublishedWeights] = {
    "vit_h": _published(
        "sam_vit_h_4b8939.pth", "a7bf3b02f3ebf1267aba913ff637d9a2d5c33d3173bb679e46d9f338c26f262e", 2.6
    ),
    "vit_l": _published(
        "sam_vit_l_0b3195.pth", "3adcc4315b642a4d2101128f611684e8734c41232a17c648ed1693702a49a622", 1.2
    ),
    "vit_b": _published(
        "sam_vit_b_01ec64.pth", "ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912", 0.4
    ),
}


def weights_path(model: SamModel) -> Path:
    """Where the weights lie, or are to be put: the checkpoints of torch hub, under their published name."""
    import torch

    return Path(torch.hub.get_dir()) / "checkpoints" / PUBLISHED[model].file_name


def ensure_weights(model: SamModel, other_ways: str = OTHER_WAYS) -> Path:
    """The file of the weights, downloaded if it is not there yet; its checksum is verified either way.

    Args:
        model: which.
        other_ways: what else a person can do where they cannot be had, the end of the message that says so.

    Raises:
        ProtoSagaError: it is not there and cannot be downloaded, or it is not the published file.
    """
    path, published = weights_path(model), PUBLISHED[model]
    if not path.is_file():
        _download(published, path, model, other_ways)
    elif (found := file_sha256(path)) != published.sha256:
        raise ProtoSagaError(
            f"{path} is not the published file, or is damaged: its SHA-256 is {found}, expected "
            f"{published.sha256}. Remove it, and it is downloaded again from {published.url}; or name your own "
            "weights with --sam.checkpoint FILE."
        )
    return path


def weights_fingerprint(model: SamModel, checkpoint: Path | None) -> dict[str, str]:
    """What tells weights apart: their checksum, wherever they lie; a checkpoint that is not there counts by its path.

    Raises:
        ProtoSagaError: the checkpoint cannot be read.
    """
    if checkpoint is None:
        return {"sha256": PUBLISHED[model].sha256}
    return {"sha256": file_sha256(checkpoint)} if checkpoint.is_file() else {"missing": str(checkpoint)}


def file_sha256(path: Path) -> str:
    """SHA-256 of a file in hex, computed once as long as it does not change.

    Raises:
        ProtoSagaError: it cannot be read.
    """
    try:
        status = path.stat()
        return _sha256(path, status.st_size, status.st_mtime_ns)
    except OSError as error:
        raise ProtoSagaError(f"Cannot read {path}: {error.strerror}.") from error


@lru_cache(maxsize=256)
def _sha256(path: Path, size: int, modified: int) -> str:
    del size, modified
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def _download(published: PublishedWeights, path: Path, model: str, other_ways: str) -> None:
    with atomic_file(path) as file:
        digest = hashlib.sha256()
        for chunk in _chunks(published, path, model, other_ways):
            digest.update(chunk)
            file.write(chunk)
        if digest.hexdigest() != published.sha256:
            raise ProtoSagaError(
                f"The weights that came from {published.url} are damaged: SHA-256 {digest.hexdigest()}, expected "
                f"{published.sha256}. Nothing was kept. Run the same command again, or put the file at {path} "
                "yourself."
            )


def _chunks(published: PublishedWeights, path: Path, model: str, other_ways: str) -> Iterator[bytes]:
    """The bytes of a download, with a progress bar.

    Raises:
        ProtoSagaError: no connection, or it broke.
    """
    columns = ("{task.description}", BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    try:
        with (
            urllib.request.urlopen(published.url, timeout=_TIMEOUT_SECONDS) as response,
            Progress(*columns, transient=True) as progress,
        ):
            size = response.headers.get("Content-Length")
            task = progress.add_task(f"Downloading {published.file_name}", total=int(size) if size else None)
            while chunk := response.read(_CHUNK_BYTES):
                yield chunk
                progress.advance(task, len(chunk))
    except (OSError, http.client.HTTPException) as error:
        raise ProtoSagaError(
            f"The weights of Segment Anything ({model}) are not on this machine and cannot be downloaded "
            f"({error}). Fetch {published.url} ({published.gigabytes} GB) elsewhere and put it at {path} "
            f"(SHA-256 {published.sha256}), or name the file with --sam.checkpoint FILE. {other_ways}"
        ) from error
