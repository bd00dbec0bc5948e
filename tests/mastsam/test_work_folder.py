"""What is kept comes back exactly, or not at all: of another key, missing, or damaged in any way."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from proto_saga_ns.mastsam.matches import Matches
from proto_saga_ns.mastsam.sequence import WorkFolder, file_fingerprint, fingerprint
from tests.mastsam.scenes import matches_of

MATCHES = matches_of(*np.random.default_rng(0).uniform(0, 50, (2, 20, 2)))
INSTANCES = np.arange(60, dtype=np.int32).reshape(6, 10) * 70000


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("work")
    WorkFolder(folder).write_instances("a", "key", INSTANCES)
    WorkFolder(folder).write_matches("key", MATCHES)
    return folder


def test_what_is_written_is_read_again(written: Path) -> None:
    work = WorkFolder(written)
    found, instances = work.read_matches("key"), work.read_instances("a", "key")
    assert found is not None and instances is not None
    for mine, theirs in ((found.xy_a, MATCHES.xy_a), (found.xy_b, MATCHES.xy_b), (instances, INSTANCES)):
        assert mine.dtype == theirs.dtype
        np.testing.assert_array_equal(mine, theirs)
    assert work.read_matches("other") is None and work.read_instances("b", "key") is None
    assert work.read_instances("a", "other") is None
    assert not [path for path in written.rglob("*") if path.suffix == ".tmp"]


def test_no_matches_are_known_matches(tmp_path: Path) -> None:
    work = WorkFolder(tmp_path)
    work.write_matches("key", Matches.none())
    found = work.read_matches("key")
    assert found is not None and len(found) == 0


def assert_none_or_as_it_was(written: Path, damaged: bytes) -> None:
    path = written / "instances" / "a.npz"
    whole = path.read_bytes()
    try:
        path.write_bytes(damaged)
        found = WorkFolder(written).read_instances("a", "key")
    finally:
        path.write_bytes(whole)
    assert found is None or np.array_equal(found, INSTANCES)


@settings(max_examples=60)
@given(st.data())
def test_a_file_that_was_cut_off_reads_as_none_or_as_it_was(written: Path, data: st.DataObject) -> None:
    whole = (written / "instances" / "a.npz").read_bytes()
    assert_none_or_as_it_was(written, whole[: data.draw(st.integers(0, len(whole) - 1))])


@settings(max_examples=4)
@given(st.integers(1, 255))
@example(59)
def test_a_file_with_one_wrong_byte_reads_as_none_or_as_it_was(written: Path, change: int) -> None:
    """Wherever the byte is: in the data, or in the names and sizes of the archive."""
    whole = (written / "instances" / "a.npz").read_bytes()
    for place in range(len(whole)):
        assert_none_or_as_it_was(written, whole[:place] + bytes([whole[place] ^ change]) + whole[place + 1 :])


def test_fingerprints_tell_values_and_their_places_apart(tmp_path: Path) -> None:
    different = [(1, 2), (2, 1), ([1, 2],), ("1", 2), (None, None), (1, [2]), ({"a": 1},), ()]
    assert len({fingerprint(*parts) for parts in different}) == len(different)
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    (tmp_path / "one").write_bytes(b"x")
    (tmp_path / "two").write_bytes(b"x")
    assert file_fingerprint(tmp_path / "one") == file_fingerprint(tmp_path / "two") != file_fingerprint(None) == ""
