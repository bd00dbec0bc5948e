"""One rasterization of colour and embedding together (Eqs. 2 and 5)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from proto_saga_ns.rasterize import rasterization, spherical_harmonics
from proto_saga_ns.rasterize.geometry import Geometry
from proto_saga_ns.rasterize.rasterization import rasterization_with_sparse
from proto_saga_ns.rasterize.sparse_channels import BlendedChannels, SparseChannels

if TYPE_CHECKING:
    from nerfstudio.cameras.cameras import Cameras


@dataclass(frozen=True)
class Gaussians:
    """N Gaussians as the rasterizer takes them, activations applied.

    Attributes:
        geometry: where they are and how much they cover.
        colors: SH coefficients of degree 0, or colours in [0, 1] where the scene has no spherical harmonics.
        harmonics: SH coefficients above degree 0; no rows where the scene has none.
        embeddings: D numbers each.
        votes: as sparse channels; None if they are not to be rendered.
        parts: membership of C parts (``scene/shown.py``) as sparse channels; None if they are not to be rendered.
    """

    geometry: Geometry
    colors: Float[Tensor, "N 3"]
    harmonics: Float[Tensor, "N K 3"]
    embeddings: Float[Tensor, "N D"]
    votes: SparseChannels | None = None
    parts: SparseChannels | None = None

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, Tensor], *, antialiased: bool = False) -> Gaussians:
        """From splatfacto's parameters (log scales, opacity logits, SH in two parts) and ``embeddings``."""
        constant, harmonics = parameters["features_dc"], parameters["features_rest"]
        scales, opacities = parameters["scales"].exp(), parameters["opacities"].sigmoid().squeeze(-1)
        return cls(
            Geometry(parameters["means"], parameters["quats"], scales, opacities, antialiased=antialiased),
            colors=constant if harmonics.shape[1] else constant.sigmoid(),
            harmonics=harmonics,
            embeddings=parameters["embeddings"],
        )

    def of(self, chosen: Bool[Tensor, " N"]) -> Gaussians:
        """Some of them."""
        votes = None if self.votes is None else self.votes[chosen]
        parts = None if self.parts is None else self.parts[chosen]
        colors, harmonics, embeddings = self.colors[chosen], self.harmonics[chosen], self.embeddings[chosen]
        return Gaussians(self.geometry.of(chosen), colors, harmonics, embeddings, votes, parts)


@dataclass(frozen=True)
class Rendered:
    """One view.

    Attributes:
        rgb: colours over black, before any background, not clamped.
        features: embeddings, alpha-blended.
        alpha: accumulated opacity.
        depth: expected depth along the camera's z axis; the largest depth where nothing was hit; None if not asked for.
        votes: alpha-blended; None if not asked for.
        parts: alpha-blended; None if not asked for.
    """

    rgb: Float[Tensor, "H W 3"]
    features: Float[Tensor, "H W D"]
    alpha: Float[Tensor, "H W 1"]
    depth: Float[Tensor, "H W 1"] | None = None
    votes: BlendedChannels | None = None
    parts: BlendedChannels | None = None

    def over(self, background: Float[Tensor, "*#size 3"]) -> Float[Tensor, "H W 3"]:
        """Colours in [0, 1] before a background."""
        return (self.rgb + (1 - self.alpha) * background).clamp(0, 1)


def view_dependent_colors(
    gaussians: Gaussians, viewmats: Float[Tensor, "1 4 4"], sh_degree: int | None
) -> Float[Tensor, "N 3"]:
    """Colours of the Gaussians as seen from the camera's centre; ``sh_degree`` None means plain colours."""
    if sh_degree is None:
        return gaussians.colors
    rotation, translation = viewmats[0, :3, :3], viewmats[0, :3, 3]
    directions = gaussians.geometry.means - (-rotation.T @ translation)
    colors = spherical_harmonics(sh_degree, directions, gaussians.colors[:, None], gaussians.harmonics)
    return (colors + 0.5).clamp_min(0.0)


