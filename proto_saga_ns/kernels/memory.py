"""How much main memory is free, and one line where what somebody asks for does not fit into it.

Linux promises more memory than there is and ends the process that takes it at its word, without a message: what can be
told beforehand is told here.
"""

from __future__ import annotations

import re
from pathlib import Path

from proto_saga_ns.errors import ProtoSagaError

MEMINFO = Path("/proc/meminfo")
GIB = 2**30
CONTAINER = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
"""Where a container says how much it may have, in bytes."""


def free_bytes() -> int | None:
    """Main memory that a process can still get; None where the system does not say."""
    known = [found for found in (_free_here(), *map(_limit, CONTAINER)) if found is not None]
    return min(known, default=None)


def _free_here() -> int | None:
    try:
        found = re.search(r"^MemAvailable:\s+(\d+) kB", MEMINFO.read_text(), re.MULTILINE)
    except OSError:
        return None
    return None if found is None else 1024 * int(found[1])


def _limit(file: Path) -> int | None:
    try:
        content = file.read_text().strip()
    except OSError:
        return None
    return int(content) if content.isdecimal() else None


def check_fits(needed: int, what: str, remedy: str) -> None:
    """See whether something fits into main memory.

    Args:
        needed: bytes that it takes at the least.
        what: takes them, with the number that decides it.
        remedy: what takes less.

    Raises:
        ProtoSagaError: it does not.
    """
    free = free_bytes()
    if free is not None and needed > free:
        raise ProtoSagaError(
            f"{what} would take {in_gib(needed)} GiB of main memory at the least, and {in_gib(free)} are free. {remedy}"
        )


def in_gib(count: int) -> str:
    """Bytes for people."""
    return f"{count / GIB:,.1f}"
