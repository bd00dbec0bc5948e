"""Whether training will hold out the views that the protocol holds out."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from proto_saga_ns.datasets.report import Finding

LISTS = ("train_list.txt", "val_list.txt", "test_list.txt")
"""Files in which nerfstudio's ``colmap`` data parser looks for the names of the images of each split."""


def check_split_lists(scene: Path, train: Collection[str], test: Collection[str]) -> list[Finding]:
    """A note if nerfstudio would not split a scene as the protocol does.

    Test views lie in ``images/`` beside the training views, and without lists nerfstudio trains on seven of eight.

    Args:
        train: names of the images to train on.
        test: names of those to evaluate on.
    """
    wanted = dict(zip(LISTS, (set(train), set(test), set(test)), strict=True))
    wrong = [name for name, images in wanted.items() if _listed(scene / name) != images]
    if not wrong or not test:
        return []
    return [
        Finding(
            "note",
            scene / wrong[0],
            "without these lists, nerfstudio's colmap parser holds out every eighth view and trains on test views",
            "Train with the data parser benchmark-data, which splits as the benchmark does. For other methods write "
            f"the {len(train)} names of training images into train_list.txt and the {len(test)} of test images into "
            "val_list.txt and test_list.txt, one a line, beside images/.",
        )
    ]


def _listed(file: Path) -> set[str]:
    if not file.is_file():
        return set()
    return {line for line in file.read_text(encoding="utf-8", errors="replace").splitlines() if line}
