"""Which pixel contains a centre is decided by the rasterizer: it is the one that a speck there is drawn in."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from proto_saga_ns.rasterize import rasterization
from proto_saga_ns.rasterize.pinhole import see_centers
from tests.rasterize.scenes import random_scene

SIZE = (37, 29)


@settings(max_examples=15)
@given(st.integers(0, 10**6))
def test_a_speck_is_brightest_in_the_pixel_of_its_centre(seed: int) -> None:
    scene = random_scene(25, channels=1, size=SIZE, seed=seed)
    scene["scales"], scene["opacities"] = torch.full((25, 3), 1e-4), torch.full((25,), 0.9)
    seen = see_centers(scene["means"], scene["viewmats"][0], scene["Ks"][0], *SIZE)
    for row in range(25):
        speck = {name: value if name in ("viewmats", "Ks") else value[row : row + 1] for name, value in scene.items()}
        alpha = rasterization(**speck, width=SIZE[0], height=SIZE[1])[1][0, ..., 0]
        near_border = (alpha.flatten().topk(2).values.diff().abs() < 1e-3).item()  # two pixels see it alike
        if seen.inside[row] and not near_border:
            assert int(alpha.argmax()) == int(seen.pixels[row])
        if not seen.inside[row]:
            assert int(seen.pixels[row]) == 0


def test_what_lies_behind_or_beside_is_not_inside() -> None:
    means = torch.tensor([[0.0, 0, 2], [0, 0, -2], [0, 0, 0], [9, 0, 2], [0, -9, 2]])
    lens = torch.tensor([[10.0, 0, 5], [0, 10, 4], [0, 0, 1]])
    seen = see_centers(means, torch.eye(4), lens, 10, 8)
    assert seen.inside.tolist() == [True, False, False, False, False]
    assert seen.pixels.tolist() == [4 * 10 + 5, 0, 0, 0, 0]


def test_borders_belong_to_the_pixel_behind_them() -> None:
    lens = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0, 1]])
    means = torch.tensor([[0.0, 0, 1], [0.999, 0, 1], [1.0, 0, 1], [1.5, 1.5, 1], [3.999, 1, 1], [4.0, 1, 1]])
    seen = see_centers(means, torch.eye(4), lens, 4, 2)
    assert seen.pixels[:5].tolist() == [0, 0, 1, 5, 7] and not seen.inside[5]
