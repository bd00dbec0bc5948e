"""Jobs in other processes: what comes out, and what goes wrong."""

from __future__ import annotations

import fcntl
import math
import os
from pathlib import Path

import pytest
from common.queues import Queue, alone, results


def test_a_worker_that_dies_is_an_outcome() -> None:
    outcomes = list(results([1, 2], os._exit, Queue(workers=2)))
    assert sorted(job for job, _ in outcomes) == [1, 2]
    assert all(isinstance(outcome, Exception) for _, outcome in outcomes)


def test_a_job_that_fails_takes_none_along() -> None:
    for workers in (1, 2):
        outcomes = dict(results([4.0, -1.0, 9.0], math.sqrt, Queue(workers=workers)))
        assert outcomes[4.0] == 2 and outcomes[9.0] == 3 and isinstance(outcomes[-1.0], ValueError)


def test_a_worker_that_dies_takes_no_other_job_along() -> None:
    """As when the system kills it for want of memory: those that run beside it and those that wait go on."""
    outcomes = dict(results([-1, 2, 3], dies_if_negative, Queue(workers=2)))
    assert isinstance(outcomes.pop(-1), Exception) and outcomes == {2: 2, 3: 3}


def dies_if_negative(job: int) -> int:
    return job if job >= 0 else os._exit(1)


def test_one_process_at_a_time_is_alone(tmp_path: Path) -> None:
    with alone(tmp_path / "run"), (tmp_path / "run" / ".lock").open() as file, pytest.raises(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with alone(tmp_path / "run"):
        pass
