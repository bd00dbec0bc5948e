"""What runs the jobs of a sweep: this process, some processes of this machine, or a Ray cluster.

A job that fails, or whose worker dies, takes none of the others along.
"""

from __future__ import annotations

import fcntl
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Generic, Literal, TypeVar

from proto_saga_ns.errors import ProtoSagaError

Job = TypeVar("Job")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Queue:
    """How jobs are run."""

    engine: Literal["local", "ray"] = "local"
    """processes on this machine, or Ray (extra ray; the folders must be seen from all of its machines)"""
    workers: int | None = None
    """jobs at a time; one on this machine, and as many as Ray has room for, if not given"""
    address: str | None = None
    """ray: of a running cluster; without it Ray is started here"""
    gpus_per_worker: float | None = None
    """ray: share of a GPU that each worker takes; a whole one if not given and there is a GPU here"""


def results(
    jobs: Sequence[Job], work: Callable[[Job], Result], queue: Queue
) -> Iterator[tuple[Job, Result | Exception]]:
    """Jobs with what came out or what went wrong, in the order in which they end.

    Args:
        jobs: can be pickled, unless there is one local worker.
        work: likewise.
        queue: what runs them.

    Raises:
        ProtoSagaError: Ray is asked for and not installed.
    """
    if queue.engine == "ray":
        return _with_ray(jobs, work, queue)
    return _with_processes(jobs, work, queue.workers) if (queue.workers or 1) > 1 else _here(jobs, work)


def _here(jobs: Sequence[Job], work: Callable[[Job], Result]) -> Iterator[tuple[Job, Result | Exception]]:
    for job in jobs:
        yield job, _tried(lambda job=job: work(job))


def _tried(action: Callable[[], Result]) -> Result | Exception:
    try:
        return action()
    except Exception as error:  # whatever it is, the other jobs do not depend on it
        return error


def _with_processes(
    jobs: Sequence[Job], work: Callable[[Job], Result], workers: int | None
) -> Iterator[tuple[Job, Result | Exception]]:
    with ThreadPoolExecutor(workers) as pool:
        worker = _Worker(work)
        running = {pool.submit(worker, job): job for job in jobs}
        try:
            for future in as_completed(running):
                yield running[future], _tried(future.result)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


class _Worker(Generic[Job, Result]):
    """A process for each thread that calls, and a new one if that has died: one that all share would die with it."""

    def __init__(self, work: Callable[[Job], Result]) -> None:
        self._work, self._own = work, threading.local()

    def __call__(self, job: Job) -> Result:
        if not hasattr(self._own, "process"):
            # A fresh interpreter: forking a process with threads or a CUDA context is not safe.
            self._own.process = ProcessPoolExecutor(1, mp_context=get_context("spawn"))
        try:
            return self._own.process.submit(self._work, job).result()
        except BrokenProcessPool:
            del self._own.process
            raise


def _with_ray(
    jobs: Sequence[Job], work: Callable[[Job], Result], queue: Queue
) -> Iterator[tuple[Job, Result | Exception]]:
    try:
        import ray
    except ImportError as error:
        raise ProtoSagaError('Ray is not installed: pip install "proto_saga_ns[ray]", or --engine local.') from error
    ray.init(address=queue.address or "local", log_to_driver=False, include_dashboard=None if queue.address else False)
    remote = ray.remote(num_cpus=1, num_gpus=_gpus(queue))(_call)
    waiting, running = list(reversed(jobs)), {}
    try:
        while waiting or running:
            while waiting and len(running) < (queue.workers or len(jobs)):
                job = waiting.pop()
                running[remote.remote(work, job)] = job
            (ready, *_), _ = ray.wait(list(running))
            yield running.pop(ready), _tried(lambda ready=ready: ray.get(ready))
    finally:
        ray.shutdown()


def _gpus(queue: Queue) -> float:
    import torch

    return float(torch.cuda.is_available()) if queue.gpus_per_worker is None else queue.gpus_per_worker


def _call(work: Callable[[Job], Result], job: Job) -> Result:
    """Ray takes a plain function only."""
    return work(job)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """One process at a time in a folder: another sweep, or another worker, may want what is made there."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
