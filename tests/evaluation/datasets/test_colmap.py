"""Names in COLMAP's models, against what was written and nerfstudio's reader."""

from __future__ import annotations

import struct
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from proto_saga_ns.evaluation.datasets.colmap import posed_images
from tests.evaluation.datasets.folders import VIEWS

LETTERS = st.characters(codec="utf-8", exclude_characters="/", exclude_categories=("Z", "C"))
WORDS = st.text(LETTERS, min_size=1).filter(lambda word: word != ".")
IMAGES = st.lists(st.tuples(WORDS, st.integers(0, 5)), min_size=1, max_size=5)


def binary(images: list[tuple[str, int]]) -> bytes:
    """images.bin of names and numbers of 2D points, which hold bytes of all kinds."""
    content = struct.pack("<Q", len(images))
    for number, (name, points) in enumerate(images):
        content += struct.pack("<i7di", number, *[1.0] * 7, 1) + name.encode() + b"\0" + struct.pack("<Q", points)
        content += bytes(range(24)) * points
    return content


@given(images=IMAGES)
def test_names_are_read_past_all_points(images: list[tuple[str, int]], tmp_path_factory) -> None:
    folder = tmp_path_factory.mktemp("model")
    (folder / "images.bin").write_bytes(binary(images))
    assert posed_images(folder) == tuple(sorted(name for name, _ in images))


@given(images=IMAGES, data=st.data())
def test_a_model_that_is_cut_off_is_not_read(images: list[tuple[str, int]], data, tmp_path_factory) -> None:
    folder, content = tmp_path_factory.mktemp("model"), binary(images)
    (folder / "images.bin").write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    assert posed_images(folder) is None


def test_text_with_and_without_points(tmp_path: Path) -> None:
    pose = "0 0 0 1 0 0 0 1"
    (tmp_path / "images.txt").write_text(f"# a comment\n1 {pose} b.png\n1.0 2.0 -1\n2 {pose} a b.png\n\n")
    assert posed_images(tmp_path) == ("a b.png", "b.png")
    assert posed_images(tmp_path / "gone") is None


def test_a_stand_in_is_read_as_nerfstudio_reads_it(originals) -> None:
    from nerfstudio.data.utils.colmap_parsing_utils import read_images_binary

    sparse = originals["lerf-mask"] / "sparse/0"
    names = posed_images(sparse)
    assert names is not None and len(names) > VIEWS
    assert set(names) == {image.name for image in read_images_binary(sparse / "images.bin").values()}
