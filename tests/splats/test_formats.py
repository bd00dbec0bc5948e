"""Every format that is written: what comes back, how far it is from what went in, and what it takes."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.splats.formats import SUFFIXES, WITH_IDS, Format
from proto_saga_ns.splats.read import read_splat
from proto_saga_ns.splats.splat import CONSTANT_BASIS, Splat
from proto_saga_ns.splats.write import Origin, write_splat
from tests.splats.compare import differences, matched
from tests.splats.splats import picture, random_instances, random_splat

REORDERED = ("compressed-ply", "sog")
STEP_OF_A_BYTE = 1 / 255 / 2 + 1e-6
MOST_VIVID = 0.5 / CONSTANT_BASIS
"""Coefficient of degree 0 that shows as 0 or 1; a .splat keeps none beyond."""


def plain_splat(count: int = 300, degree: int = 3, seed: int = 0) -> Splat:
    """With harmonics as small as those of trained scenes are."""
    splat = random_splat(count, degree, seed)
    small = torch.tensor([1.0] + [0.3] * (splat.harmonics.shape[1] - 1))
    return replace(splat, harmonics=splat.harmonics * small[:, None])


def written(folder: Path, splat: Splat, kind: Format, antialiased: bool = False) -> Path:
    file = folder / f"a{SUFFIXES[kind]}"
    write_splat(file, splat, kind, Origin("Made by a test", antialiased))
    return file


def spans(splat: Splat) -> tuple[float, float, float]:
    """The largest range of a coordinate, of the logarithm of a scale and of a coefficient of degree 0."""
    parts = (splat.means, splat.log_scales, splat.harmonics[:, 0])
    mean, scale, constant = (float((part.amax(dim=0) - part.amin(dim=0)).max()) for part in parts)
    return mean, scale, constant


def bounds(kind: Format, splat: Splat) -> dict[str, float]:
    """What the layout of a format allows at most: half a step of every field. Angles are twice those of quaternions."""
    mean, scale, constant = spans(splat)
    logarithm = math.log1p(float(splat.means.abs().max()))
    of_everything = float(splat.log_scales.max() - splat.log_scales.min())
    colors = float(splat.harmonics[:, 0].max() - splat.harmonics[:, 0].min())
    exact = {"mean": 0.0, "log_scale": 0.0, "opacity": 0.0, "constant": 0.0, "harmonics": 0.0, "angle": 1e-4}
    return {
        "ply": exact,
        "glb": {**exact, "log_scale": 1e-6, "opacity": 1e-6},
        "splat": {
            **{**exact, "log_scale": 1e-6, "opacity": STEP_OF_A_BYTE, "angle": 1.0},
            "constant": STEP_OF_A_BYTE / CONSTANT_BASIS + max(float(splat.harmonics[:, 0].abs().max()) - MOST_VIVID, 0),
        },
        "compressed-ply": {
            **{"mean": mean / 1023 / 2 + 1e-6, "log_scale": scale / 1023 / 2 + 1e-6, "opacity": STEP_OF_A_BYTE},
            **{"constant": constant / 255 / 2 + 1e-6, "harmonics": 8 / 256 / 2 + 1e-5, "angle": 0.25},
        },
        "spz": {
            **{"mean": 2.0**-13, "log_scale": 1 / 16 / 2 + 1e-6, "opacity": STEP_OF_A_BYTE},
            **{"constant": STEP_OF_A_BYTE / 0.15, "harmonics": 16 / 128 / 2 + 1e-6, "angle": 0.25},
        },
        "sog": {
            **{"mean": 2 * logarithm / 65535 / 2 * math.exp(logarithm) * 1.01, "opacity": STEP_OF_A_BYTE},
            **{"log_scale": of_everything / 128 + 1e-5, "constant": colors / 128 + 1e-5, "angle": 1.3},
        },
    }[kind]


@pytest.mark.parametrize("kind", SUFFIXES)
@given(count=st.integers(1, 600), degree=st.integers(0, 3), seed=st.integers(0, 9))
@settings(max_examples=8)
def test_what_comes_back_is_within_the_steps_of_the_format(
    tmp_path_factory: pytest.TempPathFactory, kind: Format, count: int, degree: int, seed: int
) -> None:
    splat = plain_splat(count, degree, seed)
    found = read_splat(written(tmp_path_factory.mktemp("splats"), splat, kind))
    assert found.splat.degree == (0 if kind == "splat" else degree) and not found.may_be_turned
    again = matched(splat, found.splat) if kind in REORDERED else found.splat
    assert (far := differences(splat, again)).within(**bounds(kind, splat)), far


@pytest.mark.parametrize(("kind", "psnr"), [("compressed-ply", 40), ("spz", 35), ("sog", 40), ("glb", 100)])
def test_pictures_are_alike(tmp_path: Path, kind: Format, psnr: float) -> None:
    splat = plain_splat(200)
    again = read_splat(written(tmp_path, splat, kind)).splat
    error = float(((picture(again) - picture(splat)) ** 2).mean())
    assert -10 * math.log10(error + 1e-12) > psnr


@pytest.mark.parametrize(
    ("kind", "least", "most"),
    [
        ("ply", 248, 250),
        ("compressed-ply", 61, 63),
        ("spz", 15, 37),
        ("splat", 32, 32),
        ("sog", 15, 70),
        ("glb", 240, 242),
    ],
)
def test_bytes_of_a_gaussian_with_harmonics_of_degree_3(tmp_path: Path, kind: Format, least: int, most: int) -> None:
    size = written(tmp_path, plain_splat(2560), kind).stat().st_size / 2560
    assert least <= size <= most


@pytest.mark.parametrize("kind", SUFFIXES)
@pytest.mark.parametrize("antialiased", [False, True])
def test_whether_a_scene_is_antialiased_comes_back_where_the_format_has_room(
    tmp_path: Path, kind: Format, antialiased: bool
) -> None:
    said = read_splat(written(tmp_path, plain_splat(3), kind, antialiased)).antialiased
    silent = kind == "splat" or (kind == "sog" and not antialiased)
    assert said is (None if silent else antialiased)


@pytest.mark.parametrize("kind", SUFFIXES)
def test_writing_twice_gives_the_same_bytes_and_a_full_disk_leaves_the_file_before(
    tmp_path: Path, kind: Format, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    splat = plain_splat(30)
    before = written(tmp_path, splat, kind).read_bytes()
    assert written(tmp_path, splat, kind).read_bytes() == before
    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(ProtoSagaError, match="No space left"):
        written(tmp_path, plain_splat(31), kind)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [before]


@pytest.mark.parametrize("kind", SUFFIXES)
def test_extreme_gaussians_come_back_finite_or_as_they_were(tmp_path: Path, kind: Format) -> None:
    """Opaque, transparent, tiny, huge, far away, in impossible colours, or all in one place."""
    splat = plain_splat(6, degree=1)
    splat.opacity_logits[:2] = torch.tensor([80.0, -80.0])
    splat.log_scales[2:4] = torch.tensor([-18.0, 9.0])[:, None]
    splat.means[4] = 2000.0
    splat.harmonics[5, 0] = torch.tensor([90.0, -90.0, 0.0])
    for given_splat in (splat, replace(splat, means=torch.ones(6, 3))):
        again = read_splat(written(tmp_path, given_splat, kind)).splat
        assert again.is_finite().all() and len(again) == 6
        torch.testing.assert_close(again.means.amax(dim=0), given_splat.means.amax(dim=0), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("kind", SUFFIXES)
def test_harmonics_of_degree_4_are_written_or_refused(tmp_path: Path, kind: Format) -> None:
    splat = plain_splat(5, degree=4)
    if kind in ("ply", "spz"):
        assert read_splat(written(tmp_path, splat, kind)).splat.degree == 4
    elif kind == "splat":
        assert read_splat(written(tmp_path, splat, kind)).splat.degree == 0
    else:
        with pytest.raises(ProtoSagaError, match=f"--format {kind} .* degree 4. .* ply and spz"):
            written(tmp_path, splat, kind)
        assert not [*tmp_path.iterdir()]


def test_an_spz_of_a_huge_scene_has_coarser_steps_or_is_refused(tmp_path: Path) -> None:
    splat = plain_splat(50)
    far = replace(splat, means=1e6 * splat.means.clamp(-3, 3))
    assert differences(far, read_splat(written(tmp_path, far, "spz")).splat).mean <= 0.25
    small = replace(splat, means=1e-3 * splat.means, log_scales=splat.log_scales - 7)
    assert differences(small, read_splat(written(tmp_path, small, "spz")).splat).mean < 2e-5
    with pytest.raises(ProtoSagaError, match="8,388,607 at most"):
        written(tmp_path, replace(splat, means=1e8 * splat.means), "spz")


@pytest.mark.parametrize("kind", sorted({*SUFFIXES} - WITH_IDS))
def test_instances_are_not_dropped_without_a_word(tmp_path: Path, kind: Format) -> None:
    with pytest.raises(ValueError, match="no room"):
        write_splat(tmp_path / "a", plain_splat(4), kind, Origin("x"), random_instances(4))
