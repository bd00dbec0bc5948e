"""Features averaged over masks from blend weights are those of the rendered feature map (Eq. 17)."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from proto_saga_ns.association.consensus.blended_views import BlendedView
from proto_saga_ns.rasterize import rasterization
from proto_saga_ns.rasterize.contributions import contributions
from tests.feature_pooling import view_prototypes
from tests.rasterize.scenes import geometry_of, random_scene


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.integers(0, 70), st.integers(1, 40), st.integers(1, 40), st.integers(0, 6))
def test_they_are_means_of_rendered_features(seed: int, count: int, width: int, height: int, masks: int) -> None:
    scene = random_scene(count, channels=5, size=(width, height), seed=seed)
    labels = torch.randint(0, masks + 1, (height, width), generator=torch.Generator().manual_seed(seed))
    means, pixels = view_prototypes(rasterization(**scene, width=width, height=height)[0][0], labels, masks)
    found = contributions(geometry_of(scene), scene["viewmats"][0], scene["Ks"][0], labels)
    unlabelled = int((labels == 0).sum())
    pooled = BlendedView.of(found, masks + 1).mean_features(
        scene["colors"].numpy(), np.array([unlabelled, *pixels.tolist()])
    )
    np.testing.assert_allclose(pooled[1:], means, atol=1e-5)
