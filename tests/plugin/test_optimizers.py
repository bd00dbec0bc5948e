"""Adam in one pass (``fused``) is Adam: through densification and resets as well."""

from __future__ import annotations

import pytest
import torch
from gsplat.strategy.ops import duplicate, remove, reset_opa, split
from torch import Tensor
from torch.nn import Parameter, ParameterDict

from proto_saga_ns.plugin.methods import optimizers

SHAPES = {
    "means": (3,),
    "scales": (3,),
    "quats": (4,),
    "opacities": (1,),
    "features_rest": (15, 3),
    "embeddings": (16,),
}


def trained(fused: bool) -> ParameterDict:
    """After steps with made-up gradients, between which Gaussians are doubled, split, removed and made transparent."""
    generator = torch.Generator().manual_seed(0)

    def random(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    params = ParameterDict({name: Parameter(random(50, *shape)) for name, shape in SHAPES.items()})
    configs = optimizers(100, 1e-3, 1e-3)
    adams = {}
    for name, parameter in params.items():
        config = configs[name]["optimizer"]
        config.fused = fused
        adams[name] = config.setup([parameter])
        assert adams[name].defaults["fused"] is fused
    for step in range(24):
        for name, parameter in params.items():
            parameter.grad = 10.0 ** (step % 5 - 8) * random(*parameter.shape)
            adams[name].step()
        chosen = random(len(params["means"])) > 1
        changes = {"params": params, "optimizers": adams, "state": {}}
        if step % 8 == 2:
            duplicate(**changes, mask=chosen)
        if step % 8 == 4:
            torch.manual_seed(step)
            split(**changes, mask=chosen)
        if step % 8 == 6:
            remove(**changes, mask=chosen)
        if step == 15:
            reset_opa(**changes, value=0.01)
    return params


def test_one_pass_is_adam() -> None:
    ours, slow = trained(True), trained(False)
    assert len(ours["means"]) == len(slow["means"]) != 50
    for name, parameter in ours.items():
        assert parameter.is_contiguous()
        torch.testing.assert_close(parameter, slow[name], atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("name", sorted(SHAPES))
def test_every_parameter_of_gaussians_has_it(name: str) -> None:
    assert optimizers(100, 1e-3, 1e-3)[name]["optimizer"].fused
