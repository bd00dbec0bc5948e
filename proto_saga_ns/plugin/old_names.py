"""Where the classes of runs of version 0.1 are now: their ``config.yml`` names them by module.

Nerfstudio's commands read that file before anything of ours could change it, so the old modules stand in
``sys.modules``, empty but for what they hand on.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import Any

MOVED = {
    "proto_saga_ns.data.datamanager": "proto_saga_ns.plugin.data.datamanager",
    "proto_saga_ns.data.dataparsers": "proto_saga_ns.plugin.data.dataparsers",
    "proto_saga_ns.model.model_config": "proto_saga_ns.plugin.model.proto_saga",
    "proto_saga_ns.model.options": "proto_saga_ns.plugin.model.options",
    "proto_saga_ns.model.pipeline": "proto_saga_ns.plugin.pipeline",
    "proto_saga_ns.model.proto_saga": "proto_saga_ns.plugin.model.proto_saga",
    "proto_saga_ns.model.trainer": "proto_saga_ns.plugin.trainer",
    "proto_saga_ns.segmenters.mask_generation": "proto_saga_ns.masks.segmenters.mask_generation",
    "proto_saga_ns.segmenters.sam": "proto_saga_ns.masks.segmenters.sam",
    "proto_saga_ns.segmenters.sam2": "proto_saga_ns.masks.segmenters.sam2",
    "proto_saga_ns.segmenters.superpixel": "proto_saga_ns.masks.segmenters.superpixel",
}


class MovedModule(ModuleType):
    """Has what another module has, which is imported when something is asked for."""

    def __init__(self, name: str, now: str) -> None:
        super().__init__(name, f"Moved to {now}.")
        self._now = now

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(import_module(self._now), name)


def accept_old_names() -> None:
    """Let configurations of earlier runs be read."""
    for name, now in MOVED.items():
        sys.modules.setdefault(name, MovedModule(name, now))
