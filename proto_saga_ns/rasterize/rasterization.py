"""``rasterization`` with gsplat's signature, and what it gives with sparse channels beside the dense ones."""

from __future__ import annotations

from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.kernels.gsplat_code import load_gsplat
from proto_saga_ns.kernels.triton.door import runs_on
from proto_saga_ns.rasterize.arguments import RASTERIZE_MODES, RenderMode, Scene, refuse_what_needs_cuda
from proto_saga_ns.rasterize.geometry import Geometry
from proto_saga_ns.rasterize.project import Lens
from proto_saga_ns.rasterize.sparse_channels import BlendedChannels, SparseChannels

WITHOUT_TRITON = "Segmenting a view takes a picture with a channel for each instance: slower, and much more memory."


def rasterization(
    means: Float[Tensor, "N 3"],
    quats: Float[Tensor, "N 4"],
    scales: Float[Tensor, "N 3"],
    opacities: Float[Tensor, " N"],
    colors: Float[Tensor, "N X"] | Float[Tensor, "N K 3"] | Float[Tensor, "C N X"],
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
    sparse_grad: bool = False,
    absgrad: bool = False,
    rasterize_mode: Literal["classic", "antialiased"] = "classic",
    channel_chunk: int = 32,
    distributed: bool = False,
    camera_model: Literal["pinhole", "ortho", "fisheye"] = "pinhole",
    covars: Float[Tensor, "N 3 3"] | None = None,
    *,
    sparse: SparseChannels | None = None,
    backend: Literal["auto", "reference"] = "auto",
) -> tuple[Float[Tensor, "C {height} {width} Y"], Float[Tensor, "C {height} {width} 1"], dict[str, Any]]:
    """Render N Gaussians into C views, differentiably, with the arguments and results of gsplat 1.4.

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
        packed: memory layout on CUDA; the CPU's info is never packed.
        tile_size: pixels; 16 on a CPU.
        backgrounds: colours behind everything.
        render_mode: RGB, accumulated depth (D), expected depth (ED), or colours and one of these.
        sparse_grad: CUDA only.
        absgrad: whether ``info["means2d"].absgrad`` shall be set by the backward pass.
        rasterize_mode: "antialiased" compensates opacities for the blur.
        channel_chunk: channels in one pass on CUDA; results do not depend on it.
        distributed: CUDA only.
        camera_model: pinhole on a CPU.
        covars: CUDA only.
        sparse: channels that are blended as well, without gradients, by the CPU kernels only; anywhere by
            ``rasterization_with_sparse``.
        backend: "reference" is the slow torch implementation, in any floating type.

    Returns:
        Images, accumulated opacities, and a dictionary with at least ``means2d`` (C, N, 2; a tensor whose
        gradient can be retained), ``radii``, ``depths`` (C, N), ``conics`` (C, N, 3), ``width``, ``height``
        and ``n_cameras``; with sparse channels also ``sparse``, a ``TiledChannels`` for each view.

    Raises:
        ProtoSagaError: for shapes that do not fit, NaN or infinite input, or what a CPU does not offer.
    """
    if sparse is not None and (means.is_cuda or backend == "reference"):
        raise ProtoSagaError("rasterization: only the CPU kernels take sparse channels; see rasterization_with_sparse.")
    if sparse is not None and len(sparse.labels) != len(means):
        raise ProtoSagaError(f"rasterization: sparse of {len(sparse.labels)} Gaussians, means of {len(means)}.")
    if means.is_cuda and backend == "auto":
        return load_gsplat().rasterization(
            means=means,
            quats=quats,
            scales=scales,
            opacities=opacities,
            colors=colors,
            viewmats=viewmats,
            Ks=Ks,
            width=width,
            height=height,
            near_plane=near_plane,
            far_plane=far_plane,
            radius_clip=radius_clip,
            eps2d=eps2d,
            sh_degree=sh_degree,
            packed=packed,
            tile_size=tile_size,
            backgrounds=backgrounds,
            render_mode=render_mode,
            sparse_grad=sparse_grad,
            absgrad=absgrad,
            rasterize_mode=rasterize_mode,
            channel_chunk=channel_chunk,
            distributed=distributed,
            camera_model=camera_model,
            covars=covars,
        )
    refuse_what_needs_cuda(
        tile_size=tile_size,
        sparse_grad=sparse_grad,
        distributed=distributed,
        camera_model=camera_model,
        covars=covars,
    )
    if rasterize_mode not in RASTERIZE_MODES:
        raise ProtoSagaError(f"rasterization: rasterize_mode {rasterize_mode!r}, expected one of {RASTERIZE_MODES}.")
    scene = Scene(
        Geometry(means, quats, scales, opacities, antialiased=rasterize_mode == "antialiased"),
        *(colors, viewmats, Ks, backgrounds),
        *(Lens(width, height, eps2d, near_plane, far_plane, radius_clip), sh_degree, render_mode),
    )
    scene.check()
    if backend == "reference":
        from proto_saga_ns.rasterize import reference

        return reference.rasterize(scene)
    from proto_saga_ns.rasterize import cpu

    if means.dtype != torch.float32 or means.device.type != "cpu":
        raise ProtoSagaError(
            f"rasterization: the kernels take float32 tensors on the CPU, these are {means.dtype} on {means.device}."
        )
    return cpu.rasterize(scene, absgrad, sparse)


def rasterization_with_sparse(
    sparse: SparseChannels | None,
    colors: Float[Tensor, "N X"],
    *,
    backend: Literal["auto", "reference"] = "auto",
    **others: Any,
) -> tuple[Float[Tensor, "1 H W Y"], Float[Tensor, "1 H W 1"], dict[str, Any], BlendedChannels | None]:
    """``rasterization`` of one view, and the sparse channels in it (None if there are none), without gradients.

    They are tiled where kernels blend them: on the CPU, and on CUDA with Triton, where the layout is never packed.

    Args:
        sparse: of the Gaussians, on the device of the colours.
        colors: as in ``rasterization``; not spherical harmonics.
        backend: as in ``rasterization``.
        others: its other arguments.
    """
    if sparse is None:
        return *rasterization(colors=colors, backend=backend, **others), None
    if backend == "reference" or (colors.is_cuda and not runs_on(colors.device, WITHOUT_TRITON)):
        return _rasterized_as_channels(sparse, colors, backend=backend, **others)
    if colors.is_cuda:
        image, alpha, info = rasterization(colors=colors, **{**others, "packed": False})
        return image, alpha, info, sparse.blended_by_triton(info)
    image, alpha, info = rasterization(colors=colors, sparse=sparse, **others)
    return image, alpha, info, info["sparse"][0]


def _rasterized_as_channels(
    sparse: SparseChannels, colors: Tensor, **others: Any
) -> tuple[Tensor, Tensor, dict[str, Any], Tensor]:
    together = torch.cat([sparse.dense().to(colors), colors], dim=-1)
    image, alpha, info = rasterization(colors=together, **others)
    blended, image = image.split([sparse.count, image.shape[-1] - sparse.count], dim=-1)
    return image, alpha, info, blended[0].detach()
