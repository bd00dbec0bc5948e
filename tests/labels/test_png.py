"""Label maps survive the disk, and what is no label map is refused with a reason."""

import io
import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.labels import read_label_map, write_label_map
from proto_saga_ns.labels.label_map import read_text


@settings(max_examples=40)
@given(arrays(np.int32, array_shapes(min_dims=2, max_dims=2, max_side=9), elements=st.integers(0, 65535)))
def test_reading_inverts_writing(tmp_path_factory, labels):
    path = tmp_path_factory.mktemp("png") / "a.png"
    write_label_map(path, labels)
    again = read_label_map(path)
    assert again.dtype == np.int32
    np.testing.assert_array_equal(again, labels)


def test_written_file_has_one_channel_of_16_bits(tmp_path):
    write_label_map(tmp_path / "a.png", np.ones((3, 4), np.int64))
    assert Image.open(tmp_path / "a.png").mode.startswith("I;16")


def test_eight_bits_and_palettes_are_read_by_value(tmp_path):
    labels = np.array([[0, 1, 2], [255, 7, 3]], np.uint8)
    Image.fromarray(labels).save(tmp_path / "grey.png")
    palette = Image.fromarray(labels, mode="P")
    palette.putpalette(np.random.default_rng(0).integers(0, 255, 768, dtype=np.uint8).tobytes())
    palette.save(tmp_path / "palette.png")
    for name in ("grey.png", "palette.png"):
        np.testing.assert_array_equal(read_label_map(tmp_path / name), labels)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "1"])
def test_other_pixel_formats_are_refused(tmp_path, mode):
    Image.new(mode, (4, 4)).save(tmp_path / "a.png")
    with pytest.raises(ProtoSagaError, match=r"a\.png is .*Expected one channel of 8 or 16 bits"):
        read_label_map(tmp_path / "a.png")


def test_damaged_and_foreign_files_are_refused(tmp_path):
    write_label_map(tmp_path / "whole.png", np.random.default_rng(0).integers(0, 999, (50, 50)))
    content = (tmp_path / "whole.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(content[: len(content) // 2])
    (tmp_path / "empty.png").write_bytes(b"")
    Image.new("I", (4, 4)).save(tmp_path / "wide.tif")
    Image.new("L", (4, 4)).save(tmp_path / "photo.jpg")
    for name in ("cut.png", "empty.png", "wide.tif", "photo.jpg", "absent.png"):
        with pytest.raises(ProtoSagaError, match=name):
            read_label_map(tmp_path / name)


@pytest.mark.parametrize("value", [-1, 65536])
def test_ids_beyond_16_bits_are_refused_and_write_nothing(tmp_path, value):
    with pytest.raises(ProtoSagaError, match="16-bit"):
        write_label_map(tmp_path / "a.png", np.full((2, 2), value))
    assert not list(tmp_path.iterdir())


def test_failed_write_keeps_the_old_file_and_leaves_no_debris(tmp_path, monkeypatch):
    write_label_map(tmp_path / "a.png", np.ones((2, 2), int))

    def full_disk(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full_disk)
    with pytest.raises(ProtoSagaError, match="No space left"):
        write_label_map(tmp_path / "a.png", np.zeros((2, 2), int))
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
    assert read_label_map(tmp_path / "a.png").all()


def test_text_travels_with_the_label_map(tmp_path):
    write_label_map(tmp_path / "a.png", np.ones((2, 2), int), {"note": "made of x"})
    assert read_text(tmp_path / "a.png")["note"] == "made of x"
    assert read_text(tmp_path / "absent.png") == {}
    (tmp_path / "b.png").write_bytes(io.BytesIO(b"no png").getvalue())
    assert read_text(tmp_path / "b.png") == {}


def test_a_map_larger_than_any_image_may_be_is_refused_with_its_size(tmp_path, monkeypatch):
    write_label_map(tmp_path / "a.png", np.ones((30, 10), int), {"note": "made of x"})
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 149)
    with pytest.raises(ProtoSagaError, match=r"a.png is too large .*300 pixels"):
        read_label_map(tmp_path / "a.png")
    assert read_text(tmp_path / "a.png") == {}


def test_a_thousand_ids_and_the_largest_id(tmp_path):
    labels = np.append(np.arange(1001), 65535).reshape(2, -1)
    write_label_map(tmp_path / "a.png", labels)
    assert (read_label_map(tmp_path / "a.png") == labels).all()
    with pytest.raises(ProtoSagaError, match=r"0 to 70000.*65535"):
        write_label_map(tmp_path / "b.png", np.array([[0, 70_000]]))
