"""Workers do every image once, and a worker that dies loses only its image, which is done again."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.labels import read_label_map
from proto_saga_ns.masks.cache import MaskJob, mask_jobs
from proto_saga_ns.masks.workers import Finished, make_masks


@dataclass(frozen=True)
class Recorder:
    """A picklable segmenter, and its own factory: notes every image (by its red value), and dies on some of them."""

    notes: Path
    dies_on: int = 0
    times: int = 0
    name: str = "recorder"

    @property
    def settings(self) -> dict:
        return {}

    def __call__(self, *image: np.ndarray):
        if not image:
            return self
        red = int(image[0][0, 0, 0])
        previous = len(list(self.notes.glob(f"{red}-*")))
        if red == self.dies_on and previous < self.times:
            (self.notes / f"{red}-death{previous}").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        (self.notes / f"{red}-{os.getpid()}").touch()
        return image[0][..., 0].astype(np.int32)


@pytest.fixture
def jobs(tmp_path: Path) -> list[MaskJob]:
    (tmp_path / "notes").mkdir()
    paths = [tmp_path / "images" / f"{index}.png" for index in range(1, 7)]
    paths[0].parent.mkdir()
    for index, path in enumerate(paths, 1):
        Image.new("RGB", (4, 3), (index, 0, 0)).save(path)
    return mask_jobs(tmp_path / "masks", paths)


def assert_all_done(finished: list[Finished], jobs: list[MaskJob]) -> None:
    assert sorted(done.job.image for done in finished) == [job.image for job in jobs]
    assert [int(read_label_map(job.target).max()) for job in jobs] == [1, 2, 3, 4, 5, 6]
    assert all(done.fingerprint == done.job.current_fingerprint() for done in finished)


@pytest.mark.parametrize("workers", [1, 2])
def test_every_image_is_done_exactly_once(tmp_path: Path, jobs: list[MaskJob], workers: int) -> None:
    recorder = Recorder(tmp_path / "notes")
    assert_all_done(list(make_masks(jobs, recorder, workers)), jobs)
    notes = [path.name.split("-") for path in (tmp_path / "notes").iterdir()]
    assert sorted(red for red, _ in notes) == list("123456")
    assert len({pid for _, pid in notes} - {str(os.getpid())}) <= (workers if workers > 1 else 0)
    # What another process has made meanwhile is not made again, unless by force.
    assert_all_done(list(make_masks(jobs, recorder, 1)), jobs)
    assert len(list((tmp_path / "notes").iterdir())) == 6
    assert_all_done(list(make_masks(jobs, recorder, 1, force=True)), jobs)
    assert len(list((tmp_path / "notes").iterdir())) == (12 if workers > 1 else 6)


def test_the_image_of_a_killed_worker_is_done_again_and_no_other(tmp_path: Path, jobs: list[MaskJob]) -> None:
    recorder = Recorder(tmp_path / "notes", dies_on=3, times=2)
    assert_all_done(list(make_masks(jobs, recorder, 2)), jobs)
    notes = sorted(path.name.split("-")[0] for path in (tmp_path / "notes").iterdir())
    assert notes == list("12333456")


def test_an_image_that_ends_every_worker_is_named(tmp_path: Path, jobs: list[MaskJob]) -> None:
    recorder = Recorder(tmp_path / "notes", dies_on=2, times=99)
    with pytest.raises(ProtoSagaError, match=r"3 worker processes died.*2\.png.*--workers"):
        list(make_masks(jobs[:2], recorder, 2))


def test_unreadable_images_do_not_stop_the_others(tmp_path: Path, jobs: list[MaskJob]) -> None:
    jobs[2].image.write_bytes(b"no image")
    finished = {done.job: done for done in make_masks(jobs, Recorder(tmp_path / "notes"), 1)}
    assert "3.png" in (finished[jobs[2]].error or "")
    assert sum(done.error is None for done in finished.values()) == 5


def refuse() -> None:
    raise ProtoSagaError("no weights")


def test_a_segmenter_that_cannot_be_made_ends_it_with_its_own_words(jobs: list[MaskJob]) -> None:
    with pytest.raises(ProtoSagaError, match="no weights"):
        list(make_masks(jobs, refuse, 2))  # type: ignore[arg-type]
