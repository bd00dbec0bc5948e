"""Every data set has a text that says where it comes from, on what terms and how it lies."""

from __future__ import annotations

import pytest

from proto_saga_ns.evaluation.datasets.findings import DATASETS, Dataset
from proto_saga_ns.evaluation.datasets.hints import HINTS
from proto_saga_ns.evaluation.datasets.layouts import LAYOUTS


@pytest.mark.parametrize("dataset", DATASETS)
def test_a_hint_says_all_that_it_knows(dataset: Dataset) -> None:
    hint = HINTS[dataset]
    text = hint.text()
    assert all(page.startswith("http") and page in text for page in hint.pages)
    for part in (hint.title, hint.size, hint.terms, hint.access, *hint.steps, *hint.quirks):
        assert part and part in text
    assert f"proto-saga data check {dataset}" in text
    if dataset in LAYOUTS:
        # A short name is enough, where those before it have said the rest.
        assert all(scene.removeprefix("scene").split("_")[0] in hint.tree for scene in LAYOUTS[dataset].scenes)
