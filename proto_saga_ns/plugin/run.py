"""Opening a training run: its configuration, its pipeline and its last checkpoint."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import yaml
from nerfstudio.engine.trainer import TrainerConfig
from nerfstudio.utils.eval_utils import eval_setup
from nerfstudio.utils.rich_utils import CONSOLE

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.kernels.memory import check_fits
from proto_saga_ns.labels.images import data_folder
from proto_saga_ns.labels.view_names import view_name
from proto_saga_ns.plugin.model.checkpoint import check_whole
from proto_saga_ns.plugin.old_names import accept_old_names
from proto_saga_ns.plugin.trainer import ProtoSagaTrainerConfig

if TYPE_CHECKING:
    from nerfstudio.cameras.cameras import Cameras
    from torch import Tensor

    from proto_saga_ns.plugin.model.proto_saga import ProtoSagaModel
    from proto_saga_ns.plugin.pipeline import ProtoSagaPipeline
    from proto_saga_ns.scene import SegmentedScene

Split = Literal["train", "test", "all"]


@dataclass(frozen=True)
class Run:
    """A training run, loaded for evaluation.

    Attributes:
        config: as it was trained, paths made to fit where the run lies now.
        pipeline: with the last checkpoint loaded.
        checkpoint: file of that checkpoint.
    """

    config: ProtoSagaTrainerConfig
    pipeline: ProtoSagaPipeline
    checkpoint: Path

    @property
    def model(self) -> ProtoSagaModel:
        """The model in evaluation mode."""
        return self.pipeline.model

    @property
    def data(self) -> Path:
        """Folder of the data set, absolute."""
        config: Any = self.pipeline.datamanager.dataparser.config
        return data_folder(config.data).resolve()

    @property
    def scene(self) -> SegmentedScene:
        """The segmentation in the checkpoint.

        Raises:
            ProtoSagaError: if the masks were not associated yet.
        """
        if self.model.scene is None:
            raise ProtoSagaError(
                f"{self.checkpoint} holds no segmentation yet: training ended before association. Resume it with "
                "ns-train ... --load-dir, or run `proto-saga associate --load-config` on it."
            )
        return self.model.scene

    def cameras(self, split: Split) -> Iterator[tuple[Path, Cameras, Tensor]]:
        """Image file, camera (undistorted) and image (H, W, 3, in [0, 1]) of every view of a split."""
        manager = self.pipeline.datamanager
        if split in ("train", "all"):
            yield from _views(manager.train_dataset, manager.cached_train)
        if split in ("test", "all"):
            yield from _views(manager.eval_dataset, manager.cached_eval)

    def named_cameras(self, split: Split) -> list[tuple[Path, Cameras, Tensor]]:
        """``cameras`` of a split in which every view has a name of its own, for files that are called like the images.

        Raises:
            ProtoSagaError: two views of the split have the same name.
        """
        views = list(self.cameras(split))
        counts = Counter(view_name(image) for image, _, _ in views)
        twice = next((name for name, count in counts.items() if count > 1), None)
        if twice is not None:
            raise ProtoSagaError(
                f"Two of the views are called {twice}; their files would have the same name. Choose one split: "
                "--split train or --split test."
            )
        return views


def _views(dataset: object, cached: list[dict[str, Tensor]]) -> Iterator[tuple[Path, Cameras, Tensor]]:
    for index, data in enumerate(cached):
        image = data["image"][..., :3]
        unit = image if image.is_floating_point() else image / 255
        yield Path(dataset.image_filenames[index]), dataset.cameras[index : index + 1], unit  # type: ignore


def load_run(load_config: Path, data: Path | None = None) -> Run:
    """Load the last checkpoint of a training run.

    Args:
        load_config: its ``config.yml``.
        data: where the data lies now, if it has moved since.

    Raises:
        ProtoSagaError: if the file is missing or of another method, or the run has no checkpoint or half of one.
    """
    config = read_config(load_config)
    check_is_ours(config, load_config)
    checkpoint = last_checkpoint(config, load_config)
    check_whole(checkpoint)
    size = checkpoint.stat().st_size
    check_fits(size, f"Opening {checkpoint} of {size:,} bytes", "Open it on a machine with more memory.")

    def moved_here(config: ProtoSagaTrainerConfig) -> ProtoSagaTrainerConfig:
        config.relative_model_dir = load_config.resolve().parent / config.relative_model_dir
        if data is not None:
            _move_data(config, data)
        return config

    config, pipeline, checkpoint, _ = eval_setup(load_config, update_config_callback=moved_here)  # type: ignore
    run = Run(config, pipeline, checkpoint)  # type: ignore[arg-type]
    if run.model.scene is not None and not run.model.scene.is_of(run.model.num_points):
        CONSOLE.print(
            f"Training went on after the segmentation in {checkpoint} was made, and there are other Gaussians now: "
            "its prototypes alone recognise things, until training ends or `proto-saga associate` has run again.",
            style="bold yellow",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
    return run


def _move_data(config: ProtoSagaTrainerConfig, data: Path) -> None:
    """Have a run read its data from another folder; masks that lay with the data have moved along."""
    manager: Any = config.pipeline.datamanager
    parser = manager.dataparser
    before = config.data or manager.data or parser.data
    if parser.mask_dir is not None and parser.mask_dir.is_relative_to(before):
        parser.mask_dir = data.resolve() / parser.mask_dir.relative_to(before)
    config.data = manager.data = parser.data = data


def read_config(load_config: Path) -> TrainerConfig:
    """The configuration of a nerfstudio run of any method.

    Raises:
        ProtoSagaError: the file is missing or something else.
    """
    if not load_config.is_file():
        raise ProtoSagaError(
            f"There is no configuration {load_config}. Give the config.yml that ns-train wrote, such as "
            "outputs/SCENE/proto-saga/DATE/config.yml."
        )
    accept_old_names()
    try:
        config = yaml.load(load_config.read_text(), Loader=yaml.Loader)
    except (yaml.YAMLError, UnicodeDecodeError, ImportError, AttributeError) as error:
        raise ProtoSagaError(f"{load_config} is not a nerfstudio configuration ({error}).") from error
    if not isinstance(config, TrainerConfig):
        raise ProtoSagaError(f"{load_config} is not a nerfstudio configuration (it holds a {type(config).__name__}).")
    return config


def is_ours(config: TrainerConfig) -> bool:
    """Whether proto-saga made a run."""
    return isinstance(config, ProtoSagaTrainerConfig)


def check_is_ours(config: TrainerConfig, load_config: Path) -> None:
    """Raise a ``ProtoSagaError`` if a run is of another method."""
    if not is_ours(config):
        raise ProtoSagaError(
            f"{load_config} is a run of {config.method_name}, not of proto-saga or proto-saga-lite. To segment a splat "
            f"that splatfacto trained, without training: proto-saga associate --load-config {load_config}."
        )


def last_checkpoint(config: TrainerConfig, load_config: Path) -> Path:
    """File of the last checkpoint of a run, wherever it lies now.

    Raises:
        ProtoSagaError: there is none.
    """
    folder = load_config.resolve().parent / config.relative_model_dir
    found = sorted(folder.glob("step-*.ckpt"))
    if not found:
        raise ProtoSagaError(
            f"{folder} holds no checkpoint (step-*.ckpt). The run was ended before it saved one; train it again."
        )
    return found[-1]
