"""The button that associates: the pipeline trains, or does not, as it did before."""

from __future__ import annotations

import pytest

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.plugin.run import Run


@pytest.mark.parametrize("training", [True, False])
def test_finding_instances_leaves_the_mode_as_it_was(run: Run, training: bool) -> None:
    run.pipeline.train(training)
    run.model.scene = None
    run.pipeline.associate()
    assert run.pipeline.training is run.model.training is training
    assert run.model.scene is not None and len(run.scene.ids) > 2
    run.pipeline.eval()


def test_the_mode_stays_even_if_nothing_is_found(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Masks that changed since training are an error of the user's."""
    run.pipeline.train()
    scene = run.model.scene
    others = [count + 1 for count in run.model.view_classifiers.labels_per_view]
    monkeypatch.setattr(type(run.model.view_classifiers), "labels_per_view", property(lambda _: others))
    with pytest.raises(ProtoSagaError, match="changed since training"):
        run.pipeline.associate()
    assert run.model.training and run.model.scene is scene
    run.pipeline.eval()
