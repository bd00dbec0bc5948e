"""Rasterization of 3D Gaussians with gsplat's signature: gsplat itself on CUDA, our kernels on a CPU.

Frames: world to camera in OpenCV axes (x right, y down, z forward). Pixel centres lie at half-integers.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.rasterize.arguments import UNSUPPORTED, RenderMode, Scene
from proto_saga_ns.rasterize.project import Lens
from proto_saga_ns.rasterize.spherical_harmonics import spherical_harmonics

__all__ = ["RenderMode", "rasterization", "spherical_harmonics"]


def rasterization(
    means: Float[Tensor, "N 3"],
    quats: Float[Tensor, "N 4"],
    scales: Float[Tensor, "N 3"],
    opacities: Float[Tensor, " N"],
    colors: Float[Tensor, "..."],
    viewmats: Float[Tensor, "C 4 4"],
    Ks: Float[Tensor, "C 3 3"],
    width: int,
    height: int,
    near_plane: float = 0.01,
    far_plane: float = 1e10,
    radius_clip: float = 0.0,
    eps2d: float = 0.3,
    sh_degree: int | None = None,
    packed: bool = True,
    tile_size: int = 16,
    backgrounds: Float[Tensor, "C X"] | None = None,
    render_mode: RenderMode = "RGB",
    absgrad: bool = False,
    rasterize_mode: Literal["classic", "antialiased"] = "classic",
    backend: Literal["auto", "reference"] = "auto",
    **only_cuda: Any,
) -> tuple[Float[Tensor, "C H W X"], Float[Tensor, "C H W 1"], dict[str, Any]]:
    """Render N Gaussians into C views, differentiably; arguments and results as in gsplat 1.4's ``rasterization``.

    Args:
        means: centres, world frame.
        quats: orientations w, x, y, z; of any length.
        scales: standard deviations along the axes, world units.
        opacities: in [0, 1].
        colors: any number of channels, (N, X) or (C, N, X); with ``sh_degree``, coefficients (N, K, 3).
        viewmats: world to camera.
        Ks: pinhole intrinsics, pixels.
        width: of the images, pixels.
        height: of the images, pixels.
        near_plane: Gaussians nearer than this are dropped.
        far_plane: Gaussians farther than this are dropped.
        radius_clip: Gaussians of at most this many pixels are dropped.
        eps2d: blur added to every projected covariance, square pixels.
        sh_degree: degree of spherical harmonics in use; None if ``colors`` are colours.
        packed: memory layout on CUDA; results do not depend on it, the CPU has no use for it.
        tile_size: on CUDA; the CPU's tiles have 16 pixels.
        backgrounds: colours behind everything.
        render_mode: RGB, accumulated depth (D), expected depth (ED), or colours and one of these.
        absgrad: whether ``info["means2d"].absgrad`` shall be set by the backward pass.
        rasterize_mode: "antialiased" compensates opacities for the blur.
        backend: "reference" is the slow torch implementation, in any floating type.
        only_cuda: further arguments of gsplat; on a CPU they must keep gsplat's defaults.

    Returns:
        Images, accumulated opacities, and a dictionary with at least ``means2d`` (C, N, 2; a tensor whose gradient can
        be retained), ``radii``, ``depths`` (C, N), ``conics`` (C, N, 3), ``width``, ``height`` and ``n_cameras``.

    Raises:
        ProtoSagaError: for shapes that do not fit, NaN or infinite input, or what a CPU does not offer.
    """
    if means.is_cuda and backend == "auto":
        import gsplat

        return gsplat.rasterization(
            *(means, quats, scales, opacities, colors, viewmats, Ks, width, height),
            *(near_plane, far_plane, radius_clip, eps2d, sh_degree, packed, tile_size, backgrounds, render_mode),
            absgrad=absgrad,
            rasterize_mode=rasterize_mode,
            **only_cuda,
        )
    _check_only_cuda(only_cuda)
    scene = Scene(
        *(means, quats, scales, opacities, colors, viewmats, Ks, backgrounds),
        *(Lens(width, height, eps2d, near_plane, far_plane, radius_clip), sh_degree, render_mode),
        rasterize_mode == "antialiased",
    )
    scene.check()
    if backend == "reference":
        from proto_saga_ns.rasterize import reference

        return reference.rasterize(scene)
    from proto_saga_ns.rasterize import cpu

    if means.dtype != torch.float32:
        raise ProtoSagaError(f"rasterization: the CPU kernels take float32, not {means.dtype}.")
    return cpu.rasterize(scene, absgrad)


def _check_only_cuda(arguments: dict[str, Any]) -> None:
    for name, value in arguments.items():
        if name == "channel_chunk":
            continue
        if name not in UNSUPPORTED:
            raise TypeError(f"rasterization() got an unexpected keyword argument {name!r}")
        if value is not UNSUPPORTED[name] and value != UNSUPPORTED[name]:
            raise ProtoSagaError(f"rasterization: {name}={value!r} needs CUDA; the CPU kernels do not offer it.")
