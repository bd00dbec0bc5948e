"""Making many label maps: here, or in worker processes that are handed one image after the other.

Each worker has a pipe of its own and shares no lock with the others, so killing one at any moment harms nobody: its
image is handed to another worker. The label maps themselves are written atomically (``MaskJob``).
"""

from __future__ import annotations

import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, Any

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.masks.cache import MaskJob

if TYPE_CHECKING:
    from proto_saga_ns.masks.segmenters.base import Segmenter

ATTEMPTS = 3
"""How many workers an image may cost before it is given up."""

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


@dataclass(frozen=True)
class Finished:
    """How a job ended."""

    job: MaskJob
    fingerprint: str | None = None
    """of the image whose label map is there now; None after an error"""
    error: str | None = None
    """what a person can mend, such as an unreadable image"""


def make_masks(
    jobs: Sequence[MaskJob], make_segmenter: Callable[[], Segmenter], workers: int = 1, *, force: bool = False
) -> Iterator[Finished]:
    """Run the jobs, and give each back as it ends, in any order.

    Args:
        make_segmenter: picklable; called once in every process that segments.
        workers: 1 segments in this process; more start that many, with one thread each.
        force: also make label maps that another process has made by the time that their turn comes.

    Raises:
        ProtoSagaError: an image ended ``ATTEMPTS`` workers, or the segmenter itself cannot be made.
    """
    if workers <= 1 or len(jobs) <= 1:
        segmenter = make_segmenter() if jobs else None
        for job in jobs:
            assert segmenter is not None
            yield run_job(job, segmenter, force)
    else:
        yield from _Pool(make_segmenter, force).run(jobs, min(workers, len(jobs)))


def run_job(job: MaskJob, segmenter: Segmenter, force: bool) -> Finished:
    try:
        if not force and (fingerprint := job.current_fingerprint()):
            return Finished(job, fingerprint)
        return Finished(job, job.run(segmenter))
    except ProtoSagaError as error:
        return Finished(job, error=str(error))


@dataclass
class _Worker:
    process: Any
    pipe: Connection
    job: MaskJob


class _Pool:
    """Worker processes and the queue that they are fed from."""

    def __init__(self, make_segmenter: Callable[[], Segmenter], force: bool) -> None:
        # A fresh interpreter: forking a process with threads or a CUDA context is not safe.
        self._context = multiprocessing.get_context("spawn")
        self._arguments = (make_segmenter, force)
        self._workers: dict[Connection, _Worker] = {}
        self._queue: deque[MaskJob] = deque()
        self._deaths: dict[MaskJob, int] = {}

    def run(self, jobs: Sequence[MaskJob], workers: int) -> Iterator[Finished]:
        self._queue.extend(jobs)
        try:
            with _one_thread_each():
                for _ in range(workers):
                    self._start()
            while self._workers:
                # A dead worker's pipe is at its end, which counts as ready.
                for pipe in wait(list(self._workers)):
                    assert isinstance(pipe, Connection)
                    finished = self._receive(self._workers[pipe])
                    if finished is not None:
                        yield finished
        finally:
            self._stop()

    def _start(self) -> None:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_serve, args=(theirs, *self._arguments), daemon=True)
        process.start()
        theirs.close()
        worker = _Worker(process, ours, self._queue.popleft())
        self._workers[ours] = worker
        self._send(worker)

    def _send(self, worker: _Worker) -> None:
        with suppress(OSError):  # It died; the next receive says so.
            worker.pipe.send(worker.job)

    def _receive(self, worker: _Worker) -> Finished | None:
        try:
            finished = worker.pipe.recv()
        except (EOFError, OSError):
            self._bury(worker)
            return None
        if isinstance(finished, ProtoSagaError):
            raise finished
        if self._queue:
            worker.job = self._queue.popleft()
            self._send(worker)
        else:
            self._retire(worker)
        return finished

    def _bury(self, worker: _Worker) -> None:
        """Hand the image of a dead worker to a new one."""
        self._retire(worker)
        deaths = self._deaths[worker.job] = self._deaths.get(worker.job, 0) + 1
        if deaths >= ATTEMPTS:
            raise ProtoSagaError(
                f"{deaths} worker processes died one after another on the image {worker.job.image} (the last with "
                f"exit code {worker.process.exitcode}). If memory ran out, use fewer --workers or smaller images; "
                "masks made so far are kept."
            )
        self._queue.appendleft(worker.job)
        with _one_thread_each():
            self._start()

    def _retire(self, worker: _Worker) -> None:
        del self._workers[worker.pipe]
        worker.pipe.close()
        worker.process.join()

    def _stop(self) -> None:
        for worker in self._workers.values():
            worker.process.kill()
            worker.process.join()
            worker.pipe.close()
        self._workers.clear()


def _serve(pipe: Connection, make_segmenter: Callable[[], Segmenter], force: bool) -> None:
    """What a worker does until its pipe closes: at the end of the work, or when the process that started it is gone."""
    try:
        segmenter = make_segmenter()
        while True:
            pipe.send(run_job(pipe.recv(), segmenter, force))
    except ProtoSagaError as error:
        pipe.send(error)
    except (EOFError, BrokenPipeError, KeyboardInterrupt):
        return


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Processes started in this block inherit an environment in which numerical libraries use one thread."""
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
