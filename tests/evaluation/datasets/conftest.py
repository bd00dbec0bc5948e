"""A scene of each data set, made once."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from proto_saga_ns.evaluation.datasets.findings import DATASETS, Dataset
from tests.evaluation.datasets.folders import write_dataset


@pytest.fixture(scope="session")
def originals(tmp_path_factory: pytest.TempPathFactory) -> dict[Dataset, Path]:
    """Folders by data set; tests leave them as they are."""
    root = tmp_path_factory.mktemp("datasets")
    return {dataset: write_dataset(dataset, root / dataset) for dataset in DATASETS}


@pytest.fixture
def copy_of(originals: dict[Dataset, Path], tmp_path: Path) -> Callable[..., Path]:
    """A copy to spoil, under a name of one's own."""

    def copied(dataset: Dataset, name: str = "copy") -> Path:
        return shutil.copytree(originals[dataset], tmp_path / name)

    return copied
