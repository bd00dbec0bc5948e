"""Options for what happens after association."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Classifier = Literal["prototypes", "kmeans", "hdbscan", "trained"]


@dataclass(frozen=True)
class SceneOptions:
    """How instances become the classifier of novel views."""

    classifier: Classifier = "prototypes"
    """prototypes: averages over pixels and views (Eqs. 17-19). The others are the alternatives of the paper's Table 4
    and Sec. 3.3: kmeans over all prototypes of single views; hdbscan over features, which needs no association;
    trained: one classifier for all views, trained on the associated masks together with the embeddings"""
    votes: bool = True
    """whether the votes that the strategy consensus leaves on the Gaussians decide together with the prototypes; a
    view costs a channel more to render for each instance"""
    trained_steps: int = 1000
    """steps for the classifier 'trained'; 10,000 in the paper"""
    seed: int = 0
    """seed of kmeans, hdbscan's sampling and trained"""
