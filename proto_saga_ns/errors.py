"""The one exception for mistakes that a user can mend, and how commands report it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

USER_ERROR_EXIT_CODE = 2
STOPPED_EXIT_CODE = 130
"""As shells say it of a process that Ctrl-C ended."""
CLOSED_PIPE_EXIT_CODE = 141
"""The same of SIGPIPE."""


class ProtoSagaError(Exception):
    """Bad input or a missing prerequisite.

    The message says what is wrong, in which file, what was expected and what to do next. Commands print it as
    one line on stderr and exit with code 2.
    """


@contextmanager
def ctrl_c_ends_the_process(what_now: Callable[[], str]) -> Iterator[None]:
    """Turn Ctrl-C into one line on stderr and exit code 130.

    Args:
        what_now: how to go on, for people; asked for when it is needed.

    Raises:
        SystemExit: with code 130, in place of the ``KeyboardInterrupt``.
    """
    try:
        yield
    except KeyboardInterrupt:
        print(f"\nproto-saga: stopped. {what_now()}", file=sys.stderr, flush=True)
        raise SystemExit(STOPPED_EXIT_CODE) from None


@contextmanager
def closed_pipe_ends_the_process() -> Iterator[None]:
    """End quietly, as other commands do, where the reader of a pipe has read enough (``proto-saga --help | head``).

    Raises:
        SystemExit: with the code that shells give a process of which nobody reads.
    """
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is still buffered goes nowhere
        raise SystemExit(CLOSED_PIPE_EXIT_CODE) from None


@contextmanager
def user_errors_end_the_process() -> Iterator[None]:
    """Turn a ``ProtoSagaError`` into one line on stderr and exit code 2.

    For the outermost layer only: our own commands, and the objects that nerfstudio's commands call first.

    Raises:
        SystemExit: with code 2, in place of the ``ProtoSagaError``.
    """
    try:
        yield
    except ProtoSagaError as error:
        message = " ".join(str(error).split())
        print(f"proto-saga: error: {message}", file=sys.stderr, flush=True)
        raise SystemExit(USER_ERROR_EXIT_CODE) from error
