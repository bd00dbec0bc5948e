"""Which images of a benchmark's scene are for training and which for testing, by its own layout.

Replica and ScanNet as Gaga reads them (``scene/dataset_readers.py``), LERF-Mask as Gaussian Grouping does, SPIn-NeRF's
scenes of removal as papers on inpainting do, Mip-NeRF 360 as everybody.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from proto_saga_ns.errors import ProtoSagaError

Benchmark = Literal["replica", "scannet", "lerf-mask", "spin-nerf", "mipnerf360"]
REPLICA_TRAIN, REPLICA_TEST = "train_rgb_", "test_rgb_"
SPLIT_FILES = ("train_split.txt", "test_split.txt")
"""Of ScanNet, for training and for testing."""
INTERVAL = 8
"""Of Mip-NeRF 360 every eighth image is for testing, the first one too."""
SPIN_NERF_LABELS = "images_*/label"
"""Where SPIn-NeRF's scenes of removal have the masks of the views that show the object."""

EXPECTED: dict[Benchmark, str] = {
    "replica": "images called train_rgb_* and test_rgb_*",
    "scannet": " and ".join(SPLIT_FILES),
    "lerf-mask": "a folder images_train beside images",
    "spin-nerf": "a folder images_4/label with masks of the object",
    "mipnerf360": "nothing but images and sparse/0",
}


def find_benchmark(folder: Path, images: Sequence[Path]) -> Benchmark:
    """The benchmark whose marks a folder bears.

    Raises:
        ProtoSagaError: it bears none.
    """
    if (folder / "images_train").is_dir():
        return "lerf-mask"
    if all((folder / name).is_file() for name in SPLIT_FILES):
        return "scannet"
    if images and all(path.name.startswith((REPLICA_TRAIN, REPLICA_TEST)) for path in images):
        return "replica"
    if labels_folder(folder) is not None:
        return "spin-nerf"
    raise ProtoSagaError(
        f"{folder} looks like none of the benchmarks. Expected one of: "
        + "; ".join(f"{what} ({name})" for name, what in EXPECTED.items() if name != "mipnerf360")
        + ". Mip-NeRF 360 bears no mark: --benchmark mipnerf360. For other data there is the data parser colmap."
    )


def is_test_image(benchmark: Benchmark, folder: Path, images: Sequence[Path]) -> list[bool | None]:
    """For each image whether it is for testing; None for one that is for nothing.

    Args:
        benchmark: whose layout the folder has.
        folder: of the scene.
        images: all that have a pose, in the order of their names.

    Raises:
        ProtoSagaError: what tells the splits apart is missing.
    """
    return _RULES[benchmark](folder, images)


def labels_folder(scene: Path) -> Path | None:
    """The folder of SPIn-NeRF's masks of views that show the object; None if it is no scene of removal."""
    return next((path for path in sorted(scene.glob(SPIN_NERF_LABELS)) if path.is_dir()), None)


def frames_in_split(folder: Path, file: str) -> list[str]:
    """Frames that a list of ScanNet's split names, in its order; none if there is no such list."""
    path = folder / file
    return path.read_text(encoding="utf-8", errors="replace").split() if path.is_file() else []


def replica_truth_name(stem: str) -> str:
    """File of the true instances of an image of Replica, by the image's stem."""
    return f"{stem.replace('_rgb_', '_semantic_instance_')}.png"


def _replica(folder: Path, images: Sequence[Path]) -> list[bool | None]:
    del folder
    return [_is_replica_test(path) for path in images]


def _is_replica_test(image: Path) -> bool | None:
    if image.name.startswith(REPLICA_TEST):
        return True
    return False if image.name.startswith(REPLICA_TRAIN) else None


def _scannet(folder: Path, images: Sequence[Path]) -> list[bool | None]:
    for name in SPLIT_FILES:
        if not (folder / name).is_file():
            raise ProtoSagaError(f"There is no {folder / name}, which lists the images of a split by name, one a line.")
    train, test = ({Path(frame).stem for frame in frames_in_split(folder, name)} for name in SPLIT_FILES)
    return [True if path.stem in test else False if path.stem in train else None for path in images]


def _lerf_mask(folder: Path, images: Sequence[Path]) -> list[bool | None]:
    training = folder / "images_train"
    stems = {path.stem for path in training.glob("*")}
    if not stems:
        raise ProtoSagaError(f"{training} holds no image; it tells which of {folder / 'images'} are for training.")
    return [path.stem not in stems for path in images]


def _spin_nerf(folder: Path, images: Sequence[Path]) -> list[bool | None]:
    labels = labels_folder(folder)
    if labels is None:
        raise ProtoSagaError(f"There is no {folder / 'images_4' / 'label'}; it tells which images show the object.")
    stems = {path.stem for path in labels.glob("*.png")}
    return [path.stem not in stems for path in images]


def _mip_nerf_360(folder: Path, images: Sequence[Path]) -> list[bool | None]:
    del folder
    order = sorted(range(len(images)), key=lambda index: images[index].name)
    test = set(order[::INTERVAL])
    return [index in test for index in range(len(images))]


_RULES: dict[Benchmark, Callable[[Path, Sequence[Path]], list[bool | None]]] = {
    "replica": _replica,
    "scannet": _scannet,
    "lerf-mask": _lerf_mask,
    "spin-nerf": _spin_nerf,
    "mipnerf360": _mip_nerf_360,
}
