"""Nerfstudio's trainer with checkpoints that survive a kill, a resume that finishes the schedule, and association."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nerfstudio.engine.trainer import Trainer, TrainerConfig
from nerfstudio.utils import writer
from nerfstudio.utils.rich_utils import CONSOLE

from proto_saga_ns.errors import ProtoSagaError, ctrl_c_ends_the_process, user_errors_end_the_process
from proto_saga_ns.files import check_output_folder
from proto_saga_ns.kernels.device import memory_errors_are_explained
from proto_saga_ns.kernels.library import threads
from proto_saga_ns.kernels.waiting import busy_machine
from proto_saga_ns.labels import named_mask_folder
from proto_saga_ns.labels.images import data_folder
from proto_saga_ns.plugin.model.checkpoint import find_checkpoint, restart
from proto_saga_ns.plugin.pipeline import ProtoSagaPipeline

STAGING_FOLDER = ".checkpoint_being_written"
LOCAL_HOST = "127.0.0.1"
LOGGERS = ("wandb", "comet_ml")
"""Packages that need an account."""
LESS_MEMORY = (
    "--pipeline.datamanager.cache-images cpu keeps the photos in main memory; a larger "
    "--pipeline.model.densify-grad-thresh makes fewer Gaussians; after the data parser, --downscale-factor 2 takes "
    "smaller images, which have fewer masks too."
)


@dataclass
class ProtoSagaTrainerConfig(TrainerConfig):
    """Nerfstudio's trainer; max-num-iterations counts all steps, those before a resume included."""

    _target: type = field(default_factory=lambda: ProtoSagaTrainer)

    def __setattr__(self, name: str, value: Any) -> None:
        """Keep the viewer on this machine: ns-viewer replaces the method's viewer options by its own defaults."""
        if name == "viewer" and not _host_was_given(sys.argv):
            value.websocket_host = LOCAL_HOST
        super().__setattr__(name, value)

    def save_config(self) -> None:
        """Save with absolute paths, so that viewer and renderer work from any folder."""
        with user_errors_end_the_process():
            self._check_devices()
            self.make_paths_absolute()
            check_output_folder(self.output_dir)
            try:
                super().save_config()
            except OSError as error:
                raise ProtoSagaError(
                    f"Cannot write the run to {self.get_base_dir()}: {error.strerror or error}. Choose a folder "
                    "that you may write to with --output-dir, or make room there."
                ) from error

    def _check_devices(self) -> None:
        """Before nerfstudio starts a process for each, of which one would wait for the others for ever."""
        if self.machine.device_type not in ("cpu", "cuda"):
            raise ProtoSagaError(
                f"--machine.device-type {self.machine.device_type}: splats are trained on cuda or cpu. Leave it out: "
                "what is there is taken."
            )
        devices, machines = self.machine.num_devices, self.machine.num_machines
        if devices * machines != 1:
            raise ProtoSagaError(
                f"--machine.num-devices {devices} and --machine.num-machines {machines}: a splat is trained on one "
                "device. Leave them out; CUDA_VISIBLE_DEVICES says which GPU it is."
            )

    def make_paths_absolute(self) -> None:
        """Of the output, the data and their masks.

        Raises:
            ProtoSagaError: there is no such folder of masks.
        """
        self.output_dir = self.output_dir.resolve()
        manager: Any = self.pipeline.datamanager
        parser = manager.dataparser
        if self.data is not None:
            self.data = manager.data = self.data.resolve()
        parser.data = (manager.data or parser.data).resolve()
        if parser.mask_dir is not None:
            parser.mask_dir = named_mask_folder(parser.mask_dir, data_folder(parser.data))


def _host_was_given(arguments: Sequence[str]) -> bool:
    """Whether the command line says where the viewer shall listen."""
    return any(word.replace("_", "-").startswith("--viewer.websocket-host") for word in arguments)


