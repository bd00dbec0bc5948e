"""Looking at groups and parts in the viewer, and joining what is shown as one."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.plugin.model.views import segment_view
from proto_saga_ns.plugin.run import Run
from proto_saga_ns.plugin.viewer.listing import by_size
from proto_saga_ns.plugin.viewer.session import Session
from tests.plugin.viewer.conftest import selected, shown_ids, spot_showing, viewer_camera, viewer_view
from tests.scene.scenes import corrected_state, with_levels


def test_granularity_is_a_way_of_looking(run: Run, session: Session) -> None:
    run.model.scene = with_levels(session.scene)
    first, second, third = (instance.id for instance in by_size(session.scene)[:3])
    before = corrected_state(session.scene)
    objects = run.model.get_outputs_for_camera(viewer_camera(run))
    assert session.look_at_level(0.2).endswith(f"shown as {len(session.scene.ids) - 1} groups.")
    groups = run.model.get_outputs_for_camera(viewer_camera(run))
    assert session.look_at_level(1.0).endswith(f"shown as {len(session.scene.ids) + 1} parts.")
    parts = run.model.get_outputs_for_camera(viewer_camera(run))
    session.look_at_level(0.5)
    again = run.model.get_outputs_for_camera(viewer_camera(run))
    assert all(torch.equal(again[name], image) for name, image in objects.items())
    for shown in (groups, parts):
        changed = [name for name, image in objects.items() if not torch.equal(shown[name], image)]
        assert changed == ["segmentation", "segmentation_overlay"]
    labels = segment_view(run.model, session.scene, viewer_camera(run)).labels
    for shown, touched in ((groups, (first, second)), (parts, (third,))):
        different = (shown["segmentation"] != objects["segmentation"]).any(dim=-1).numpy()
        assert different.any() and set(labels[different].tolist()) <= set(touched)
    assert corrected_state(session.scene) == before


def test_a_click_selects_a_group_as_a_whole_and_merging_makes_it_last(run: Run, session: Session) -> None:
    run.model.scene = with_levels(session.scene)
    first, second, _ = (instance.id for instance in by_size(session.scene)[:3])
    spot = spot_showing(run, shown_ids(run)[0])
    session.look_at_level(0.2)
    visible = next(number for number in shown_ids(run) if number in (first, second))
    session.click(viewer_view(run), spot_showing(run, visible))
    assert selected(session) == tuple(sorted((first, second)))
    session.merge_selected()
    session.look_at_level(0.5)
    assert second not in session.scene.ids or first not in session.scene.ids
    session.undo()
    session.click(viewer_view(run), spot)
    assert len(selected(session)) == 1


def test_groups_join_as_shown_in_one_step(run: Run, session: Session) -> None:
    run.model.scene = with_levels(session.scene)
    first, second, _ = (instance.id for instance in by_size(session.scene)[:3])
    before, count = corrected_state(session.scene), len(session.scene.ids)
    for granularity in (0.5, 1.0):
        session.look_at_level(granularity)
        with pytest.raises(ProtoSagaError, match="No objects are shown as one"):
            session.join_as_shown()
    session.look_at_level(0.2)
    shown = run.model.get_outputs_for_camera(viewer_camera(run))["segmentation"]
    assert not session.editor.can_undo
    assert session.join_as_shown() == f"Joined {count} objects to {count - 1}, as they were shown."
    assert session.scene.members(first) == tuple(sorted((first, second)))
    for granularity in (0.2, 0.5):
        session.look_at_level(granularity)
        assert torch.equal(run.model.get_outputs_for_camera(viewer_camera(run))["segmentation"], shown)
    assert session.editor.unsaved == 1
    session.undo()
    assert corrected_state(session.scene) == before and not session.editor.can_undo


def test_a_scene_without_levels_stays_at_its_objects(run: Run, session: Session) -> None:
    run.model.scene = replace(session.scene, levels=None)
    with pytest.raises(ProtoSagaError, match="no parts and groups"):
        session.look_at_level(0.2)
    assert session.scene.display.granularity == 0.5
    assert session.look_at_level(0.5) == f"{len(session.scene.ids)} objects."
