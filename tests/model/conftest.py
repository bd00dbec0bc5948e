"""The trained run, opened once for all tests of the model."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from proto_saga_ns.cli.run import Run, load_run
from tests.conftest import TrainedRun


@pytest.fixture(scope="package")
def loaded(trained_run: TrainedRun) -> Run:
    opened = load_run(trained_run.config)
    opened.model.eval()
    return opened


@pytest.fixture
def opened(loaded: Run) -> Iterator[Run]:
    """The trained run, whose scene goes back to what it was."""
    scene = loaded.model.scene
    yield loaded
    loaded.model.scene = scene
