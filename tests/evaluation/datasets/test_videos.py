"""DAVIS and MOSE: the check agrees with the reader of the protocol."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.evaluation.datasets.findings import Dataset
from proto_saga_ns.evaluation.datasets.layouts import check
from proto_saga_ns.evaluation.datasets.videos import find_sequences

Copy = Callable[..., Path]


@pytest.mark.parametrize("dataset", ["davis", "mose"])
def test_what_passes_is_what_the_protocol_reads(dataset: Dataset, originals: dict[Dataset, Path]) -> None:
    report = check(dataset, originals[dataset])
    splits: list[str | None] = [None] if dataset == "davis" else ["train", "valid"]
    read = [sequence for split in splits for sequence in find_sequences(originals[dataset], split)]
    assert [(scene.test_views, scene.ground_truth) for scene in report.scenes] == [
        (len(sequence.frames), len(sequence.annotations)) for sequence in read
    ]


@pytest.mark.parametrize(
    ("dataset", "part"), [("davis", "JPEGImages/480p/standin"), ("mose", "train/JPEGImages/standin")]
)
def test_one_sequence_is_checked_alone(dataset: Dataset, part: str, copy_of: Copy) -> None:
    folder = copy_of(dataset)
    for kind in ("JPEGImages", "Annotations"):
        where = (folder / part.replace("JPEGImages", kind)).parent
        shutil.copytree(where / "standin", where / "another")
    next((folder / part).parent.joinpath("another").glob("*.jpg")).unlink()
    assert check(dataset, folder).count("error") == 1
    alone = check(dataset, folder / part)
    assert alone.count("error") == 0 and [scene.folder.name for scene in alone.scenes] == ["standin"]


def test_first_frames_alone_are_a_note_where_that_is_published(copy_of: Copy) -> None:
    folder = copy_of("davis")
    for path in sorted((folder / "Annotations/480p/standin").iterdir())[1:]:
        path.unlink()
    assert check("davis", folder).count("error") == 1
    (folder / "ImageSets/2017/val.txt").rename(folder / "ImageSets/2017/test-dev.txt")
    report = check("davis", folder)
    assert report.count("error") == 0
    assert any(finding.severity == "note" and "first frames only" in finding.what for finding in report.findings)


def test_a_listed_sequence_that_is_gone_and_lists_of_frames(copy_of: Copy) -> None:
    folder = copy_of("davis")
    (folder / "ImageSets/2016").mkdir()
    lists = folder / "ImageSets/2016/val.txt"
    lists.write_text("/JPEGImages/480p/standin/00000.jpg /Annotations/480p/standin/00000.png\n")
    assert check("davis", folder).count("error") == 0
    lists.write_text(lists.read_text() + "/JPEGImages/480p/cows/00000.jpg /Annotations/480p/cows/00000.png\n")
    (finding,) = [finding for finding in check("davis", folder).findings if finding.severity == "error"]
    assert finding.path.name == "cows" and "2016/val.txt" in finding.what


def test_a_gap_in_the_count_is_a_warning(copy_of: Copy) -> None:
    folder = copy_of("davis")
    for path in (folder / "JPEGImages/480p/standin/00002.jpg", folder / "Annotations/480p/standin/00002.png"):
        path.unlink()
    (finding,) = check("davis", folder).scenes[0].findings
    assert finding.severity == "warning" and finding.path.name == "00002.jpg"


def test_another_resolution_is_read_where_480p_is_not(copy_of: Copy) -> None:
    folder = copy_of("davis")
    for kind in ("JPEGImages", "Annotations"):
        (folder / kind / "480p").rename(folder / kind / "Full-Resolution")
    report = check("davis", folder)
    assert len(report.scenes) == 1
    assert any("there is no 480p" in finding.what for finding in report.findings)


def test_no_sequence_at_all_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "JPEGImages" / "480p").mkdir(parents=True)
    with pytest.raises(ProtoSagaError, match="holds no sequence"):
        check("davis", tmp_path)
