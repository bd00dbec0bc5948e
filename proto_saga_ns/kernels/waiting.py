"""How the threads of OpenMP wait for each other.

By default they spin, which is fastest on a machine that has nothing else to do, and many times slower on one that has:
a thread that spins holds the core that the other one waits for. Only the environment can say otherwise, and only before
the process starts.
"""

from __future__ import annotations

import os

WAIT_POLICY = "OMP_WAIT_POLICY"
PASSIVE = "passive"


def busy_machine(threads: int) -> str | None:
    """What to tell a person whose threads spin beside other programs; None if there is nothing to tell.

    Args:
        threads: that compute at once.
    """
    cores = os.cpu_count() or 1
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    if threads == 1 or load + threads <= cores + 0.5 or os.environ.get(WAIT_POLICY, "").lower() == PASSIVE:
        return None
    return (
        f"Other programs keep this machine busy (load {load:.1f} on {cores} cores), and {threads} threads that wait by "
        f"spinning are then several times slower. Start the same command with {WAIT_POLICY}={PASSIVE} before it."
    )
