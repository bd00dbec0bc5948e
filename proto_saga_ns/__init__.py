"""Take a 3D Gaussian Splatting scene apart into its objects.

The names below are loaded when they are asked for: importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from proto_saga_ns.plugin.model.views import segment_view
    from proto_saga_ns.plugin.run import load_run
    from proto_saga_ns.rasterize import rasterization
    from proto_saga_ns.scene import SegmentedScene

__all__ = ["SegmentedScene", "__version__", "load_run", "rasterization", "segment_view"]
__version__ = "0.1.0"

_MODULES = {
    "SegmentedScene": "scene",
    "load_run": "plugin.run",
    "rasterization": "rasterize",
    "segment_view": "plugin.model.views",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
