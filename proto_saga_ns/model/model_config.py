"""What can be set of the model."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from nerfstudio.models.splatfacto import SplatfactoModelConfig


def _model() -> type:
    from proto_saga_ns.model.proto_saga import ProtoSagaModel  # which takes this configuration

    return ProtoSagaModel


@dataclass
class ProtoSagaModelConfig(SplatfactoModelConfig):
    """Splatfacto, embeddings and view classifiers."""

    _target: type = field(default_factory=_model)
    embedding_dim: int = 16
    """numbers that each Gaussian carries for segmentation (D in the paper)"""
    lambda_ce: float = 0.05
    """weight of the cross entropy between view classifiers and label maps (Eq. 8)"""
    tau: float = 10.0
    """temperature of the cosine softmax (Eqs. 6, 14 and 19)"""
    embedding_init_scale: float = 1e-3
    """standard deviation of the initial embeddings; only directions count, so small ones turn faster"""
    classifier_init_scale: float = 1e-3
    """standard deviation of the initial view classifiers"""
    classifiers: Literal["per-view", "shared"] = "per-view"
    """per-view: each training view has a classifier of its own, and masks are associated afterwards. shared: one
    classifier for all views, as Gaussian Grouping has it; masks with the same id must show the same instance in every
    view (--mask-source mastsam, or masks of another tracker), nothing is associated, and the rows of the classifier
    are the prototypes"""
    lambda_neighbours: float = 0.0
    """classifiers shared: weight of the divergence between the class probabilities of nearby Gaussians, every fifth
    step; 2 in Gaussian Grouping"""
    segmentation_moves_geometry: bool = True
    """whether the cross entropy also trains means, shapes and opacities, as in the paper; without it a step costs a
    second rasterization"""
    freeze_geometry: bool = False
    """train embeddings and view classifiers only; for a splat that is good already (give it with --load-dir)"""
    min_alpha: float = 0.5
    """pixels that accumulate less opacity than this are left unlabelled"""
    overlay_opacity: float = 0.6
    """opacity of the instance colours in the output segmentation_overlay, until it is changed in the viewer"""
