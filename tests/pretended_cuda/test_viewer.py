"""What a person does in the viewer, on a GPU: the panel calls a session, and shows a picture after each action."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from common.pretended_cuda import Transfers, all_on_gpu

from proto_saga_ns.masks.phrases.find import TextMask
from proto_saga_ns.masks.phrases.grounding import FoundBoxes
from proto_saga_ns.plugin.run import Run, load_run
from proto_saga_ns.plugin.viewer.session import Session
from tests.plugin.viewer.conftest import shown_ids, spot_showing, viewer_camera, viewer_view


@pytest.fixture(params=["votes", "prototypes"])
def session(request: pytest.FixtureRequest, on_gpu: Run) -> Session:
    if request.param == "prototypes":
        on_gpu.model.scene = replace(on_gpu.scene, votes=None, levels=None)
    return Session(on_gpu.model)


class Everything:
    """Finds that a phrase means the whole picture."""

    def find(self, rgb: np.ndarray, phrase: str) -> TextMask:
        nothing = FoundBoxes(np.zeros((0, 4)), np.zeros(0), ())
        return TextMask(nothing, np.ones(rgb.shape[:2], bool))


def test_all_that_the_panel_offers_works(session: Session, on_gpu: Run) -> None:
    view, ids = viewer_view(on_gpu), shown_ids(on_gpu)
    first, second = (spot_showing(on_gpu, number) for number in ids[:2])
    actions: list[Callable[[], str]] = [
        lambda: session.click(view, first),
        lambda: session.click(view, second, add=True),
        lambda: session.merge_selected(),
        lambda: session.rename_selected("thing"),
        lambda: session.split_at(view, first),
        lambda: session.split_at(view, second),
        lambda: session.box(view, (0.0, 0.0), (1.0, 1.0)),
        lambda: session.find(view, "all", Everything()),
        lambda: session.select(ids[2:3]),
        lambda: session.hide_selected(),
        lambda: session.show_all(),
        lambda: session.select(ids[2:3]),
        lambda: session.isolate_selected(),
        lambda: session.show_all(),
        lambda: session.absorb(0.9),
        lambda: session.undo(),
        lambda: session.redo(),
        lambda: session.show(background="transparent", outline=2, min_confidence=0.5),
    ]
    for act in actions:
        said = act()
        outputs = on_gpu.model.get_outputs_for_camera(viewer_camera(on_gpu))
        assert all_on_gpu(outputs.values()), said
    assert len(session.scene.ids) > 0 and session.editor.unsaved > 0


@pytest.mark.parametrize("granularity", [0.1, 0.9, 0.5])
def test_all_levels_are_shown(on_gpu: Run, granularity: float) -> None:
    session = Session(on_gpu.model)
    session.look_at_level(granularity)
    assert all_on_gpu(on_gpu.model.get_outputs_for_camera(viewer_camera(on_gpu)).values())


def test_instances_are_found_and_saved_after_a_reload(gpu: Transfers, copy_of_gpu_run: Path) -> None:
    """The buttons *Find instances* and *Save*."""
    run = load_run(copy_of_gpu_run)
    run.model.scene = None
    run.pipeline.associate()
    session = Session(run.model)
    session.select(session.scene.ids[:1])
    session.rename_selected("thing")
    viewer: Any = SimpleNamespace(log_filename=copy_of_gpu_run.parent / "log.txt", trainer=None)
    session.save(lambda: run.pipeline.save_scene(viewer))
    assert "thing" in load_run(copy_of_gpu_run).scene.names.values()
