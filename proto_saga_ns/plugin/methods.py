"""The methods that nerfstudio finds through this package's entry points.

Every ``ns-*`` process imports this module, whatever its method, and an exception here would break them all: nothing
optional is imported, and nothing slow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nerfstudio.cameras.camera_optimizers import CameraOptimizerConfig
from nerfstudio.configs.base_config import LoggingConfig, MachineConfig, ViewerConfig
from nerfstudio.engine.optimizers import AdamOptimizerConfig
from nerfstudio.engine.schedulers import ExponentialDecaySchedulerConfig
from nerfstudio.plugins.types import MethodSpecification

from proto_saga_ns import console, library_warnings
from proto_saga_ns.kernels.device import has_gpu
from proto_saga_ns.plugin.data.datamanager import ProtoSagaDatamanagerConfig
from proto_saga_ns.plugin.model.checkpoint import allow_numpy_scalars
from proto_saga_ns.plugin.model.proto_saga import ProtoSagaModelConfig
from proto_saga_ns.plugin.old_names import accept_old_names
from proto_saga_ns.plugin.pipeline import ProtoSagaPipelineConfig
from proto_saga_ns.plugin.trainer import ProtoSagaTrainerConfig

library_warnings.silence()
accept_old_names()
console.replace_in_nerfstudio()
allow_numpy_scalars()  # Nerfstudio's scheduler states hold one.


@dataclass
class FusedAdamOptimizerConfig(AdamOptimizerConfig):
    """Adam that takes all of a parameter in one pass over memory, a quarter of the time; on CUDA in one kernel.

    PyTorch takes its parameters for contiguous without a look: ``ProtoSagaModel.populate_modules`` sees to it.
    """

    fused: bool = True


def optimizers(steps: int, embeddings_lr: float, classifiers_lr: float) -> dict[str, Any]:
    """Splatfacto's optimizers, their schedules stretched to ``steps``, and those of the segmentation."""

    def adam(lr: float, lr_final: float | None = None) -> dict[str, Any]:
        decay = ExponentialDecaySchedulerConfig(lr_final=lr_final, max_steps=steps) if lr_final else None
        return {"optimizer": FusedAdamOptimizerConfig(lr=lr, eps=1e-15), "scheduler": decay}

    return {
        "means": adam(1.6e-4, 1.6e-6),
        "features_dc": adam(2.5e-3),
        "features_rest": adam(2.5e-3 / 20),
        "opacities": adam(5e-2),
        "scales": adam(5e-3),
        "quats": adam(1e-3),
        "embeddings": adam(embeddings_lr),
        "view_classifiers": adam(classifiers_lr),
        "camera_opt": adam(1e-4, 5e-7),
        "bilateral_grid": adam(2e-3, 1e-4),
    }


def trainer(name: str, steps: int, model: ProtoSagaModelConfig, rates: tuple[float, float]) -> Any:
    """A training configuration of ``steps`` steps; ``rates`` are those of embeddings and view classifiers."""
    return ProtoSagaTrainerConfig(
        method_name=name,
        machine=MachineConfig(device_type="cuda" if has_gpu() else "cpu"),
        steps_per_save=min(2000, steps // 3),
        steps_per_eval_batch=0,
        steps_per_eval_image=max(steps // 30, 1),
        steps_per_eval_all_images=max(steps // 3, 1),
        max_num_iterations=steps,
        mixed_precision=False,
        pipeline=ProtoSagaPipelineConfig(
            datamanager=ProtoSagaDatamanagerConfig(cache_images_type="uint8"), model=model
        ),
        optimizers=optimizers(steps, *rates),
        # Its table of durations would be the last thing that is said, after what to do next.
        logging=LoggingConfig(profiler="none"),
        viewer=ViewerConfig(num_rays_per_chunk=1 << 15, websocket_host="127.0.0.1"),
        vis="viewer",
    )


proto_saga = MethodSpecification(
    config=trainer(
        "proto-saga",
        30_000,
        ProtoSagaModelConfig(camera_optimizer=CameraOptimizerConfig(mode="off")),
        rates=(2.5e-3, 5e-4),
    ),
    description="Proto-SaGa: splatfacto that takes the scene apart into its objects, from 2D masks.",
)

proto_saga_lite = MethodSpecification(
    config=trainer(
        "proto-saga-lite",
        3_000,
        ProtoSagaModelConfig(
            warmup_length=400,
            resolution_schedule=400,
            num_downscales=1,
            sh_degree_interval=500,
            densify_grad_thresh=0.002,
            stop_split_at=1_500,
            # At the size of a quick look most Gaussians are wider than 5 % of the image: splitting them all for that
            # alone multiplies their number by eight within three refinements.
            stop_screen_size_at=0,
        ),
        rates=(2.5e-3, 5e-4),
    ),
    description="Proto-SaGa in 3,000 steps, for a CPU or a quick look.",
)
