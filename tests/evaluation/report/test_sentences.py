"""A sentence for each way in which an instance fares."""

from __future__ import annotations

import numpy as np
import pytest

from proto_saga_ns.evaluation.report.figures import TrueInstance
from proto_saga_ns.evaluation.report.sentences import percent, what_happened
from tests.evaluation.report.test_figures import look


def instances(*runs: tuple[int, int, int]) -> dict[int, TrueInstance]:
    """One view of (true id, predicted id, pixels)."""
    truth, prediction = (np.repeat([run[column] for run in runs], [run[2] for run in runs])[None] for column in (0, 1))
    return {instance.id: instance for instance in look([(truth, prediction)])}


def sentence(id: int, *runs: tuple[int, int, int]) -> str:
    return what_happened(instances(*runs)[id], lambda number: f"number {number}")


def test_found() -> None:
    assert sentence(1, (1, 4, 99), (1, 0, 1), (2, 5, 50)) == "Found: 99% labelled as number 4, which is 100% this one."
    assert sentence(1, (1, 4, 70), (1, 0, 30)).endswith("which is 100% this one; 30% unlabelled.")


def test_unlabelled() -> None:
    runs = ((1, 0, 80), (1, 4, 20), (2, 5, 50))
    assert sentence(1, *runs) == "Mostly unlabelled: 80% belong to no instance, 20% labelled as number 4."
    assert sentence(1, (1, 0, 9), (2, 5, 1)) == "Mostly unlabelled: 100% belong to no instance."


def test_missed_in_favour_of_a_larger_one() -> None:
    # All of instance 1 is in the 4 that belongs to instance 2.
    wanted = "Missed: 100% labelled as number 4 (the match of true instance 2)."
    assert sentence(1, (1, 4, 10), (2, 4, 90)) == wanted


def test_cut() -> None:
    runs = ((1, 4, 50), (1, 5, 20), (1, 6, 20), (1, 7, 5), (1, 8, 5), (2, 6, 100))
    assert sentence(1, *runs) == (
        "Cut into 2 parts: 50% labelled as number 4, 20% as number 5; "
        "lost to others: 20% labelled as number 6 (the match of true instance 2)."
    )


def test_lost_in_part() -> None:
    runs = ((1, 4, 60), (1, 5, 40), (2, 5, 100))
    words = "lost to others: 60% labelled as number 4, 40% as number 5 (the match of true instance 2)."
    assert sentence(1, *runs) == f"Partly {words}"


def test_merged_and_found_with_parts_of_others() -> None:
    merged = sentence(1, (1, 4, 60), (2, 4, 40), (3, 5, 10))
    assert (
        merged
        == "Merged with true instance 2: 100% labelled as number 4, which is 60% this one and 40% true instance 2."
    )
    spilt = sentence(1, (1, 4, 80), (2, 4, 20), (2, 5, 80))
    assert spilt.startswith("Found with parts of others: 100% labelled as number 4, which is 80% this one and 20% true")
    several = sentence(1, (1, 4, 60), (2, 4, 20), (3, 4, 20))
    assert several.startswith("Merged with true instances 2 and 3:")


def test_scattered() -> None:
    runs = [(1, predicted, 7) for predicted in range(1, 13)]
    assert sentence(1, *runs, (1, 0, 20)) == "Scattered: no instance has 10% of its pixels; 19% unlabelled."


@pytest.mark.parametrize("share", [0.0, 1e-6, 0.004, 0.005, 0.1, 0.5, 0.994, 0.995, 0.99999, 1.0])
def test_only_all_is_100_percent_and_only_nothing_is_0(share: float) -> None:
    assert (percent(share) == "100%") == (share == 1) and (percent(share) == "0%") == (share == 0)
