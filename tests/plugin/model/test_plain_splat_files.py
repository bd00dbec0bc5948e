"""What is read of other programs' files before a model is built."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from nerfstudio.models.splatfacto import SplatfactoModelConfig
from scipy.spatial.transform import Rotation

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.plugin.adopt.fit import centers_in_view
from proto_saga_ns.plugin.adopt.from_file import DrawableFile, drawable, run_of_file
from proto_saga_ns.plugin.adopt.from_splatfacto import check_same_frame, model_config, read_state
from proto_saga_ns.plugin.adopt.options import FrameChoice, NewRunOptions, SplatFileOptions
from proto_saga_ns.plugin.data.dataparsers import MaskedNerfstudioConfig
from proto_saga_ns.splats.formats import Format
from proto_saga_ns.splats.ply import write_ply
from proto_saga_ns.splats.read import read_splat
from proto_saga_ns.splats.splat import Splat
from proto_saga_ns.splats.transform import Similarity, transform_splat
from proto_saga_ns.splats.write import Origin, write_splat
from tests.splats.splats import picture, random_splat
from tests.splats.test_read import FILES
from tests.splats.test_splat import view

TURN = Rotation.from_euler("xyz", [0.3, -1.1, 2.0]).as_matrix()


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_a_ply_of_any_degree_becomes_parameters_that_show_it(tmp_path: Path, degree: int) -> None:
    splat = random_splat(degree=degree)
    splat = replace(splat, harmonics=4 * splat.harmonics)  # with colours beyond 0 and 1, which no logit gives
    write_ply(tmp_path / "a.ply", splat)
    options = SplatFileOptions("training", "antialiased", "white")
    run = run_of_file(
        DrawableFile.read(tmp_path / "a.ply", options),
        tmp_path,
        MaskedNerfstudioConfig(),
        options,
        NewRunOptions(tmp_path),
    )
    model: Any = run.config.pipeline.model
    assert (model.sh_degree, model.rasterize_mode, model.background_color) == (degree or 1, "antialiased", "white")
    ((frame, state),) = run.states(Similarity(2.0, TURN, np.ones(3))).items()
    assert frame == "training"
    again = Splat.from_parameters({name.removeprefix("gauss_params."): value for name, value in state.items()})
    torch.testing.assert_close(picture(again), picture(splat), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("comments", "chosen", "expected"),
    [
        ((), "auto", "classic"),
        (("SplatRenderMode: mip",), "auto", "antialiased"),
        (("SplatRenderMode: mip",), "classic", "classic"),
    ],
)
def test_a_ply_that_says_how_it_is_to_be_shown_is_believed(
    tmp_path: Path, comments: tuple[str, ...], chosen: Any, expected: str
) -> None:
    write_ply(tmp_path / "a.ply", random_splat(), comments)
    options = SplatFileOptions(rasterize_mode=chosen)
    run = run_of_file(
        DrawableFile.read(tmp_path / "a.ply", options),
        tmp_path,
        MaskedNerfstudioConfig(),
        options,
        NewRunOptions(tmp_path),
    )
    assert run.config.pipeline.model.rasterize_mode == expected


@pytest.mark.parametrize(("frame", "expected"), [("auto", ["world", "training"]), ("world", ["world"])])
def test_coordinates_of_the_data_are_turned_into_those_of_training(
    tmp_path: Path, frame: FrameChoice, expected: list[str]
) -> None:
    splat, way = random_splat(degree=2), Similarity(0.5, TURN, np.array([1.0, 2, 3]))
    write_ply(tmp_path / "a.ply", splat)
    place = NewRunOptions(tmp_path)
    run = run_of_file(
        DrawableFile.read(tmp_path / "a.ply", SplatFileOptions(frame)),
        tmp_path,
        MaskedNerfstudioConfig(),
        SplatFileOptions(frame),
        place,
    )
    states = run.states(way)
    assert list(states) == expected
    for name, value in transform_splat(splat, way).to_parameters().items():
        torch.testing.assert_close(states["world"][f"gauss_params.{name}"], value, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", ["compressed-ply", "spz", "sog", "glb"])
def test_a_file_of_another_format_becomes_the_same_parameters(tmp_path: Path, kind: Format) -> None:
    splat, way = random_splat(30, degree=1), Similarity(0.5, TURN, np.array([1.0, 2, 3]))
    write_splat(tmp_path / "a", splat, kind, Origin("a test", antialiased=True))
    options, place = SplatFileOptions("world"), NewRunOptions(tmp_path)
    run = run_of_file(DrawableFile.read(tmp_path / "a", options), tmp_path, MaskedNerfstudioConfig(), options, place)
    assert run.config.pipeline.model.rasterize_mode == "antialiased"
    ((frame, state),) = run.states(way).items()
    read = transform_splat(read_splat(tmp_path / "a").splat, way).to_parameters()
    assert frame == "world" and all(torch.allclose(state[f"gauss_params.{name}"], read[name]) for name in read)


@pytest.mark.parametrize(
    ("axes", "frame", "expected"),
    [
        ("auto", "auto", ["world", "world with y up", "training", "training with y up"]),
        ("ply", "auto", ["world", "training"]),
        ("y-up", "world", ["world with y up"]),
    ],
)
def test_an_spz_that_says_no_axes_is_tried_in_both(axes: Any, frame: FrameChoice, expected: list[str]) -> None:
    """The file is that of another program, with the axes that the format's documentation has."""
    options, place = SplatFileOptions(frame, spz_axes=axes), NewRunOptions(FILES)
    run = run_of_file(
        DrawableFile.read(FILES / "niantic_rub.spz", options), FILES, MaskedNerfstudioConfig(), options, place
    )
    states = run.states(Similarity.identity())
    assert list(states) == expected
    source = read_splat(FILES / "source.ply").splat.means
    for name, state in states.items():
        turned = source if name.endswith("y up") else source * torch.tensor([1.0, -1.0, -1.0])
        torch.testing.assert_close(state["gauss_params.means"], turned, rtol=0, atol=2e-4)


