"""Names are sorted as people do."""

from __future__ import annotations

from proto_saga_ns.files import natural_key


def test_natural_order_counts_as_people_do() -> None:
    assert sorted(["v10", "v2", "a", "v1b"], key=natural_key) == ["a", "v1b", "v2", "v10"]


def test_digits_that_are_no_numbers_are_letters() -> None:
    assert sorted(["m²3", "m²"], key=natural_key) == ["m²", "m²3"]
