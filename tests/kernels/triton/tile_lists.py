"""Views as gsplat's rasterization leaves them, made by the CPU's kernels: what kernels over tile lists are given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from proto_saga_ns.rasterize import rasterization
from proto_saga_ns.rasterize.project import Lens, Project
from proto_saga_ns.rasterize.sparse_channels import SparseChannels, TiledChannels
from proto_saga_ns.rasterize.tiles import Tiles, bin_splats
from tests.rasterize.scenes import random_scene

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
GEOMETRY = ("means", "quats", "scales", "opacities")


def on_device(function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """What a function of kernels gives on the GPU, or where there is none under the interpreter; of and to the CPU."""
    return _moved(function(*_moved(arguments, DEVICE), **options), "cpu")


def blended_on_device(sparse: SparseChannels, info: dict[str, Any]) -> TiledChannels:
    """The same of sparse channels in a view."""
    there = SparseChannels(sparse.labels.to(DEVICE), sparse.values.to(DEVICE), sparse.count)
    found = there.blended_by_triton(_moved(info, DEVICE))
    return replace(found, **_moved({name: getattr(found, name) for name in ("starts", "labels", "values")}, "cpu"))


def _moved(tree: Any, device: str) -> Any:
    return tree_map(lambda leaf: leaf.to(device) if isinstance(leaf, Tensor) else leaf, tree)


class OnGpu(Tensor):
    """A tensor of the CPU that says it is on a GPU."""

    @property
    def is_cuda(self) -> bool:  # type: ignore[override]
        return True

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        return torch.device("cuda", 0)


@dataclass(frozen=True)
class TiledView:
    """Gaussians sorted into the tiles of a view, and the same as gsplat's info has it."""

    splats: tuple[Tensor, Tensor, Tensor]
    tiles: Tiles
    info: dict[str, Any]

    @property
    def size(self) -> tuple[int, int]:
        return self.tiles.width, self.tiles.height

    @property
    def given(self) -> tuple[tuple[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]:
        """Splats and lists, as kernels take them."""
        return self.splats, (self.tiles.offsets, self.tiles.entries)


def tiled_view(scene: dict[str, Tensor], size: tuple[int, int]) -> TiledView:
    """The first view of a scene. gsplat's own lists are longer: it does not look where a Gaussian is too faint."""
    means, quats, scales, opacities = (scene[name] for name in GEOMETRY)
    lens = Lens(*size)
    means2d, conics, depths, _, radii = Project.apply(
        means, quats, scales, scene["viewmats"][:1], scene["Ks"][:1], lens
    )
    splats = (means2d[0], conics[0], opacities)
    tiles = bin_splats(*splats, depths[0], radii[0], *size)
    columns, rows = -(-size[0] // 16), -(-size[1] // 16)
    info = {
        **{"means2d": means2d, "conics": conics, "opacities": opacities[None], "n_cameras": 1, "gaussian_ids": None},
        **{"width": size[0], "height": size[1], "tile_size": 16, "tile_width": columns, "tile_height": rows},
        "isect_offsets": tiles.offsets[:-1].int().view(1, rows, columns),
        "flatten_ids": tiles.entries,
    }
    return TiledView(splats, tiles, info)


def gsplat_info(scene: dict[str, Tensor], size: tuple[int, int]) -> dict[str, Any]:
    """What gsplat's rasterization leaves of the first view, with the lists that its slow PyTorch code makes."""
    from gsplat.cuda._torch_impl import _isect_offset_encode, _isect_tiles

    info = rasterization(
        **{**scene, "viewmats": scene["viewmats"][:1], "Ks": scene["Ks"][:1]}, width=size[0], height=size[1]
    )[2]
    tiles = (info["tile_width"], info["tile_height"])
    _, isect_ids, flatten_ids = _isect_tiles(info["means2d"], info["radii"], info["depths"], 16, *tiles)
    return {**info, "flatten_ids": flatten_ids, "isect_offsets": _isect_offset_encode(isect_ids, 1, *tiles).int()}


def random_view(seed: int, count: int, size: tuple[int, int], walls: int = 0) -> tuple[TiledView, dict[str, Tensor]]:
    """Random Gaussians, some of which are large and opaque walls; and the scene that they are of."""
    scene = random_scene(count, size=size, seed=seed)
    scene["opacities"][:walls] = 1.0
    scene["scales"][:walls] = 1.0
    return tiled_view(scene, size), scene