def test_flat_and_opaque_gaussians_stay_and_broken_ones_go(capsys: pytest.CaptureFixture[str]) -> None:
    splat = random_splat(6)
    splat.quats[5] = 0
    splat.log_scales[0, 2] = -torch.inf
    splat.opacity_logits[1], splat.opacity_logits[2] = torch.inf, -torch.inf
    splat.means[3, 0] = torch.nan
    found = drawable(splat, Path("a.ply"))
    assert len(found) == 4 and found.is_finite().all()
    assert torch.equal(found.means, splat.means[[0, 1, 2, 4]])
    assert found.opacity_logits[1].sigmoid() == 1 and found.log_scales[0, 2].exp() < 1e-12
    assert "2 Gaussians of a.ply are NaN, infinite or without orientation" in " ".join(capsys.readouterr().out.split())
    with pytest.raises(ProtoSagaError, match=r"a\.ply holds no whole Gaussian"):
        drawable(replace(splat, means=splat.means * torch.nan), Path("a.ply"))
    with pytest.raises(ProtoSagaError, match=r"a\.ply holds no whole Gaussian \(0 in all\)"):
        drawable(splat.select(torch.zeros(6, dtype=torch.bool)), Path("a.ply"))


def test_checkpoints_of_the_first_splatfacto_and_of_several_gpus_are_read(tmp_path: Path) -> None:
    pipeline = {"module._model.means": torch.ones(2, 3), "_model.lpips.net.weight": torch.zeros(3)}
    pipeline["_model.camera_optimizer.pose_adjustment"] = torch.zeros(4, 6)
    torch.save({"step": 7, "pipeline": pipeline}, tmp_path / "a.ckpt")
    step, state = read_state(tmp_path / "a.ckpt")
    assert step == 7 and set(state) == {"gauss_params.means", "camera_optimizer.pose_adjustment"}


def test_a_data_parser_that_puts_the_scene_elsewhere_is_noticed(tmp_path: Path) -> None:
    file = tmp_path / "dataparser_transforms.json"
    now = Similarity(2.0, TURN, np.array([1.0, 2, 3]))
    check_same_frame(file, now)
    transform = np.concatenate([TURN, now.translation[:, None] / 2], axis=1)
    file.write_text(json.dumps({"transform": transform.tolist(), "scale": 2.0}))
    check_same_frame(file, now)
    for other in (replace(now, scale=2.01), replace(now, translation=np.array([1.0, 2, 3.01]))):
        with pytest.raises(ProtoSagaError, match="elsewhere now than in training"):
            check_same_frame(file, other)
    file.write_text("{}")
    with pytest.raises(ProtoSagaError, match="cannot be read"):
        check_same_frame(file, now)


def test_a_checkpoint_that_was_cut_off_is_named(tmp_path: Path) -> None:
    torch.save({"step": 7, "pipeline": {"_model.means": torch.ones(200, 3)}}, tmp_path / "a.ckpt")
    whole = (tmp_path / "a.ckpt").read_bytes()
    for content in (whole[: len(whole) // 2], b"", b"no checkpoint"):
        (tmp_path / "a.ckpt").write_bytes(content)
        with pytest.raises(ProtoSagaError, match=r"a\.ckpt cannot be read"):
            read_state(tmp_path / "a.ckpt")


def test_settings_of_splatfacto_are_taken_and_new_ones_keep_their_default() -> None:
    given = SplatfactoModelConfig(sh_degree=1, rasterize_mode="antialiased", cull_alpha_thresh=0.005)
    ours = model_config(given)
    assert (ours.sh_degree, ours.rasterize_mode, ours.cull_alpha_thresh) == (1, "antialiased", 0.005)
    assert ours._target is not given._target and ours.embedding_dim == 16
    old = SimpleNamespace(sh_degree=2)  # of a version with fewer settings
    assert model_config(old).sh_degree == 2


def test_centers_in_view_are_those_that_project_into_the_image() -> None:
    camera, means = view(), 3 * random_splat(300).means
    seen = centers_in_view(means, camera)
    homogeneous = torch.cat([means, torch.ones(300, 1)], dim=1) @ camera.viewmats[0].T
    for point, inside in zip(homogeneous[:, :3], seen.tolist(), strict=True):
        x, y, z = (camera.intrinsics[0] @ point).tolist()
        assert inside == (z > 0 and 0 <= x / z < camera.width and 0 <= y / z < camera.height)
    assert seen.any() and not seen.all()
