"""One classifier for all views, trained on consistent label maps (Table 4, ``Cls``; Gaga's last stage)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from proto_saga_ns.progress import Progress, unseen
from proto_saga_ns.recognition.cosine_softmax import DEFAULT_TAU, cross_entropy

INITIAL_SCALE = 0.1
"""Standard deviation of the classifier's start; small vectors turn faster."""


@dataclass(frozen=True)
class TrainingOptions:
    """How the shared classifier is trained.

    Attributes:
        steps: views that are trained on, one a step; 10,000 in the paper.
        embedding_lr: learning rate of the embeddings (Adam).
        classifier_lr: learning rate of the classifier (Adam).
        tau: temperature of the cosine softmax.
        seed: of the order of views and the classifier's start.
    """

    steps: int = 10_000
    embedding_lr: float = 2.5e-3
    classifier_lr: float = 5e-4
    tau: float = DEFAULT_TAU
    seed: int = 0


@dataclass(frozen=True)
class SharedClassifier:
    """What training gives.

    Attributes:
        prototypes: classifier with one row per instance; takes the place of the prototypes.
        embeddings: embeddings of the Gaussians that were trained with it.
        losses: cross entropy of every step that had labelled pixels.
    """

    prototypes: Float[Tensor, "T D"]
    embeddings: Float[Tensor, "N D"]
    losses: list[float]


def train_shared_classifier(
    render_features: Callable[[int, Tensor], Tensor],
    embeddings: Float[Tensor, "N D"],
    label_maps: Sequence[Int[Tensor, "_H _W"]],
    num_instances: int,
    options: TrainingOptions = TrainingOptions(),
    progress: Progress = unseen,
) -> SharedClassifier:
    """Train one classifier and the embeddings on consistent label maps; the Gaussians keep all else.

    Args:
        render_features: gives the feature map (H, W, D) of view k from embeddings, differentiable in them.
        embeddings: where training starts; left as they are.
        label_maps: consistent label map of each view, of the size of its feature map.
        num_instances: T; labels lie in [0, T].
        options: steps, rates, seed.
        progress: of the steps.

    Raises:
        ValueError: there are no views or no instances.
    """
    if not label_maps or num_instances == 0:
        raise ValueError(f"cannot train on {len(label_maps)} views and {num_instances} instances")
    generator = torch.Generator().manual_seed(options.seed)
    start = INITIAL_SCALE * torch.randn(num_instances, embeddings.shape[1], generator=generator)
    classifier = start.to(embeddings).requires_grad_()
    trained = embeddings.detach().clone().requires_grad_()
    optimizer = _optimizer(trained, classifier, options)
    losses = []
    order = _shuffled_views(len(label_maps), options.steps, generator)
    for view in progress(order, "Training one classifier for all views", options.steps):
        labels = torch.as_tensor(label_maps[view], device=trained.device)
        if bool((labels > 0).any()):
            loss, _ = cross_entropy(render_features(view, trained), classifier.T, labels, options.tau)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(float(loss.detach()))
    return SharedClassifier(classifier.detach(), trained.detach(), losses)


def _optimizer(embeddings: Tensor, classifier: Tensor, options: TrainingOptions) -> torch.optim.Optimizer:
    groups = [
        {"params": [embeddings], "lr": options.embedding_lr},
        {"params": [classifier], "lr": options.classifier_lr},
    ]
    # As for all parameters of Gaussians: their gradients are far below Adam's usual epsilon of 1e-8.
    return torch.optim.Adam(groups, eps=1e-15)


def _shuffled_views(num_views: int, steps: int, generator: torch.Generator) -> Iterator[int]:
    """``steps`` view indices: every view once in random order, then again."""
    done = 0
    while done < steps:
        order = torch.randperm(num_views, generator=generator).tolist()[: steps - done]
        yield from order
        done += len(order)