def render(
    gaussians: Gaussians,
    view: CameraView,
    *,
    sh_degree: int | None,
    with_depth: bool,
    absgrad: bool = False,
    share_geometry_gradient: bool = True,
) -> tuple[Rendered, dict[str, Any]]:
    """Render colours, embeddings, opacity and perhaps depth of one view.

    Args:
        gaussians: what to render.
        view: from where.
        sh_degree: spherical harmonics in use; None for plain colours.
        with_depth: whether to render the expected depth as well.
        absgrad: whether ``info["means2d"]`` shall get ``absgrad`` in the backward pass.
        share_geometry_gradient: whether gradients of the features reach the geometry. If not, the embeddings are
            rasterized a second time with everything else detached.

    Returns:
        The view, and the rasterizer's info (of the pass that moves the geometry).
    """
    if len(gaussians.geometry) == 0:
        return _nothing(gaussians, view), {}
    camera = _camera(view)
    colors = view_dependent_colors(gaussians, view.viewmats, sh_degree)
    together = torch.cat([colors, gaussians.embeddings], dim=-1) if share_geometry_gradient else colors
    mode = "RGB+ED" if with_depth else "RGB"
    image, alpha, info, votes = rasterization_with_sparse(
        gaussians.votes, together, **gaussians.geometry.arguments, **camera, render_mode=mode, absgrad=absgrad
    )
    alpha, channels = alpha.squeeze(0), colors.shape[-1]
    # Split, not sliced: the gradient of a slice is a whole image, mostly of zeros.
    rgb, features, depths = image.squeeze(0).split([channels, together.shape[-1] - channels, int(with_depth)], dim=-1)
    if not share_geometry_gradient:
        still = gaussians.geometry.detach().arguments
        features = rasterization(**still, **camera, colors=gaussians.embeddings)[0].squeeze(0)
    depth = _filled_depth(depths, alpha) if with_depth else None
    return Rendered(rgb, features, alpha, depth, votes, _blended_parts(gaussians, camera)), info


def _blended_parts(gaussians: Gaussians, camera: dict[str, Any]) -> BlendedChannels | None:
    """In a pass of their own: a channel for each would take Gaussians x parts, and pixels x parts."""
    if gaussians.parts is None:
        return None
    geometry = gaussians.geometry.detach()
    blank = geometry.means.new_zeros(len(geometry), 1)
    return rasterization_with_sparse(gaussians.parts, blank, **geometry.arguments, **camera)[3]


def _camera(view: CameraView) -> dict[str, Any]:
    return {
        "viewmats": view.viewmats,
        "Ks": view.intrinsics,
        "width": view.width,
        "height": view.height,
        "packed": False,
    }


def _nothing(gaussians: Gaussians, view: CameraView) -> Rendered:
    """What a crop box without Gaussians shows."""
    blank = gaussians.geometry.means.new_zeros(view.height, view.width, 1)
    features = blank.expand(-1, -1, gaussians.embeddings.shape[-1])
    votes, parts = (
        None if sparse is None else blank.expand(-1, -1, sparse.count) for sparse in (gaussians.votes, gaussians.parts)
    )
    return Rendered(blank.expand(-1, -1, 3), features, blank, blank, votes, parts)


def _filled_depth(depth: Tensor, alpha: Tensor) -> Tensor:
    return torch.where(alpha > 0, depth, depth.detach().max())


@dataclass(frozen=True)
class CameraView:
    """A batch of one pinhole view.

    Attributes:
        viewmats: (1, 4, 4) world to camera, OpenCV axes (x right, y down, z forward).
        intrinsics: (1, 3, 3), in pixels of the image below.
        width: image width in pixels.
        height: image height in pixels.
    """

    viewmats: Float[Tensor, "1 4 4"]
    intrinsics: Float[Tensor, "1 3 3"]
    width: int
    height: int


def world_to_camera(camera_to_worlds: Float[Tensor, "C 3 4"]) -> Float[Tensor, "C 4 4"]:
    """Invert nerfstudio's poses (OpenGL axes: y up, z backward) into OpenCV world-to-camera matrices."""
    flip = camera_to_worlds.new_tensor([1.0, -1.0, -1.0])
    rotation = (camera_to_worlds[:, :3, :3] * flip).transpose(1, 2)
    translation = -rotation @ camera_to_worlds[:, :3, 3:4]
    last_row = camera_to_worlds.new_tensor([0.0, 0.0, 0.0, 1.0]).expand(len(rotation), 1, 4)
    return torch.cat([torch.cat([rotation, translation], dim=2), last_row], dim=1)


def camera_view(
    camera: Cameras, camera_to_worlds: Float[Tensor, "1 3 4"], downscale: int, device: torch.device
) -> CameraView:
    """The view of one camera at ``1 / downscale`` of its resolution.

    Args:
        camera: one camera, for its intrinsics.
        camera_to_worlds: its pose, perhaps corrected by the camera optimizer.
        downscale: integer factor of the resolution schedule.
        device: where the matrices shall live.
    """
    intrinsics = camera.get_intrinsics_matrices().to(device)
    scale = intrinsics.new_tensor([1 / downscale, 1 / downscale, 1.0])[:, None]
    width, height = int(camera.width.item()) // downscale, int(camera.height.item()) // downscale
    # A path that a person has written may be of whole numbers.
    poses = camera_to_worlds.to(device, intrinsics.dtype)
    return CameraView(world_to_camera(poses), intrinsics * scale, width, height)


def downscaled_labels(label_map: Int[Tensor, "H W"], factor: int) -> Int[Tensor, "h w"]:
    """Every ``factor``-th label, from cell centres, in the size that splatfacto's image downscaling gives."""
    if factor == 1:
        return label_map
    height, width = (size // factor * factor for size in label_map.shape)
    return label_map[factor // 2 : height : factor, factor // 2 : width : factor]
