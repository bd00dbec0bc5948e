"""Small random splats."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from proto_saga_ns.plugin.model.render import Gaussians
from proto_saga_ns.rasterize import rasterization
from proto_saga_ns.recognition.gaussian_instances import GaussianInstances
from proto_saga_ns.splats.splat import Splat
from proto_saga_ns.splats.transform import Similarity
from tests.rasterize.scenes import random_scene


def random_splat(count: int = 40, degree: int = 3, seed: int = 0) -> Splat:
    """Gaussians around the origin, with colours that depend strongly on the direction."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    return Splat(
        means=normal(count, 3),
        quats=normal(count, 4),
        log_scales=0.5 * normal(count, 3) - 2,
        opacity_logits=2 * normal(count),
        harmonics=0.5 * normal(count, (degree + 1) ** 2, 3),
    )


def random_instances(count: int, highest: int = 4, seed: int = 0) -> GaussianInstances:
    """Ids from 0 to ``highest``; a fifth of the Gaussians is hardly seen."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(0, highest + 1, (count,), generator=generator, dtype=torch.int32)
    seen = torch.rand(count, generator=generator) > 0.2
    return GaussianInstances(ids, torch.rand(count, generator=generator) * (ids > 0) * seen)


def parameters(splat: Splat) -> dict[str, torch.Tensor]:
    """The same Gaussians as splatfacto keeps them, with embeddings."""
    return {
        "means": splat.means,
        "quats": splat.quats,
        "scales": splat.log_scales,
        "opacities": splat.opacity_logits[:, None],
        "features_dc": splat.harmonics[:, 0],
        "features_rest": splat.harmonics[:, 1:],
        "embeddings": torch.zeros(len(splat), 2),
    }


def picture(splat: Splat, viewmat: torch.Tensor | None = None) -> torch.Tensor:
    """The splat from a camera at a distance of 3 (or of ``viewmat``), (H, W, 4): colours and opacity."""
    camera = random_scene(1)
    rgb, alpha, _ = rasterization(
        means=splat.means,
        quats=splat.quats,
        scales=splat.log_scales.exp(),
        opacities=splat.opacity_logits.sigmoid(),
        colors=splat.harmonics,
        viewmats=camera["viewmats"] if viewmat is None else viewmat[None],
        Ks=camera["Ks"],
        width=37,
        height=29,
        sh_degree=splat.degree,
        near_plane=1e-4,
    )
    return torch.cat([rgb[0], alpha[0]], dim=-1)


def gaussians(splat: Splat) -> Gaussians:
    """For ``model.render``."""
    return Gaussians.from_parameters(parameters(splat))


def rotations() -> st.SearchStrategy[np.ndarray]:
    """Any rotation matrix."""
    return st.integers(0, 2**32 - 1).map(lambda seed: Rotation.random(random_state=seed).as_matrix())


def similarities() -> st.SearchStrategy[Similarity]:
    """Similarity transforms that do not mirror, with scales from 0.1 to 10."""
    offsets = st.tuples(*[st.floats(-5, 5)] * 3).map(np.array)
    return st.builds(Similarity, st.floats(0.1, 10), rotations(), offsets)
