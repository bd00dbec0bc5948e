"""Making label maps on a Ray cluster, or on this machine through Ray: a sibling of ``labels/workers.py``.

Workers read images and write label maps themselves, so data folders must lie at the same path on every machine. Label
maps are written atomically: a worker that dies loses only its image, which is handed to another.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.masks.cache import MaskJob
from proto_saga_ns.masks.workers import ATTEMPTS, Finished, run_job

if TYPE_CHECKING:
    from proto_saga_ns.masks.segmenters.base import Segmenter


@dataclass(frozen=True)
class RayOptions:
    """Where and how Ray's workers run."""

    address: str | None = None
    """of a running cluster (auto finds the one of this machine); without it Ray is started here and stopped again"""
    gpus_per_worker: float = 0.0
    """share of a GPU that each worker takes; 0.5 puts two on one"""


def make_masks_with_ray(
    jobs: Sequence[MaskJob],
    make_segmenter: Callable[[], Segmenter],
    workers: int,
    options: RayOptions = RayOptions(),
    *,
    force: bool = False,
) -> Iterator[Finished]:
    """As ``labels.workers.make_masks``, with Ray's actors for workers.

    Raises:
        ProtoSagaError: Ray is not installed, there is no such cluster, or an image ended ``ATTEMPTS`` workers.
    """
    if not jobs:
        return
    ray = _started(options)
    try:
        yield from _Cluster(ray, make_segmenter, options, force).run(jobs, min(workers, len(jobs)))
    finally:
        ray.shutdown()


def _started(options: RayOptions) -> Any:
    try:
        import ray
    except ImportError as error:
        raise ProtoSagaError(
            'Ray is not installed. Install it with pip install "proto_saga_ns[ray]", or use --engine local.'
        ) from error
    try:
        own: dict[str, Any] = {} if options.address else {"include_dashboard": False}
        ray.init(address=options.address or "local", log_to_driver=False, logging_level=logging.ERROR, **own)
    except (ConnectionError, ValueError) as error:
        raise ProtoSagaError(
            f"There is no Ray cluster at {options.address} ({error}). Start one with `ray start --head`, or leave "
            "--ray.address out."
        ) from error
    return ray


class _Worker:
    """Runs in a process of Ray's."""

    def __init__(self, make_segmenter: Callable[[], Segmenter], force: bool) -> None:
        self._segmenter, self._force = make_segmenter(), force

    def run(self, job: MaskJob) -> Finished:
        return run_job(job, self._segmenter, self._force)


class _Cluster:
    """The queue, and which worker is at which image."""

    def __init__(self, ray: Any, make_segmenter: Callable[[], Segmenter], options: RayOptions, force: bool) -> None:
        self._ray = ray
        remote = ray.remote(num_cpus=1, num_gpus=options.gpus_per_worker)(_Worker)
        self._start = lambda: remote.remote(make_segmenter, force)
        self._queue: deque[MaskJob] = deque()
        self._busy: dict[Any, tuple[Any, MaskJob]] = {}
        self._deaths: dict[MaskJob, int] = {}

    def run(self, jobs: Sequence[MaskJob], workers: int) -> Iterator[Finished]:
        self._queue.extend(jobs)
        for _ in range(workers):
            self._hand_next_to(self._start())
        while self._busy:
            (ready, *_), _ = self._ray.wait(list(self._busy))
            worker, job = self._busy.pop(ready)
            try:
                finished = self._ray.get(ready)
            except self._ray.exceptions.RayActorError as error:
                self._count_death(job, error)
                self._queue.appendleft(job)
                worker = self._start()
            else:
                yield finished
            self._hand_next_to(worker)

    def _hand_next_to(self, worker: Any) -> None:
        if self._queue:
            job = self._queue.popleft()
            self._busy[worker.run.remote(job)] = (worker, job)

    def _count_death(self, job: MaskJob, error: Exception) -> None:
        deaths = self._deaths[job] = self._deaths.get(job, 0) + 1
        if deaths >= ATTEMPTS:
            raise ProtoSagaError(
                f"{deaths} workers died one after another on the image {job.image}: "
                f"{' '.join(str(error).split())[:300]} If memory ran out, use fewer --workers; masks made so far are "
                "kept."
            ) from error
