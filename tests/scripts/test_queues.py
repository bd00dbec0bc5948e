"""Jobs in other processes: what comes out, and what goes wrong."""

from __future__ import annotations

import math
import os

from queues import Queue, results


def test_a_worker_that_dies_is_an_outcome() -> None:
    outcomes = list(results([1, 2], os._exit, Queue(workers=2)))
    assert sorted(job for job, _ in outcomes) == [1, 2]
    assert all(isinstance(outcome, Exception) for _, outcome in outcomes)


def test_a_job_that_fails_takes_none_along() -> None:
    for workers in (1, 2):
        outcomes = dict(results([4.0, -1.0, 9.0], math.sqrt, Queue(workers=workers)))
        assert outcomes[4.0] == 2 and outcomes[9.0] == 3 and isinstance(outcomes[-1.0], ValueError)
