"""gsplat's own densification on what the CPU kernels report."""

from __future__ import annotations

import pytest
import torch
from gsplat.strategy import DefaultStrategy

from proto_saga_ns.rasterize import rasterization
from tests.rasterize.scenes import random_scene

SIZE = (37, 29)
STEPS = 12


@pytest.mark.parametrize("absgrad", [False, True])
def test_default_strategy_grows_the_scene(absgrad: bool) -> None:
    scene = random_scene(40, views=2)
    values = {
        "means": scene["means"],
        "quats": scene["quats"],
        "scales": scene["scales"].log(),
        "opacities": scene["opacities"].clamp(0.2, 0.9).logit(),
        "colors": scene["colors"],
    }
    parameters = {name: torch.nn.Parameter(value) for name, value in values.items()}
    optimizers = {name: torch.optim.Adam([value], lr=1e-3) for name, value in parameters.items()}
    options = {"refine_start_iter": 2, "refine_every": 5, "reset_every": 1000, "grow_grad2d": 1e-9}
    strategy = DefaultStrategy(**options, refine_scale2d_stop_iter=STEPS, absgrad=absgrad)
    strategy.check_sanity(parameters, optimizers)
    state = strategy.initialize_state()
    for step in range(1, STEPS):
        image, _, info = rasterization(
            parameters["means"],
            parameters["quats"],
            parameters["scales"].exp(),
            parameters["opacities"].sigmoid(),
            parameters["colors"],
            scene["viewmats"],
            scene["Ks"],
            *SIZE,
            absgrad=absgrad,
        )
        strategy.step_pre_backward(parameters, optimizers, state, step, info)
        (image - 0.5).square().mean().backward()
        strategy.step_post_backward(parameters, optimizers, state, step, info)
        for optimizer in optimizers.values():
            optimizer.step()
            optimizer.zero_grad()
    assert len(parameters["means"]) > 40
    assert {len(value) for value in parameters.values()} == {len(parameters["means"])}
    assert all(torch.isfinite(value).all() for value in parameters.values())
