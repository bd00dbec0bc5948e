"""Votes of real training views on the Gaussians of a real model."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from nerfstudio.data.scene_box import OrientedBox

from proto_saga_ns.plugin.model.associate import count_votes, segmented_views, training_views
from proto_saga_ns.plugin.model.render import Gaussians
from proto_saga_ns.plugin.run import load_run
from proto_saga_ns.recognition.gaussian_instances import MIN_SEEN
from tests.conftest import TrainedRun


def test_votes_of_a_trained_run(trained_run: TrainedRun) -> None:
    run = load_run(trained_run.config)
    views = training_views(run.model, run.pipeline.datamanager)
    voted = count_votes(run.model, views, segmented_views(views, run.scene)).elect()
    ids = {instance.id for instance in run.scene.instances}
    count = run.model.num_points
    assert voted.ids.shape == (count,) and set(voted.ids.unique().tolist()) <= ids | {0}
    assert len(voted.ids[voted.ids > 0].unique()) > 1
    assert (voted.confidence[voted.ids == 0] == 0).all() and voted.confidence.max() <= 1.0
    assert (voted.confidence[voted.ids > 0] > 0).float().mean() > 0.8

    constant = [torch.full_like(views.label_map(index), 7) for index in range(len(views))]
    seen = count_votes(run.model, views, constant).elect()
    assert set(seen.ids.unique().tolist()) <= {0, 7} and set(seen.confidence.unique().tolist()) <= {0.0, 1.0}
    assert torch.equal(seen.confidence == 0, voted.confidence.where(voted.ids > 0, seen.confidence) == 0)
    assert (seen.ids[voted.ids > 0] == 7).all()

    kept = run.scene.gaussians
    assert kept is not None and ((kept.ids > 0) & (kept.confidence == 0)).any(), "some are hardly seen"
    assert ((kept.confidence == 0) == (voted.confidence == 0)).float().mean() > 0.95

    # What is opaque and alone in its pixels looks like its embedding.
    own = replace(run.scene, gaussians=None).instances_of(run.model.embeddings)
    sure = (voted.confidence > 0.95) & (run.model.opacities.detach().sigmoid()[:, 0] > 0.9)
    assert sure.any() and (own.ids == voted.ids)[sure].float().mean() > 0.5


FRONT = torch.eye(4)
FRONT[2, 3] = 5.0
BACK = torch.diag(torch.tensor([-1.0, 1.0, -1.0, 1.0]))
BACK[2, 3] = 5.0
OTHER_WAY = FRONT.clone()
OTHER_WAY[2, 3] = -50.0


def seen_shares(viewmats: list[torch.Tensor], rasterize_mode: str = "classic") -> list[float]:
    """Of a plate, a Gaussian behind it and one beside it, as cameras see them."""
    parameters = {
        "means": torch.tensor([[0.0, 0, 0], [0, 0, 1], [1.5, 0, 1]]),
        "scales": torch.tensor([[0.5, 0.5, 0.02], [0.08, 0.08, 0.08], [0.08, 0.08, 0.08]]).log(),
        "quats": torch.tensor([[1.0, 0, 0, 0]]).repeat(3, 1),
        "opacities": torch.tensor([[0.98], [0.9], [0.9]]).logit(),
        "features_dc": torch.zeros(3, 3),
        "features_rest": torch.zeros(3, 0, 3),
        "embeddings": torch.zeros(3, 4),
    }
    lens = torch.tensor([[60.0, 0, 32], [0, 60.0, 24], [0, 0, 1]])
    views = [SimpleNamespace(viewmat=viewmat, K=lens, width=64, height=48) for viewmat in viewmats]
    gaussians = Gaussians.from_parameters(parameters, antialiased=rasterize_mode == "antialiased")
    model = SimpleNamespace(gaussians=lambda cropped: gaussians, means=parameters["means"])
    maps = [torch.full((48, 64), 7)] * len(views)
    counted = count_votes(model, views, maps)  # type: ignore[arg-type]
    found = counted.elect()
    assert found.ids.tolist() == [7, 7, 7]
    assert found.confidence.tolist() == [float(share >= MIN_SEEN) for share in counted.seen_share]
    return counted.seen_share.tolist()


@pytest.mark.parametrize("rasterize_mode", ["classic", "antialiased"])
def test_what_lies_behind_a_plate_is_hardly_seen_unless_a_view_looks_behind_it(rasterize_mode: str) -> None:
    plate, behind, beside = seen_shares([FRONT], rasterize_mode)
    assert plate > 0.8 and beside > 0.8 and 0 < behind < MIN_SEEN
    assert all(share > 0.8 for share in seen_shares([FRONT, BACK], rasterize_mode))


def test_many_views_that_do_not_see_a_gaussian_change_nothing() -> None:
    assert seen_shares([FRONT] * 30 + [OTHER_WAY] * 30 + [BACK]) == seen_shares([BACK, FRONT])


def test_a_crop_that_the_viewer_left_changes_no_training_view(trained_run: TrainedRun) -> None:
    """Association may begin, in the viewer or after training, while somebody looks at a part of the scene."""
    model = (run := load_run(trained_run.config)).model
    views = training_views(model, run.pipeline.datamanager)
    whole, voted = views.render(0).features, count_votes(model, views, segmented_views(views, run.scene)).elect()
    size, middle = model.means.detach().std(dim=0), model.means.detach().median(dim=0).values
    model.set_crop(OrientedBox(R=torch.eye(3), T=middle, S=size))
    assert 0 < len(model.gaussians().geometry) < model.num_points
    assert torch.equal(views.render(0).features, whole)
    assert torch.equal(count_votes(model, views, segmented_views(views, run.scene)).elect().ids, voted.ids)
