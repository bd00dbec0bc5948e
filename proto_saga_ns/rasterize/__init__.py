"""Rasterization of 3D Gaussians with gsplat's signature: gsplat itself on CUDA, our kernels on a CPU.

Frames: world to camera in OpenCV axes (x right, y down, z forward). Pixel centres lie at half-integers.
"""

from proto_saga_ns.rasterize.arguments import RenderMode
from proto_saga_ns.rasterize.rasterization import rasterization
from proto_saga_ns.rasterize.spherical_harmonics import spherical_harmonics

__all__ = ["RenderMode", "rasterization", "spherical_harmonics"]