class ProtoSagaTrainer(Trainer):
    """Trains, then associates the masks and leaves the segmented scene in the checkpoint."""

    pipeline: ProtoSagaPipeline

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._saving = threading.Lock()

    def setup(self, test_mode: Any = "val") -> None:
        with user_errors_end_the_process(), ctrl_c_ends_the_process(lambda: "Masks that were made are kept."):
            # What is wrong is known before masks are made.
            if self.config.max_num_iterations < 1:
                raise ProtoSagaError(
                    f"--max-num-iterations {self.config.max_num_iterations} trains nothing: give 1 at least. To "
                    "associate the masks of a trained run again: proto-saga associate --load-config RUN/config.yml."
                )
            self._checkpoint()
            try:
                super().setup(test_mode)
            except Exception as error:
                if type(error).__module__.partition(".")[0] not in LOGGERS:
                    raise
                raise ProtoSagaError(
                    f"--vis {self.config.vis} cannot log: {error} Log in there as it says, or train without: "
                    "--vis viewer or --vis tensorboard."
                ) from error

    def _checkpoint(self) -> Path | None:
        return find_checkpoint(self.config.load_dir, self.config.load_step, self.config.load_checkpoint)

    def _load_checkpoint(self) -> None:
        from proto_saga_ns.plugin.model.associate import check_same_masks  # every ns-* process imports this module

        file, model = self._checkpoint(), self.pipeline.model
        folder = self.config.load_dir
        # By its file: nerfstudio takes every name in a folder for a checkpoint's.
        self.config.load_dir, self.config.load_checkpoint = None, file
        try:
            super()._load_checkpoint()
        except (ValueError, RuntimeError) as error:  # of torch, about sizes
            check_same_masks(model, self.pipeline.datamanager)
            raise ProtoSagaError(
                f"{file} does not fit this training: {error} Give the options and data that it was trained with."
            ) from error
        finally:
            self.config.load_dir, self.config.load_checkpoint = folder, None if folder else file
        if file is not None:
            check_same_masks(model, self.pipeline.datamanager)
        if model.is_imported_splat or model.is_untrained:
            restart(model.embeddings, model.config.embedding_init_scale)
            self._start_step = 0
            CONSOLE.print("Started from a plain splat: its Gaussians got fresh embeddings.")
        self.step = self._start_step - 1

    def train(self) -> None:
        """Train what is left of ``max_num_iterations``, then associate."""
        warning = busy_machine(threads()) if self.device == "cpu" else None
        if warning is not None:
            CONSOLE.print(f"[bold yellow]{warning}")
        total = self.config.max_num_iterations
        self.config.max_num_iterations = max(total - self._start_step, 0)
        if total <= self._start_step:
            CONSOLE.print(
                f"The checkpoint has {self._start_step} steps, which count towards --max-num-iterations {total}: none "
                "is left, and the masks are associated again."
            )
            writer.GLOBAL_BUFFER["step"] = self.step  # which its last line tells, and no step has set
        try:
            with (
                user_errors_end_the_process(),
                ctrl_c_ends_the_process(self._how_to_resume),
                memory_errors_are_explained("training", lambda: f"{LESS_MEMORY} {self._how_to_resume()}"),
            ):
                super().train()
        finally:
            self.config.max_num_iterations = total

    def _after_train(self) -> None:
        self.save_checkpoint(self.step)
        CONSOLE.print("Training is done and saved; associating the masks of all views.")
        with self.train_lock:  # the viewer may be rendering
            self.pipeline.associate()
        self.pipeline.objects_panel.scene_changed()
        super()._after_train()
        config = self.base_dir / "config.yml"
        CONSOLE.print(f"The run is saved. Go on with:\n{next_commands(config)}", soft_wrap=True, markup=False)
        if self.viewer_state is not None and not self.config.viewer.quit_on_train_completion:
            self._wait_with_viewer()

    def _wait_with_viewer(self) -> None:
        """Keep the viewer open until Ctrl-C, which is the good end of a run."""
        CONSOLE.print(
            "The viewer stays open; Ctrl-C ends it. Next time without waiting: --viewer.quit-on-train-completion True."
        )
        with suppress(KeyboardInterrupt):
            super()._train_complete_viewer()

    def _train_complete_viewer(self) -> None:
        """Nothing: the base would wait here, before what is next was said."""

    def _how_to_resume(self) -> str:
        last = max(self.checkpoint_dir.glob("step-*.ckpt"), default=None)
        if last is None:
            return "No checkpoint had been written yet; the same command begins anew."
        return f"{last} is whole. The same command with --load-dir {self.checkpoint_dir} goes on from there."

    def save_checkpoint(self, step: int) -> None:
        """Write a checkpoint so that a kill at any moment leaves the last whole one in place.

        The viewer may call this from another thread.

        Raises:
            ProtoSagaError: if it cannot be written, for instance because the disk is full.
        """
        with self._saving:
            self._save_checkpoint(step)

    def _save_checkpoint(self, step: int) -> None:
        final_dir, staging = self.checkpoint_dir, self.base_dir / STAGING_FOLDER
        shutil.rmtree(staging, ignore_errors=True)
        self.checkpoint_dir = staging
        try:
            super().save_checkpoint(step)
        except (OSError, RuntimeError) as error:
            shutil.rmtree(staging, ignore_errors=True)
            raise ProtoSagaError(
                f"The checkpoint of step {step} could not be written to {final_dir} ({error}). Checkpoints written "
                "before are still whole; make room or choose another --output-dir, then resume with --load-dir."
            ) from error
        finally:
            self.checkpoint_dir = final_dir
        for written in staging.glob("*.ckpt"):
            publish(written, final_dir, keep_others=not self.config.save_only_latest_checkpoint)
        shutil.rmtree(staging, ignore_errors=True)


def publish(written: Path, folder: Path, keep_others: bool) -> None:
    """Move a finished checkpoint into ``folder`` in one step, then delete the ones that it replaces."""
    folder.mkdir(parents=True, exist_ok=True)
    with written.open("rb") as file:
        os.fsync(file.fileno())
    target = folder / written.name
    os.replace(written, target)
    if not keep_others:
        for old in set(folder.glob("*.ckpt")) - {target}:
            old.unlink()


def next_commands(config: Path) -> str:
    """Commands that show a run and take it apart, one a line.

    Args:
        config: its config.yml; named from the current folder if it lies in there.
    """
    place = config.resolve()
    shown = shlex.quote(str(place.relative_to(Path.cwd()) if place.is_relative_to(Path.cwd()) else place))
    return (
        f"  ns-viewer --load-config {shown}\n"
        f"  proto-saga segment --load-config {shown} --output-dir maps\n"
        f"  proto-saga export --load-config {shown} --output-dir objects"
    )
