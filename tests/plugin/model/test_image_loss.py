"""The losses of a picture are those of splatfacto, whatever computes them."""

from __future__ import annotations

import pytest
import torch
from nerfstudio.data.scene_box import SceneBox
from nerfstudio.models.splatfacto import SplatfactoModel

from proto_saga_ns.plugin.model.image_loss import image_loss
from proto_saga_ns.plugin.model.proto_saga import ProtoSagaModel, ProtoSagaModelConfig

pytestmark = pytest.mark.filterwarnings("ignore:Skipping Gaussian Smoothing")


@pytest.fixture(scope="module")
def model() -> ProtoSagaModel:
    config = ProtoSagaModelConfig(random_init=True, num_random=30, num_downscales=0, use_scale_regularization=True)
    made = config.setup(scene_box=SceneBox(torch.tensor([[-1.0] * 3, [1.0] * 3])), num_train_data=2)
    made.gauss_params["scales"].data = 3 * torch.randn(30, 3, generator=torch.Generator().manual_seed(0))
    return made.train()


@pytest.mark.parametrize("step", [10, 11])
@pytest.mark.parametrize("size", [(12, 20), (7, 30)])
@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("is_masked", [False, True])
def test_the_losses_are_those_of_splatfacto(
    model: ProtoSagaModel, size: tuple[int, int], channels: int, is_masked: bool, step: int
) -> None:
    generator = torch.Generator().manual_seed(1)
    rendered = torch.rand(*size, 3, generator=generator).requires_grad_()
    outputs = {"rgb": rendered, "background": torch.rand(3, generator=generator)}
    batch = {"image": torch.randint(0, 256, (*size, channels), generator=generator).to(torch.uint8)}
    if is_masked:
        batch["mask"] = torch.rand(*size, 1, generator=generator) > 0.3
    model.step = step
    ours, theirs = model.get_loss_dict(outputs, batch), SplatfactoModel.get_loss_dict(model, outputs, batch)
    torch.testing.assert_close(ours, theirs)
    assert bool(ours["scale_reg"] > 0) or step % 10
    gradients = [torch.autograd.grad(losses["main_loss"], rendered)[0] for losses in (ours, theirs)]
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("size", [(1, 1), (1, 20), (20, 1), (2, 2), (11, 1)])
def test_the_same_pixels_side_by_side_lose_as_much(size: tuple[int, int]) -> None:
    pair = torch.rand(2, *size, 3, generator=torch.Generator().manual_seed(2))
    found = image_loss(*pair, 0.2)
    assert found.isfinite() and torch.equal(image_loss(pair[0], pair[0], 0.2), torch.zeros(()))
    if min(size) == 1:
        torch.testing.assert_close(image_loss(*pair.expand(2, max(size[0], 2), max(size[1], 2), 3), 0.2), found)
