"""The state of a cache says what is missing, out of date, damaged or left over."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from proto_saga_ns.labels import write_label_map
from proto_saga_ns.masks.cache import ensure_masks, fingerprints_of
from proto_saga_ns.masks.survey import survey


class Red:
    """Labels by the red channel."""

    name, settings = "red", {"size": 1}

    def __call__(self, image):
        return image[..., 0].astype(np.int32)


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "data" / "images"
    folder.mkdir(parents=True)
    for index in range(5):
        Image.new("RGB", (4, 3), (index + 1, 0, 0)).save(folder / f"{index}.png")
    return tmp_path / "data"


def images(data: Path) -> list[Path]:
    return sorted((data / "images").iterdir())


def test_every_kind_of_trouble_is_told_apart(data: Path) -> None:
    paths = images(data)
    folder = ensure_masks(paths, Red(), data)
    assert survey(paths, Red(), data).complaint() is None
    (folder / "0.png").unlink()
    Image.new("RGB", (4, 3), (99, 0, 0)).save(paths[1])
    content = bytearray((folder / "2.png").read_bytes())
    content[-20] ^= 255
    (folder / "2.png").write_bytes(content)
    write_label_map(
        folder / "3.png", np.ones((9, 9), np.int32), {"proto-saga image": fingerprints_of([paths[3]])[paths[3]]}
    )
    paths[4].unlink()
    state = survey(paths[:4], Red(), data)
    assert (state.missing, state.outdated) == ([paths[0]], [paths[1]])
    assert state.damaged == [paths[2], paths[3]] and state.stale == [folder / "4.png"]
    assert state.todo == paths[:4]
    complaint = state.complaint() or ""
    for words in (
        "4 images",
        "1 without a label map (0.png)",
        "1 changed",
        "2 with a damaged label map (2.png, 3.png)",
    ):
        assert words in complaint


def test_a_complete_cache_elsewhere_is_preferred(data: Path) -> None:
    paths = images(data)
    (data / ".proto_saga").write_text("")  # nobody can make the folder here
    folder = ensure_masks(paths, Red(), data)
    (data / ".proto_saga").unlink()
    assert survey(paths, Red(), data).folder == folder
    assert survey(paths, Red(), data).todo == []
