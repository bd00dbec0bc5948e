"""Photos of every mode that Pillow opens come out as the eye sees them, or are refused by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.labels.images import decode_image, read_rgb, size_and_orientation


@pytest.fixture
def photo() -> Image.Image:
    """A gradient of colours, 40 x 30."""
    y, x = np.mgrid[:30, :40]
    return Image.fromarray(np.stack([6 * x, 8 * y, 3 * (x + y)], -1).astype(np.uint8))


def distance(first: np.ndarray, second: Any) -> float:
    """Mean difference of two pictures, in levels of 255."""
    return float(np.abs(first.astype(float) - np.asarray(second, float)).mean())


@pytest.mark.parametrize(
    ("mode", "suffix"),
    [("RGB", "png"), ("CMYK", "jpg"), ("CMYK", "tif"), ("YCbCr", "jpg"), ("RGBA", "png"), ("RGB", "webp")],
)
def test_colours_stay_what_they_are(tmp_path: Path, photo: Image.Image, mode: str, suffix: str) -> None:
    file = tmp_path / f"a.{suffix}"
    photo.convert(mode).save(file, quality=100)
    assert distance(read_rgb(file), photo) < 4


def test_a_palette_gives_its_colours_and_not_its_indices(tmp_path: Path, photo: Image.Image) -> None:
    photo.quantize(256).save(tmp_path / "a.png")
    assert distance(read_rgb(tmp_path / "a.png"), photo) < 12


@pytest.mark.parametrize("mode", ["L", "LA", "1"])
def test_grey_has_three_equal_channels(tmp_path: Path, photo: Image.Image, mode: str) -> None:
    grey = photo.convert("1" if mode == "1" else "L")
    grey.convert(mode).save(tmp_path / "a.png")
    pixels = read_rgb(tmp_path / "a.png")
    assert (pixels == np.asarray(grey.convert("L"))[..., None]).all()


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_16_bits_keep_their_upper_8(tmp_path: Path, photo: Image.Image, suffix: str) -> None:
    grey = np.asarray(photo.convert("L"))
    noise = np.random.default_rng(0).integers(0, 256, grey.shape)
    Image.fromarray((grey.astype(np.uint16) << 8 | noise).astype(np.uint16)).save(tmp_path / f"a.{suffix}")
    assert (read_rgb(tmp_path / f"a.{suffix}")[..., 1] == grey).all()


def test_16_bits_in_the_other_byte_order(tmp_path: Path, photo: Image.Image) -> None:
    grey = np.asarray(photo.convert("L"))
    big = Image.frombytes("I;16B", photo.size, (grey.astype(">u2") << 8).astype(">u2").tobytes())
    big.save(tmp_path / "a.tif")
    assert (read_rgb(tmp_path / "a.tif")[..., 0] == grey).all()


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparency_stays_for_training_and_is_white_for_masks(tmp_path: Path, photo: Image.Image, mode: str) -> None:
    file = tmp_path / "a.png"
    if mode == "P":
        photo.quantize(64).save(file, transparency=0)
        see_through = np.asarray(photo.quantize(64)) == 0
    else:
        see_through = np.zeros((30, 40), bool)
        see_through[:10] = True
        photo.convert(mode[:-1]).save(file)
        image = Image.open(file).convert(mode)
        image.putalpha(Image.fromarray(np.where(see_through, 0, 255).astype(np.uint8)))
        image.save(file)
    decoded = decode_image(file.read_bytes(), file)
    assert decoded.mode == "RGBA" and ((np.asarray(decoded)[..., 3] == 0) == see_through).all()
    assert (read_rgb(file)[see_through] == 255).all()


@pytest.mark.parametrize(("dtype", "reason"), [(np.float32, "floating-point"), (np.int32, "32 bits")])
def test_what_has_no_colours_is_refused_by_name(tmp_path: Path, dtype: type, reason: str) -> None:
    Image.fromarray(np.full((4, 5), 70000, dtype)).save(tmp_path / "depth.tif")
    with pytest.raises(ProtoSagaError, match=rf"depth\.tif.*{reason}"):
        read_rgb(tmp_path / "depth.tif")


def test_cut_off_and_enormous_images_are_named(
    tmp_path: Path, photo: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo.resize((400, 300)).save(tmp_path / "cut.jpg")
    content = (tmp_path / "cut.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(content[:1500])
    with pytest.raises(ProtoSagaError, match=r"cut\.jpg"):
        read_rgb(tmp_path / "cut.jpg")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    photo.save(tmp_path / "huge.png")
    for read in (read_rgb, size_and_orientation):
        with pytest.raises(ProtoSagaError, match=r"huge\.png"):
            read(tmp_path / "huge.png")


def test_an_exif_rotation_is_told_and_not_applied(tmp_path: Path, photo: Image.Image) -> None:
    exif = Image.Exif()
    exif[0x112] = 6
    photo.save(tmp_path / "a.jpg", exif=exif, quality=100)
    assert size_and_orientation(tmp_path / "a.jpg") == ((40, 30), 6)
    assert read_rgb(tmp_path / "a.jpg").shape == (30, 40, 3)
