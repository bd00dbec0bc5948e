"""``proto-saga render`` on a trained run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from proto_saga_ns.cli.render import Render
from proto_saga_ns.cli.work.camera_paths import (
    PictureSize,
    Turntable,
    interpolated_path,
    path_from_file,
    resized,
    turntable_path,
    views_path,
)
from proto_saga_ns.cli.work.render import displayed
from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.export.videos.pictures import to_uint8
from proto_saga_ns.export.videos.turntable import FILL, ends_of_gaussians, object_core
from proto_saga_ns.plugin.model.views import picture
from proto_saga_ns.plugin.run import Run, load_run
from proto_saga_ns.rasterize.reference import quaternion_rotation
from tests.commands import run
from tests.conftest import TrainedRun
from tests.test_nerfstudio_commands import camera_path

WIDTH, HEIGHT = 64, 48


@pytest.fixture(scope="module")
def loaded(trained_run: TrainedRun) -> Run:
    return load_run(trained_run.config)


@pytest.fixture
def opened(loaded: Run, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """The run without its loading time for every command; each finds the scene as it was."""
    scene = loaded.scene

    def load(*_: object) -> Run:
        loaded.model.scene = scene
        return loaded

    monkeypatch.setattr("proto_saga_ns.cli.work.render.load_run", load)
    yield loaded
    loaded.model.scene = scene


def read_folder(folder: Path) -> dict[str, np.ndarray]:
    return {path.stem: np.asarray(Image.open(path)) for path in sorted(folder.glob("*.png"))}


def largest_object(opened: Run) -> int:
    """Of the instances, the one with most Gaussians near each other."""
    found = opened.scene.instances_of(opened.model.embeddings)
    means = opened.model.means.detach().double().numpy()

    def extent(number: int) -> float:
        points = means[(found.ids == number).numpy()]
        return np.ptp(points[object_core(points, np.ones(len(points)))], axis=0).max() if len(points) > 20 else np.inf

    return min(opened.scene.ids, key=extent)


def test_the_command_writes_a_video_of_outputs_side_by_side(trained_run: TrainedRun, tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "clip.mp4"
    process = run(
        *("proto-saga", "render", "--load-config", trained_run.config, "--output-path", path),
        *("--seconds", 0.5, "--fps", 10, "--height", 33),
    )
    assert process.returncode == 0, process.stdout + process.stderr
    capture = cv2.VideoCapture(str(path))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == 5 and capture.get(cv2.CAP_PROP_FPS) == pytest.approx(10)
    assert (capture.get(cv2.CAP_PROP_FRAME_WIDTH), capture.get(cv2.CAP_PROP_FRAME_HEIGHT)) == (2 * WIDTH * 33 // 48, 34)
    ok, frame = capture.read()
    assert ok and frame[:, :40].std() > 5 and frame[:, 48:].std() > 5
    assert [path] == list(path.parent.iterdir())


def test_a_mistake_is_one_line(trained_run: TrainedRun, tmp_path: Path) -> None:
    process = run("proto-saga", "render", "--load-config", trained_run.config, "--output-path", tmp_path / "a.gif",
                  "--instances", 1, 99)  # fmt: skip
    assert process.returncode == 2
    assert "--instances 99: there is no such instance" in process.stderr and process.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hide": (0, 50)}, r"--hide 50: there is no such instance\. .* has 1, 2"),
        ({"instances": (2,), "hide": (2,)}, "Instance 2 is in --instances and in --hide"),
        ({"background": "transparent"}, r"has no alpha\. Name it a\.webm"),
        ({"background": "white", "outputs": ("rgb",)}, "Add it, or leave --background out"),
        ({"path": "file"}, "--path file and --camera-path"),
        ({"camera_path": Path("a.json")}, "--path file and --camera-path"),
        ({"fps": 0.0}, "--fps is 0.0; expected more than 0"),
        ({"seconds": float("nan")}, "--seconds is nan"),
        ({"overlay_opacity": 1.5}, "--overlay-opacity is 1.5; expected 0 to 1"),
        ({"outline": -1}, "--outline is -1"),
        ({"elevation": 91.0}, "--elevation is 91"),
        ({"fov": 180.0}, "--fov is 180"),
    ],
)
def test_options_that_cannot_be_met_are_refused(opened: Run, tmp_path: Path, options: dict, message: str) -> None:
    with pytest.raises(ProtoSagaError, match=message):
        Render(Path("config.yml"), tmp_path / "a.mp4", **options).run()
    assert not list(tmp_path.iterdir())


def test_png_of_the_views_are_what_the_model_gives(opened: Run, tmp_path: Path, trained_run: TrainedRun) -> None:
    Render(Path("config.yml"), tmp_path / "views", path="views", outputs=("rgb", "segmentation", "confidence")).run()
    written = read_folder(tmp_path / "views")
    assert list(written) == sorted(path.stem for path in trained_run.scene.test_paths)
    for path, camera, _ in opened.cameras("test"):
        outputs = opened.model.get_outputs_for_camera(camera)
        left, middle, right = np.split(written[path.stem], 3, axis=1)
        assert (left == to_uint8(outputs["rgb"].numpy())).all()
        assert (middle == to_uint8(outputs["segmentation"].numpy())).all()
        assert right.std() > 1


def test_what_the_viewer_saved_is_shown_and_options_take_its_place(opened: Run, tmp_path: Path) -> None:
    chosen, other = opened.scene.ids[:2]
    opened.model.scene = opened.scene.with_display(selected=(chosen,), hidden=(other, 77), background="black")
    saved = opened.scene
    options = {"load_config": Path("c"), "output_path": Path("o")}
    display = displayed(saved, Render(**options)._wanted()).display
    assert display == saved.display.limited_to(saved.ids) and display.hidden == (other,)
    display = displayed(saved, Render(**options, instances=(other,), background="white", outline=0)._wanted()).display
    assert (display.selected, display.hidden, display.background, display.outline) == ((other,), (), "white", 0)
    display = displayed(saved, Render(**options, instances=(), hide=())._wanted()).display
    assert display.selected == () and display.hidden == ()
    assert saved.display.selected == (chosen,)


def test_hidden_instances_do_not_appear(opened: Run, tmp_path: Path) -> None:
    hidden = largest_object(opened)
    color = np.array(opened.scene.instance(hidden).color)
    for hide in ((), (hidden,)):
        folder = tmp_path / str(len(hide))
        Render(Path("c"), folder, path="views", split="all", outputs=("segmentation",), hide=hide, outline=0).run()
        seen = sum((image == color).all(-1).sum() for image in read_folder(folder).values())
        assert (seen == 0) == bool(hide)


def test_alpha_is_the_render_itself(opened: Run, tmp_path: Path) -> None:
    chosen = largest_object(opened)
    common = {"load_config": Path("c"), "path": "views", "outputs": ("object",), "instances": (chosen,)}
    for background in ("transparent", "black", "white"):
        Render(output_path=tmp_path / background, background=background, **common).run()
    clear, black, white = (read_folder(tmp_path / name) for name in ("transparent", "black", "white"))
    alphas = np.stack([image[..., 3:] for image in clear.values()]) / 255
    assert alphas.min() == 0 and alphas.max() > 0.9
    for name, image in clear.items():
        rgb, alpha = image[..., :3] / 255, image[..., 3:] / 255
        assert np.abs(alpha * rgb - black[name] / 255).max() <= 2 / 255
        assert np.abs(alpha * rgb + 1 - alpha - white[name] / 255).max() <= 3 / 255


def test_transparent_pictures_stand_beside_opaque_ones(opened: Run) -> None:
    opened.model.scene = opened.scene.with_display(background="transparent", selected=(largest_object(opened),))
    _, camera, _ = next(opened.cameras("test"))
    both = picture(opened.model, camera, ("rgb", "object"))
    assert both.shape == (HEIGHT, 2 * WIDTH, 4)
    assert (both[:, :WIDTH, 3] == 255).all() and (both[:, WIDTH:, 3] == 0).any()
    assert (both[:, WIDTH:] == picture(opened.model, camera, ("object",))).all()


def test_a_turntable_frames_its_instance(opened: Run) -> None:
    chosen = largest_object(opened)
    path = turntable_path(opened, [chosen], PictureSize(width=80, height=60), 6, Turntable(elevation=30))
    assert path.names[-1] == "00005"
    found = opened.scene.instances_of(opened.model.embeddings)
    mine = found.ids == chosen
    weights = (opened.model.opacities.detach().sigmoid().squeeze(-1) * found.confidence)[mine].double().numpy()
    points = opened.model.means.detach()[mine].double().numpy()
    core = object_core(points, weights)
    axes = quaternion_rotation(opened.model.quats.detach()).mT * opened.model.scales.detach().exp()[..., None]
    points = ends_of_gaussians(points[core], axes[mine].double().numpy()[core])
    reach = []
    for camera in path.cameras:
        view = opened.model.view_of(camera, corrected=False)
        assert (view.width, view.height) == (80, 60)
        local = points @ view.viewmats[0, :3, :3].double().numpy().T + view.viewmats[0, :3, 3].double().numpy()
        pixels = local @ view.intrinsics[0].double().numpy().T
        assert (local[:, 2] > 0).all()
        reach.append(np.abs(pixels[:, :2] / pixels[:, 2:] / [40, 30] - 1).max())
    assert max(reach) == pytest.approx(FILL, abs=1e-3)
    near = turntable_path(opened, [], PictureSize(), 3, Turntable(distance=0.5)).cameras
    centers = torch.cat([camera.camera_to_worlds for camera in near])
    middle = centers[:, :, 3] - 0.5 * centers[:, :, 2]
    torch.testing.assert_close(middle, middle[:1].expand(3, 3), atol=1e-5, rtol=0)


def test_one_file_for_each_instance(opened: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second, hidden = opened.scene.ids[:3]
    common = {"load_config": Path("c"), "path": "turntable", "seconds": 0.1, "fps": 20.0, "width": 32}
    Render(output_path=tmp_path / "some.gif", instances=(first, second), one_file_per_instance=True, **common).run()
    names = [f"instance_{number:04d}.gif" for number in (first, second)]
    assert sorted(path.name for path in (tmp_path / "some").iterdir()) == names
    assert "only dimmed" in capsys.readouterr().out
    with Image.open(tmp_path / "some" / names[0]) as animation:
        assert animation.size == (32, 24) and getattr(animation, "n_frames", 1) == 2
    Render(output_path=tmp_path / "all", hide=(hidden,), one_file_per_instance=True, background="white", **common).run()
    written = {path.name for path in (tmp_path / "all").iterdir()}
    found = {*opened.scene.instances_of(opened.model.embeddings).ids.unique().tolist()} - {0, hidden}
    assert written == {f"instance_{number:04d}" for number in found}
    assert all(len(read_folder(tmp_path / "all" / name)) == 2 for name in written)


def test_an_instance_without_gaussians_cannot_be_circled(opened: Run) -> None:
    with pytest.raises(ProtoSagaError, match="see no Gaussian of instance 999"):
        turntable_path(opened, [999], PictureSize(), 3, Turntable())


def test_interpolation_goes_from_the_first_view_to_the_last(opened: Run) -> None:
    views = torch.cat([camera.camera_to_worlds for _, camera, _ in opened.cameras("train")])
    path = interpolated_path(opened, "train", PictureSize(scale=0.5), 7, order_poses=False)
    poses = torch.cat([camera.camera_to_worlds for camera in path.cameras])
    torch.testing.assert_close(poses[[0, -1]], views[[0, -1]], atol=1e-5, rtol=0)
    assert {(int(camera.width), int(camera.height)) for camera in path.cameras} == {(WIDTH // 2, HEIGHT // 2)}
    ordered = interpolated_path(opened, "train", PictureSize(), 7, order_poses=True)
    torch.testing.assert_close(ordered.cameras[0].camera_to_worlds, poses[:1], atol=1e-5, rtol=0)


def test_a_camera_path_of_the_viewer(tmp_path: Path) -> None:
    file = tmp_path / "path.json"
    with pytest.raises(ProtoSagaError, match=r"Cannot read the camera path .*path\.json"):
        path_from_file(file, PictureSize())
    file.write_text(json.dumps(camera_path()))
    path = path_from_file(file, PictureSize())
    assert len(path.cameras) == 3 and path.fps == pytest.approx(3 / 0.2)
    assert [float(camera.camera_to_worlds[0, 0, 3]) for camera in path.cameras] == pytest.approx([0, 0.05, 0.1])
    for content, message in [
        ("{", "is not a camera path"),
        ("{}", "is not a camera path .KeyError"),
        (json.dumps({**camera_path(), "camera_path": []}), "is empty"),
        (json.dumps({**camera_path(), "camera_type": "fisheye"}), "fisheye"),
    ]:
        file.write_text(content)
        with pytest.raises(ProtoSagaError, match=message):
            path_from_file(file, PictureSize())


def test_resized_cameras_see_as_much_from_top_to_bottom(opened: Run) -> None:
    _, camera, _ = next(opened.cameras("test"))
    wide = resized(camera, 200, 96)
    points = torch.tensor([[0.3, -0.4, 1.0], [0.0, 0.0, 1.0], [-0.2, 0.7, 1.0]])
    before, after = (points @ item.get_intrinsics_matrices()[0].T for item in (camera, wide))
    torch.testing.assert_close(after[:, 1], 2 * before[:, 1], atol=1e-4, rtol=0)
    torch.testing.assert_close(after[:, 0] - 100, 2 * (before[:, 0] - WIDTH / 2), atol=1e-4, rtol=0)
    path = views_path(opened, "test", PictureSize(scale=2))
    assert {(int(view.width), int(view.height)) for view in path.cameras} == {(2 * WIDTH, 2 * HEIGHT)}


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (PictureSize(), (64, 48)),
        (PictureSize(width=32), (32, 24)),
        (PictureSize(height=96), (128, 96)),
        (PictureSize(width=10, height=20), (10, 20)),
        (PictureSize(width=32, scale=0.5), (16, 12)),
        (PictureSize(scale=1e-6), (1, 1)),
    ],
)
def test_sizes_follow_from_what_is_given(size: PictureSize, expected: tuple[int, int]) -> None:
    assert size.of(64, 48) == expected


def test_outputs_unless_given(opened: Run) -> None:
    display = replace(opened.scene.display, selected=())
    circled = replace(display, selected=(1,))
    command = Render(Path("c"), Path("o"))
    assert command._wanted().shown("interpolate", circled) == ("rgb", "segmentation")
    assert replace(command, background="black")._wanted().shown("interpolate", display) == ("object",)
    assert command._wanted().shown("turntable", display) == ("rgb", "segmentation")
    assert command._wanted().shown("turntable", circled) == ("object",)
    assert replace(command, outputs=("rgb",))._wanted().shown("turntable", circled) == ("rgb",)
