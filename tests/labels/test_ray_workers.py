"""Ray's workers do what the local ones do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.masks.cache import MaskJob
from proto_saga_ns.masks.ray_workers import RayOptions, make_masks_with_ray
from tests.labels import test_workers
from tests.labels.test_workers import Recorder, assert_all_done

ray = pytest.importorskip("ray", reason="the extra ray is not installed")
jobs = test_workers.jobs


@pytest.fixture(autouse=True)
def recorder_by_value() -> Iterator[None]:
    """Ray's processes cannot import the tests."""
    ray.cloudpickle.register_pickle_by_value(test_workers)
    yield
    ray.cloudpickle.unregister_pickle_by_value(test_workers)


def test_two_workers_do_every_image_once_also_when_one_is_killed(tmp_path: Path, jobs: list[MaskJob]) -> None:
    recorder = Recorder(tmp_path / "notes", dies_on=3, times=1)
    assert_all_done(list(make_masks_with_ray(jobs, recorder, 2)), jobs)
    notes = [path.name.split("-") for path in (tmp_path / "notes").iterdir()]
    assert sorted(red for red, _ in notes) == list("1233456"), "the killed one's image twice, all others once"


def test_an_image_that_kills_every_worker_is_named(tmp_path: Path, jobs: list[MaskJob]) -> None:
    recorder = Recorder(tmp_path / "notes", dies_on=3, times=99)
    with pytest.raises(ProtoSagaError, match=r"died one after another on the image .*3\.png"):
        list(make_masks_with_ray(jobs, recorder, 2))


def test_a_cluster_that_is_not_there_is_an_error(jobs: list[MaskJob]) -> None:
    with pytest.raises(ProtoSagaError, match="no Ray cluster at auto"):
        list(make_masks_with_ray(jobs, Recorder(jobs[0].image.parent), 1, RayOptions(address="auto")))
