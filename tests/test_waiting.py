"""When a person is told that threads spin beside other programs."""

from __future__ import annotations

import os

import pytest

from proto_saga_ns.kernels.waiting import WAIT_POLICY, busy_machine


@pytest.mark.parametrize(
    ("load", "threads", "policy", "told"),
    [
        (0.1, 2, None, False),  # nothing else to do
        (1.0, 2, None, True),  # a program beside two threads on two cores
        (1.0, 1, None, False),  # one thread waits for nobody
        (9.0, 2, "passive", False),
        (9.0, 2, "PASSIVE", False),
        (9.0, 2, "active", True),
    ],
)
def test_it_is_told_where_threads_spin_beside_others(
    load: float, threads: int, policy: str | None, told: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "getloadavg", lambda: (load, 0.0, 0.0))
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    monkeypatch.delenv(WAIT_POLICY, raising=False)
    if policy is not None:
        monkeypatch.setenv(WAIT_POLICY, policy)
    warning = busy_machine(threads)
    assert (warning is not None) == told
    assert warning is None or f"{WAIT_POLICY}=passive" in warning
