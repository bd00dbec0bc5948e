"""Association against a slow reference with Python sets, and its laws."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from proto_saga_ns.association import (
    BANK,
    GAGA,
    PAPER,
    AssociationOptions,
    View,
    apply_association,
    associate,
    ground_truth_association,
)

WIDTH, HEIGHT, LABELS = 40, 32, 5

OPTIONS = st.builds(
    AssociationOptions,
    criteria=st.sampled_from(["both", "depth", "probability"]),
    rank_within=st.sampled_from(["mask", "grid"]),
    growth=st.sampled_from(["union", "disjoint"]),
    score=st.sampled_from(["mask", "sum"]),
    view_order=st.sampled_from(["name", "seed", "best-first"]),
    delta_d=st.sampled_from([0.1, 0.2, 0.5, 1.0]),
    delta_s=st.sampled_from([0.1, 0.2, 0.5, 1.0]),
    delta=st.sampled_from([0.05, 0.1, 0.4]),
    min_views=st.integers(0, 3),
)


def random_views(count: int, seed: int, empty: int | None = None) -> tuple[torch.Tensor, torch.Tensor, list[View]]:
    """Gaussians around the origin and views of it whose label maps are random rectangles."""
    generator = torch.Generator().manual_seed(seed)
    means = torch.randn(300, 3, generator=generator)
    embeddings = torch.randn(300, 4, generator=generator)
    views = []
    for index in range(count):
        viewmat = torch.eye(4)
        viewmat[:3, 3] = torch.tensor([0.3 * index, 0.0, 2.5])
        label_map = torch.zeros(HEIGHT, WIDTH, dtype=torch.int32)
        for label in range(1, LABELS + 1):
            x, y = (int(torch.randint(0, size - 8, (1,), generator=generator)) for size in (WIDTH, HEIGHT))
            label_map[y : y + 12, x : x + 12] = label
        if index == empty:
            label_map.zero_()
        _, inverse = label_map.unique(return_inverse=True)
        label_map = inverse.int().reshape(label_map.shape)
        if index != empty and (label_map > 0).all():
            label_map[0, 0] = 0
        classifier = torch.randn(4, int(label_map.max()), generator=generator)
        k = torch.tensor([[30.0, 0, WIDTH / 2], [0, 30.0, HEIGHT / 2], [0, 0, 1]])
        views.append(View(f"view{index}", viewmat, k, WIDTH, HEIGHT, label_map, classifier))
    return means, embeddings, views


def slow_claims(means: torch.Tensor, embeddings: torch.Tensor, view: View, options: AssociationOptions) -> dict:
    """Eqs. 9, 10, 14-16 word by word, one Gaussian at a time."""
    groups: dict[tuple[int, int], list[tuple[float, float, int]]] = {}
    for i, mean in enumerate(means):
        p = view.viewmat[:3, :3] @ mean + view.viewmat[:3, 3]
        if p[2] <= 0.01:
            continue
        x = math.floor(p[0] / p[2] * view.K[0, 0] + view.K[0, 2])
        y = math.floor(p[1] / p[2] * view.K[1, 1] + view.K[1, 2])
        if not (0 <= x < view.width and 0 <= y < view.height) or view.label_map[y, x] == 0:
            continue
        label = int(view.label_map[y, x])
        cosine = torch.nn.functional.cosine_similarity(view.classifier, embeddings[i][:, None], dim=0)
        probability = float(torch.log_softmax(10 * cosine, dim=0)[label - 1].exp())
        cell = (y * 32 // view.height) * 32 + x * 32 // view.width if options.rank_within == "grid" else 0
        groups.setdefault((label, cell), []).append((float(p[2]), -probability, i))
    claimed: dict[int, set[int]] = {}
    for (label, _), members in sorted(groups.items()):
        keys = {"both": (0, 1), "depth": (0,), "probability": (1,)}[options.criteria]
        for key in keys:
            share = len(members) * (options.delta_d, options.delta_s)[key]
            count = max(math.floor(share) if options.rank_within == "grid" else math.ceil(share - 1e-9), 1)
            ranked = sorted(members, key=lambda member: (member[key], member[2]))
            claimed.setdefault(label, set()).update(member[2] for member in ranked[:count])
    return claimed


def slow_associate(
    means: torch.Tensor, embeddings: torch.Tensor, views: list[View], options: AssociationOptions
) -> tuple[list[dict[int, int]], set[tuple[int, int]]]:
    """Eqs. 11-13 with Python sets: the instance of each mask, and (instance, Gaussian) pairs."""
    order = list(range(len(views)))
    if options.view_order == "seed":
        order = np.random.default_rng(options.order_seed).permutation(len(views)).tolist()
    if options.view_order == "best-first":
        everything = AssociationOptions(criteria="depth", delta_d=1.0)
        seen = [slow_claims(means, embeddings, view, everything) for view in views]
        qualities = [sum(len(mask) for mask in masks.values()) * len(masks) for masks in seen]
        order.insert(0, order.pop(qualities.index(max(qualities))))
    bank: list[set[int]] = []
    result: list[dict[int, int]] = [{} for _ in views]
    first = True
    for index in order:
        claimed = slow_claims(means, embeddings, views[index], options)
        for label in sorted(claimed):
            mask = claimed[label]
            best, best_score = -1, -1.0
            for e, members in enumerate(bank):
                both = len(mask & members)
                score = both / len(mask) if options.score == "mask" else both / (len(mask) + both)
                if score > best_score:
                    best, best_score = e, score
            if first or best_score <= options.delta:
                bank.append(set(mask))
                result[index][label] = len(bank) - 1
            else:
                owned = set().union(*bank)
                bank[best] |= mask if options.growth == "union" else mask - owned
                result[index][label] = best
        first = first and not claimed
    counts = [sum(e in set(view.values()) for view in result) for e in range(len(bank))]
    number = {}
    for e, count in enumerate(counts):
        if count >= max(options.min_views, 1):
            number[e] = len(number) + 1
    pairs = {(number[e], i) for e, members in enumerate(bank) if e in number for i in members}
    return [{label: number.get(e, 0) for label, e in view.items()} for view in result], pairs


@settings(max_examples=60)
@given(OPTIONS, st.integers(0, 1000), st.integers(1, 5))
def test_every_choice_agrees_with_python_sets(options: AssociationOptions, seed: int, count: int) -> None:
    means, embeddings, views = random_views(count, seed)
    ours = associate(means, embeddings, views, options)
    theirs, pairs = slow_associate(means, embeddings, views, options)
    for mine, other, view in zip(ours.instance_of_mask, theirs, views, strict=True):
        assert mine.tolist() == [other.get(label, 0) for label in range(int(view.label_map.max()) + 1)]
    assert list(zip(*(column.tolist() for column in ours.gaussian_sets), strict=True)) == sorted(pairs)


@given(OPTIONS, st.integers(0, 1000))
@settings(max_examples=20)
def test_instances_are_numbered_without_gaps_and_counted_right(options: AssociationOptions, seed: int) -> None:
    association = associate(*random_views(4, seed), options)
    used = np.unique(np.concatenate(association.instance_of_mask))
    assert used[used > 0].tolist() == list(range(1, association.num_instances + 1))
    for instance in range(1, association.num_instances + 1):
        views = sum(instance in view for view in association.instance_of_mask)
        assert views == association.n_views[instance - 1] >= options.min_views
    owners, gaussians = association.gaussian_sets
    pairs = list(zip(owners.tolist(), gaussians.tolist(), strict=True))
    assert pairs == sorted(set(pairs))
    assert association.n_gaussians.sum() == len(pairs)


def test_label_zero_stays_zero_and_views_without_masks_do_no_harm() -> None:
    means, embeddings, views = random_views(4, 0, empty=0)
    association = associate(means, embeddings, views, BANK)
    assert association.instance_of_mask[0].tolist() == [0]
    assert all(view[0] == 0 for view in association.instance_of_mask)
    assert association.num_instances >= int(views[1].label_map.max()) - 1


def test_a_mask_on_which_no_gaussian_falls_has_no_instance() -> None:
    means, embeddings, views = random_views(2, 0)
    behind = means * 0.01 + torch.tensor([0.0, 0.0, -50.0])
    association = associate(behind, embeddings, views, BANK)
    assert association.num_instances == 0
    assert all((view == 0).all() for view in association.instance_of_mask)


def test_the_same_view_twice_is_the_same_instances() -> None:
    means, embeddings, (view,) = random_views(1, 0)
    for options in (BANK, GAGA, AssociationOptions(criteria="probability")):
        first, second = associate(means, embeddings, [view, view], options).instance_of_mask
        assert first.tolist() == second.tolist()


def test_zero_embeddings_are_ranked_without_a_crash() -> None:
    means, embeddings, views = random_views(3, 0)
    assert associate(means, 0 * embeddings, views, BANK).num_instances > 0


def test_the_best_first_view_is_the_one_that_is_taken_apart_most() -> None:
    means, embeddings, views = random_views(3, 1)
    coarse = [View(v.name, v.viewmat, v.K, v.width, v.height, (v.label_map > 0).int(), v.classifier[:, :1])
              for v in views[:2]]  # fmt: skip
    options = AssociationOptions(view_order="best-first")
    association = associate(means, embeddings, [*coarse, views[2]], options)
    labels = association.instance_of_mask[2]
    assert sorted(labels[labels > 0].tolist()) == list(range(1, (labels > 0).sum() + 1))


def test_a_missing_classifier_is_an_error_only_where_it_is_needed() -> None:
    means, embeddings, (view,) = random_views(1, 0)
    bare = View(view.name, view.viewmat, view.K, view.width, view.height, view.label_map)
    associate(means, embeddings, [bare], GAGA)
    with pytest.raises(ValueError, match="view0 has no classifier"):
        associate(means, embeddings, [bare], BANK)


def test_ids_beyond_255_do_not_wrap() -> None:
    label_map = torch.arange(1, 1001, dtype=torch.int32).reshape(25, 40)
    y, x = torch.meshgrid(torch.arange(25.0), torch.arange(40.0), indexing="ij")
    means = torch.stack([x, y, torch.ones_like(x)], dim=-1).reshape(-1, 3)
    view = View("v", torch.eye(4), torch.eye(3), 40, 25, label_map)
    association = associate(means, means, [view], GAGA)
    assert association.num_instances == 1000
    assert apply_association(label_map.numpy(), association.instance_of_mask[0]).max() == 1000


def test_ground_truth_association_takes_the_majority() -> None:
    label_map = np.array([[0, 1, 1, 1], [2, 2, 3, 3]])
    truth = np.array([[9, 4, 4, 5], [7, 7, 0, 0]])
    assert ground_truth_association(label_map, truth).tolist() == [0, 4, 7, 0]


def test_small_captures_lose_nothing_by_default_and_large_ones_what_five_views_do_not_see() -> None:
    required = [BANK.required_views(count) for count in (1, 9, 24, 60, 500)]
    assert required == [1, 1, 2, 5, 5]
    assert PAPER.required_views(500) == GAGA.required_views(500) == 1
    assert AssociationOptions(min_views=7).required_views(9) == 7
