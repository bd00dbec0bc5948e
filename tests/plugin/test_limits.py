"""Numbers that are too large or too small for a training are errors that name them, before it starts."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from nerfstudio.cameras.cameras import Cameras
from nerfstudio.data.scene_box import SceneBox

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.kernels import memory
from proto_saga_ns.kernels.memory import GIB
from proto_saga_ns.plugin.limits import bytes_of_gaussian, check_photos, check_step, check_views
from proto_saga_ns.plugin.model.proto_saga import ProtoSagaModel, ProtoSagaModelConfig

CONFIG = ProtoSagaModelConfig()
BOX = SceneBox(torch.tensor([[-1.0] * 3, [1.0] * 3]))


@pytest.fixture(autouse=True)
def free(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sixteen GiB."""
    monkeypatch.setattr(memory, "free_bytes", lambda: 16 * GIB)


def cameras(*sizes: tuple[int, int]) -> Cameras:
    widths, heights = torch.tensor(sizes).T[..., None]
    return Cameras(torch.eye(4)[None, :3].repeat(len(sizes), 1, 1), 100.0, 100.0, 50.0, 50.0, widths, heights)


def model(**options: object) -> ProtoSagaModel:
    return ProtoSagaModelConfig(**options).setup(scene_box=BOX, num_train_data=1)  # type: ignore[arg-type]


def test_a_gaussian_is_as_large_as_the_models_parameters() -> None:
    made = model(random_init=True, num_random=30)
    assert sum(parameter.nbytes for parameter in made.gauss_params.values()) == 30 * bytes_of_gaussian(made.config)


def test_random_gaussians() -> None:
    with pytest.raises(ProtoSagaError, match=r"--pipeline.model.num-random 1000000000 would take 3.* GiB"):
        model(num_random=10**9)
    with pytest.raises(ProtoSagaError, match=r"--pipeline.model.num-random 3: .*4 Gaussians at least"):
        model(num_random=3)


def test_points_to_start_from() -> None:
    points = torch.zeros(1, 3).expand(10**8, 3)
    with pytest.raises(ProtoSagaError, match=r"100,000,000 3D points .* GiB.*--load-3D-points False"):
        ProtoSagaModelConfig().setup(scene_box=BOX, num_train_data=1, seed_points=(points, points.byte()))


def test_photos_of_many_views() -> None:
    hundreds = cameras(*300 * [(3840, 2160)])
    check_photos(hundreds, floating=False, split="train")
    with pytest.raises(ProtoSagaError, match=r"300 train photos of up to 3840x2160.*cache-images-type uint8.*factor 2"):
        check_photos(hundreds, floating=True, split="train")
    with pytest.raises(ProtoSagaError, match=r"2000 eval photos of up to 64000x2160 pixels would take .* GiB"):
        check_photos(cameras(*1999 * [(3840, 2160)], (64000, 2160)), floating=False, split="eval")


def test_a_step_on_a_photo_of_a_hundred_megapixels() -> None:
    check_step(cameras((3840, 2160)), 3_000_000, CONFIG)
    with pytest.raises(ProtoSagaError, match=r"view of 12000x8500 \(102 megapixels\) and 50,000 Gaussians.*GiB"):
        check_step(cameras((64, 48), (12000, 8500), (10, 10)), 50_000, CONFIG)
    with pytest.raises(ProtoSagaError, match=r"20,000,000 Gaussians"):
        check_step(cameras((64, 48)), 20_000_000, CONFIG)


@pytest.mark.parametrize("downscales", [0, 1, 2])
def test_views_have_a_pixel_at_the_resolution_of_the_start(downscales: int) -> None:
    config, files = ProtoSagaModelConfig(num_downscales=downscales), [Path("a.png"), Path("b.png")]
    least = 2**downscales
    check_views(cameras((64, 48), (least, least)), files, config)
    if downscales:
        for size in ((least - 1, 48), (64, least - 1)):
            with pytest.raises(ProtoSagaError, match=rf"b.png is {size[0]}x{size[1]}.*1/{least} .*num-downscales 0"):
                check_views(cameras((64, 48), size), files, config)
