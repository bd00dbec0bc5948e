"""The trained tiny run, loaded once; every test gets it as training left it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from nerfstudio.cameras.cameras import Cameras
from scipy.ndimage import distance_transform_edt

from proto_saga_ns.association import BANK
from proto_saga_ns.plugin.model.associate import segment_scene
from proto_saga_ns.plugin.model.options import SceneOptions
from proto_saga_ns.plugin.model.render import CameraView
from proto_saga_ns.plugin.model.views import segment_view
from proto_saga_ns.plugin.run import Run, load_run
from proto_saga_ns.plugin.viewer.looking import Spot
from proto_saga_ns.plugin.viewer.session import Session
from proto_saga_ns.scene import SegmentedScene
from tests.conftest import TrainedRun


@pytest.fixture(scope="session")
def loaded(trained_run: TrainedRun) -> Run:
    return load_run(trained_run.config)


@pytest.fixture(scope="session")
def banked_scene(loaded: Run) -> SegmentedScene:
    """The scene by the memory bank, without votes."""
    return segment_scene(loaded.model, loaded.pipeline.datamanager, BANK, SceneOptions())


@pytest.fixture(params=["prototypes", "votes"])
def run(request: pytest.FixtureRequest, loaded: Run, banked_scene: SegmentedScene) -> Iterator[Run]:
    """With its scene, or with one that has no votes; what a test puts in its place is taken out again."""
    scene = loaded.scene
    loaded.model.scene = banked_scene if request.param == "prototypes" else scene
    yield loaded
    loaded.pipeline.eval()
    loaded.model.scene = scene


@pytest.fixture
def session(run: Run) -> Session:
    return Session(run.model)


def viewer_camera(run: Run) -> Cameras:
    """The first test view."""
    return next(run.cameras("test"))[1]


def viewer_view(run: Run) -> CameraView:
    return run.model.view_of(viewer_camera(run), corrected=False)


def spot_of(view: CameraView, column: int, row: int) -> Spot:
    """The middle of a pixel as a browser reports a click there."""
    return (column + 0.5) / view.width, (row + 0.5) / view.height


def spot_showing(run: Run, instance: int) -> Spot:
    """The middle of the largest part of the first test view that shows an instance."""
    labels = segment_view(run.model, run.scene, viewer_camera(run)).labels
    depth = distance_transform_edt(np.pad(labels == instance, 1))[1:-1, 1:-1]
    row, column = np.unravel_index(depth.argmax(), depth.shape)
    return spot_of(viewer_view(run), int(column), int(row))


def shown_ids(run: Run) -> list[int]:
    """Instances that the first test view shows, the largest first."""
    labels = segment_view(run.model, run.scene, viewer_camera(run)).labels
    ids, counts = np.unique(labels[labels > 0], return_counts=True)
    return [int(number) for number in ids[np.argsort(-counts)]]


def selected(session: Session) -> tuple[int, ...]:
    return session.scene.display.selected
