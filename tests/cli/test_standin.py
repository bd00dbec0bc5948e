"""proto-saga make-standin on the command line, also when it is killed."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from proto_saga_ns.cli.standin import MakeStandin, Rates
from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.evaluation.standins.marks import read_mark
from proto_saga_ns.evaluation.standins.options import StandinOptions
from proto_saga_ns.labels import read_label_map
from tests.commands import Started, run

QUICK = ("--test-views", 1, "--width", 24, "--height", 18, "--points", 50, "--samples", 1)


def test_a_killed_run_leaves_no_stand_in_and_the_next_makes_it(tmp_path: Path) -> None:
    room = tmp_path / "room"
    process = Started("proto-saga", "make-standin", "--output-dir", room, "--views", 10_000, *QUICK)
    end = time.monotonic() + 60
    while not list(tmp_path.glob(".room.*/images/*")):
        assert time.monotonic() < end, process.stdout
        time.sleep(0.02)
    process.kill()
    assert not room.exists()
    finished = run("proto-saga", "make-standin", "--output-dir", room, "--views", 2, "--seed", 3, *QUICK)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert "no data set" in finished.stdout and (room / "transforms.json").is_file()


def test_a_folder_with_other_files_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("dear")
    finished = run("proto-saga", "make-standin", "--output-dir", tmp_path, *QUICK)
    assert finished.returncode == 2 and finished.stderr.count("\n") == 1 and "--output-dir" in finished.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def command(folder: Path, **keywords) -> MakeStandin:
    options = StandinOptions(views=2, test_views=0, width=24, height=18, points=50, samples=1)
    return MakeStandin(folder, standin=options, **keywords)


def test_own_rates_take_the_place_of_the_presets_and_are_named(tmp_path: Path) -> None:
    command(tmp_path, segmenter="light", rates=Rates(drop=1.0, gaps=0.1)).run()
    mark = read_mark(tmp_path)
    assert mark["segmenter"]["drop"] == 1.0 and mark["segmenter"]["split"] == 0.1
    # The share of gaps is that of the preset: only what differs is named.
    assert mark["segmenter_preset"] == "light, drop 1.0"
    assert all(read_label_map(path).max() == 0 for path in (tmp_path / "masks").iterdir())


def test_a_second_run_says_that_it_is_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command(tmp_path).run()
    capsys.readouterr()
    command(tmp_path).run()
    assert "already" in capsys.readouterr().out


def test_rates_that_make_no_sense_are_a_user_error(tmp_path: Path) -> None:
    with pytest.raises(ProtoSagaError, match=r"--rates\.split"):
        command(tmp_path, rates=Rates(split=2.0)).run()
