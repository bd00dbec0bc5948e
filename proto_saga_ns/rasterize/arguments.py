"""What ``rasterization`` takes, checked once, and the steps that every backend shares."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.rasterize.geometry import Geometry
from proto_saga_ns.rasterize.project import Lens
from proto_saga_ns.rasterize.spherical_harmonics import spherical_harmonics

RenderMode = Literal["RGB", "D", "ED", "RGB+D", "RGB+ED"]
RENDER_MODES = ("RGB", "D", "ED", "RGB+D", "RGB+ED")
RASTERIZE_MODES = ("classic", "antialiased")
TILE = 16
ONLY_CUDA: dict[str, Any] = {
    "tile_size": TILE,
    "sparse_grad": False,
    "distributed": False,
    "camera_model": "pinhole",
    "covars": None,
}
"""Arguments of gsplat that only CUDA varies, and the value that they must keep here."""


def refuse_what_needs_cuda(**arguments: Any) -> None:
    """Raise a ``ProtoSagaError`` if one of ``ONLY_CUDA`` has another value."""
    for name, value in arguments.items():
        expected = ONLY_CUDA[name]
        if value is not expected and (expected is None or value != expected):
            raise ProtoSagaError(
                f"rasterization: {name}={value!r} needs CUDA tensors; the CPU kernels offer {expected!r}."
            )


@dataclass(frozen=True)
class Scene:
    """Gaussians and cameras, checked. Shapes as in ``rasterization``."""

    geometry: Geometry
    colors: Tensor
    viewmats: Float[Tensor, "C 4 4"]
    intrinsics: Float[Tensor, "C 3 3"]
    backgrounds: Float[Tensor, "C X"] | None
    lens: Lens
    sh_degree: int | None
    render_mode: RenderMode

    @property
    def has_color(self) -> bool:
        return self.render_mode.startswith("RGB")

    @property
    def has_depth(self) -> bool:
        return self.render_mode != "RGB"

    @property
    def depth_is_expected(self) -> bool:
        return self.render_mode.endswith("ED")

    def check(self, *, numbers: bool = True) -> None:
        """Raise a ``ProtoSagaError`` that names the first argument which does not fit.

        Checked are shapes, types and devices, the render mode, the image's size, and (unless ``numbers`` is False: the
        answer of a GPU must be waited for) NaN or infinite numbers.
        """
        if self.render_mode not in RENDER_MODES:
            raise ProtoSagaError(f"rasterization: render_mode {self.render_mode!r}, expected one of {RENDER_MODES}.")
        if self.lens.width < 1 or self.lens.height < 1 or self.lens.near_plane < 0:
            raise ProtoSagaError(
                f"rasterization: image of {self.lens.width}x{self.lens.height} pixels, near_plane "
                f"{self.lens.near_plane}; expected at least one pixel and no plane behind the camera."
            )
        tensors, means = self._check_shapes(), self.geometry.means
        for name, tensor in tensors.items():
            if (tensor.dtype, tensor.device) != (means.dtype, means.device):
                raise ProtoSagaError(
                    f"rasterization: {name} is {tensor.dtype} on {tensor.device}, means are "
                    f"{means.dtype} on {means.device}; they must be alike."
                )
            # A sum is NaN or infinite if an element is, and takes one pass.
            if numbers and not torch.isfinite(tensor.detach().sum()) and not torch.isfinite(tensor).all():
                raise ProtoSagaError(f"rasterization: {name} has NaN or infinite numbers.")

    def _check_shapes(self) -> dict[str, Tensor]:
        """All tensors by the name of their argument, of the right shapes."""
        geometry, count, views = self.geometry, len(self.geometry), len(self.viewmats)
        expected = {
            "means": (geometry.means, (count, 3)),
            "quats": (geometry.quats, (count, 4)),
            "scales": (geometry.scales, (count, 3)),
            "opacities": (geometry.opacities, (count,)),
            "viewmats": (self.viewmats, (views, 4, 4)),
            "Ks": (self.intrinsics, (views, 3, 3)),
        }
        if self.backgrounds is not None:
            channels = 3 if self.sh_degree is not None else self.colors.shape[-1]
            expected["backgrounds"] = (self.backgrounds, (views, channels))
        for name, (tensor, shape) in expected.items():
            if tensor.shape != shape:
                raise ProtoSagaError(f"rasterization: {name} has shape {tuple(tensor.shape)}, expected {shape}.")
        if views == 0:
            raise ProtoSagaError("rasterization: viewmats is empty, expected at least one camera.")
        self._check_colors(count, views)
        return {**{name: tensor for name, (tensor, _) in expected.items()}, "colors": self.colors}

    def _check_colors(self, count: int, views: int) -> None:
        shape = tuple(self.colors.shape)
        if self.sh_degree is None:
            fits = shape[:-1] in ((count,), (views, count))
            wanted = "(N, X) or (C, N, X)"
        else:
            fits = len(shape) in (3, 4) and shape[:-2] in ((count,), (views, count)) and shape[-1] == 3
            wanted = "(N, K, 3) or (C, N, K, 3) with sh_degree"
        if not fits:
            raise ProtoSagaError(f"rasterization: colors has shape {shape}, expected {wanted}; N={count}, C={views}.")

    def view_colors(self) -> Tensor:
        """Colours per view, (C, N, X); spherical harmonics evaluated towards each camera's centre."""
        views = len(self.viewmats)
        if self.sh_degree is None:
            return self.colors if self.colors.dim() == 3 else self.colors.expand(views, -1, -1)
        rotation, translation = self.viewmats[:, :3, :3], self.viewmats[:, :3, 3:]
        centers = -(rotation.transpose(1, 2) @ translation)[..., 0]
        directions = self.geometry.means - centers[:, None]
        coefficients = self.colors if self.colors.dim() == 4 else self.colors.expand(views, *self.colors.shape)
        return (spherical_harmonics(self.sh_degree, directions, coefficients) + 0.5).clamp_min(0.0)


