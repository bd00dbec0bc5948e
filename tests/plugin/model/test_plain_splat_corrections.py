"""What people do with a splat whose embeddings were never trained: votes alone recognise."""

from __future__ import annotations

import pytest
import torch

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.plugin.run import Run
from proto_saga_ns.plugin.viewer.session import Session
from proto_saga_ns.scene import SegmentedScene, corrections
from tests.plugin.viewer.conftest import shown_ids, spot_showing, viewer_view


def seeds_of(run: Run, ids: tuple[int, int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Features and votes of a point of each of two instances."""
    size = len(run.scene.masks.ids)
    votes = torch.zeros(2, size)
    for row, number in enumerate(ids):
        votes[row, run.scene.masks.ids.index(number)] = 1.0
    return torch.zeros(2, run.model.config.embedding_dim), votes


def test_what_was_merged_is_split_again_and_more_is_refused(votes_alone: Run) -> None:
    scene, embeddings = votes_alone.scene, votes_alone.model.embeddings
    first, second = scene.ids[:2]
    merged: SegmentedScene = corrections.merged(scene, [first, second])
    features, votes = seeds_of(votes_alone, (first, second))
    apart, _ = corrections.split(merged, merged.owners.get(first, first), features, embeddings, votes)
    assert apart.ids == scene.ids
    with pytest.raises(ValueError, match="embedding was never trained"):
        corrections.split(scene, first, features, embeddings, votes[:1].expand(2, -1))


def test_what_people_do_in_the_viewer(votes_alone: Run) -> None:
    session, view, scene = Session(votes_alone.model), viewer_view(votes_alone), votes_alone.scene
    first, second = shown_ids(votes_alone)[:2]
    spots = [spot_showing(votes_alone, number) for number in (first, second)]
    assert session.click(view, spots[0]).startswith(f"{first}: ")
    session.click(view, spots[1], add=True)
    session.merge_selected()
    assert len(session.scene.ids) == len(scene.ids) - 1
    session.split_at(view, spots[0])
    assert session.split_at(view, spots[1]).startswith("Split")
    assert session.scene.ids == scene.ids
    session.split_at(view, spots[0])
    with pytest.raises(ProtoSagaError, match="only what was merged can be taken apart again"):
        session.split_at(view, spots[0])
    assert session.scene.ids == scene.ids
    votes_alone.model.scene = scene