Blender = Callable[[int, Tensor], tuple[Tensor, Tensor]]
"""(view, features (N, X)) -> image (H, W, X), alpha (H, W)."""


def compose(scene: Scene, depths: Tensor, blend: Blender) -> tuple[Tensor, Tensor]:
    """Blend what the render mode asks for in every view.

    Args:
        scene: the checked arguments.
        depths: (C, N).
        blend: one backend's way to blend.

    Returns:
        Images (C, H, W, X) and alphas (C, H, W, 1); the last channel is the depth if the mode has one.
    """
    batches = [scene.view_colors()] if scene.has_color else []
    if scene.has_depth:
        batches.append(depths[..., None])
    images, alphas = [], []
    for view, parts in enumerate(zip(*map(views_of, batches), strict=True)):
        image, alpha = blend(view, joined(parts))
        images.append(_finish(scene, view, image, alpha[..., None]))
        alphas.append(alpha[..., None])
    return stacked(images), stacked(alphas)


def views_of(batch: Tensor) -> tuple[Tensor, ...]:
    """The views of a batch. One alone is not sliced: the gradient of a slice is a whole batch, mostly of zeros."""
    return (batch.squeeze(0),) if len(batch) == 1 else batch.unbind()


def joined(parts: tuple[Tensor, ...] | list[Tensor]) -> Tensor:
    """Channels one after another; no copy of a single part."""
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=-1)


def stacked(views: list[Tensor]) -> Tensor:
    """A batch of views; no copy of a single one."""
    return views[0][None] if len(views) == 1 else torch.stack(views)


def _finish(scene: Scene, view: int, image: Tensor, alpha: Tensor) -> Tensor:
    """Lay the background under the colours and turn accumulated depth into expected depth."""
    color, depth = image.split([image.shape[-1] - scene.has_depth, int(scene.has_depth)], dim=-1)
    parts = []
    if scene.has_color:
        parts.append(color if scene.backgrounds is None else color + (1 - alpha) * scene.backgrounds[view])
    if scene.has_depth:
        parts.append(depth / alpha.clamp_min(1e-10) if scene.depth_is_expected else depth)
    return joined(parts)
