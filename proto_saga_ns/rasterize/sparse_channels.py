"""A few labelled channels of each Gaussian, blended into a view.

They are what one channel for each label would be. But a Gaussian has few of them, and few labels occur in one place:
the kernels blend no more than that. Those of the CPU do it in the same pass as the other channels; those of CUDA follow
gsplat's rasterization over its tile lists. Without kernels they are channels.

A newer gsplat that blends further channels in its pass (``extra_signals``) still wants one for each label.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from jaxtyping import Bool, Float, Float32, Int, Int32, Int64, Shaped
from torch import Tensor
from torch.nn import functional as F

from proto_saga_ns.kernels import sparse_channels as kernels
from proto_saga_ns.kernels.library import pointers
from proto_saga_ns.rasterize.arguments import TILE
from proto_saga_ns.rasterize.tiles import Tiles, tiles_of_gsplat

PIXELS = TILE * TILE
BLOCK = 4
"""Pixels along a side of what the kernels blend at once; see csrc/tile.h."""


@dataclass(frozen=True, eq=False)
class SparseChannels:
    """Those of N Gaussians, at most F each, of T labels.

    Attributes:
        labels: which channel, in [0, T); -1 for none.
        values: of the channel; all other channels are 0.
        count: T.
    """

    labels: Int32[Tensor, "N F"]
    values: Float32[Tensor, "N F"]
    count: int

    def __post_init__(self) -> None:
        if self.labels.shape != self.values.shape or self.labels.ndim != 2:
            raise ValueError(f"labels are {tuple(self.labels.shape)}, values {tuple(self.values.shape)}")

    def __getitem__(self, chosen: Bool[Tensor, " N"]) -> SparseChannels:
        """Those of some of the Gaussians."""
        return SparseChannels(self.labels[chosen], self.values[chosen], self.count)

    def placed(self, tiles: Tiles) -> PlacedChannels:
        """The same where the kernels find them, with room for what comes of them in a view."""
        return PlacedChannels(SparseChannels(self.labels.contiguous(), self.values.contiguous(), self.count), tiles)

    def blended_by_triton(self, info: Mapping[str, Any]) -> TiledChannels:
        """The same in the view that gsplat's rasterization left this info of; see ``tiles_of_gsplat``."""
        from proto_saga_ns.kernels.triton.sparse_channels import blend

        splats, tiles = tiles_of_gsplat(info)
        size = (tiles.width, tiles.height)
        found = blend(splats, (tiles.offsets, tiles.entries), self.labels, self.values, self.count, size)
        return TiledChannels(*found, self.count, *size)

    def dense(self) -> Float32[Tensor, "N T"]:
        """The same with a number for each label."""
        columns = self.labels.long().masked_fill(self.labels < 0, self.count)  # one more column, for none
        every = self.values.new_zeros(len(self.labels), self.count + 1)
        return every.scatter_add_(1, columns, self.values)[:, :-1].contiguous()


@dataclass(frozen=True, eq=False)
class TiledChannels:
    """Sparse channels that kernels blended into a view, for the labels that occur in each tile.

    Attributes:
        starts: number of labels in the tiles before.
        labels: in [0, T), tile by tile, each once, in any order.
        values: one for each pixel of the tile and label of it, block by block; see csrc/sparse_channels.h.
        count: T.
        width: of the view in pixels.
        height: of the view in pixels.
    """

    starts: Int64[Tensor, " starts"]
    labels: Int32[Tensor, " L"]
    values: Float32[Tensor, " V"]
    count: int
    width: int
    height: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """H, W, T."""
        return self.height, self.width, self.count

    def dense(self) -> Float32[Tensor, "H W T"]:
        """A number for each pixel and label."""
        rows, columns = self._grid
        tiles, values = _by_label(self.starts, self.values)
        every = self.values.new_zeros(rows * columns, PIXELS, self.count)
        pixels = torch.arange(PIXELS, device=self.values.device)
        every[tiles[:, None], pixels, self.labels.long()[:, None]] = values
        return self._untiled(every)

    def strongest_own(self, group_of_label: Int[Tensor, " T"], groups: Int[Tensor, "H W"]) -> Int64[Tensor, "H W"]:
        """As ``strongest_own`` below, a row of tiles at a time: with no number for each pixel and label."""
        _, columns = self._grid
        rows = zip(*(part.split(columns) for part in (self._tiled(groups), self.starts[:-1])), strict=True)
        found = []
        for (own, starts), (first, last) in zip(rows, pairwise(self.starts[::columns].tolist()), strict=True):
            labels, values = self.labels[first:last].long(), self.values[PIXELS * first : PIXELS * last]
            tiles, values = _by_label(F.pad(starts - first, (0, 1), value=last - first), values)
            values = values.where(group_of_label[labels][:, None] == own[tiles], 0.0)
            found.append(_strongest(tiles, labels, values, len(own)))
        return self._untiled(torch.cat(found)[..., None])[..., 0]

    @property
    def _grid(self) -> tuple[int, int]:
        """Rows and columns of tiles."""
        return -(-self.height // TILE), -(-self.width // TILE)

    def _untiled(self, every: Shaped[Tensor, "tiles 256 C"]) -> Shaped[Tensor, "H W C"]:
        """A picture of what is given tile by tile and block by block."""
        (rows, columns), across = self._grid, TILE // BLOCK
        tiled = every.view(rows, columns, across, across, BLOCK, BLOCK, -1)
        image = tiled.permute(0, 2, 4, 1, 3, 5, 6).reshape(rows * TILE, columns * TILE, every.shape[-1])
        return image[: self.height, : self.width]

    def _tiled(self, image: Int[Tensor, "H W"]) -> Int[Tensor, "tiles 256"]:
        """What ``_untiled`` makes a picture of; -1 beyond its borders."""
        (rows, columns), across = self._grid, TILE // BLOCK
        padding = (0, columns * TILE - self.width, 0, rows * TILE - self.height)
        tiled = F.pad(image, padding, value=-1).view(rows, across, BLOCK, columns, across, BLOCK)
        return tiled.permute(0, 3, 1, 4, 2, 5).reshape(rows * columns, PIXELS)

    def __getitem__(self, place: tuple[int, int]) -> Float32[Tensor, " T"]:
        """Values in one pixel (row, column)."""
        row, column = place
        tile = row // TILE * -(-self.width // TILE) + column // TILE
        start, end = self.starts[tile : tile + 2].tolist()
        block = row % TILE // BLOCK * (TILE // BLOCK) + column % TILE // BLOCK
        lane = row % BLOCK * BLOCK + column % BLOCK
        first = PIXELS * start + BLOCK**2 * block * (end - start) + lane
        found = self.values.new_zeros(self.count)
        found[self.labels[start:end].long()] = self.values[first :: BLOCK**2][: end - start]
        return found


def _by_label(
    starts: Int64[Tensor, " starts"], values: Float32[Tensor, " V"]
) -> tuple[Int64[Tensor, " E"], Float32[Tensor, "E 256"]]:
    """For each label of each tile: the tile, and the values of its pixels, block by block."""
    numbers, per_tile = starts.diff(), PIXELS // BLOCK**2
    tiles = torch.arange(len(numbers), device=values.device).repeat_interleave(numbers)
    # Values lie as (block, label, lane) in each tile: where does each label's block begin?
    own, before = torch.arange(len(tiles), device=values.device), starts[tiles]
    first = own - before + per_tile * before
    places = first[:, None] + torch.arange(per_tile, device=values.device) * numbers[tiles][:, None]
    return tiles, values.view(per_tile * len(tiles), BLOCK**2)[places].flatten(1)


def _strongest(
    tiles: Int64[Tensor, " E"], labels: Int64[Tensor, " E"], values: Float32[Tensor, "E 256"], count: int
) -> Int64[Tensor, "count 256"]:
    """For each pixel of ``count`` tiles the label with the largest value; -1 where none is above 0."""
    place, none = tiles[:, None].expand_as(values), torch.iinfo(torch.int64).max
    most = values.new_zeros(count, PIXELS).scatter_reduce_(0, place, values, "amax")
    winning = labels[:, None].where((values > 0) & (values == most[tiles]), none)
    least = torch.full_like(most, none, dtype=torch.int64).scatter_reduce_(0, place, winning, "amin")
    return least.where(least < none, -1)


class PlacedChannels:
    """Sparse channels on their way into a view: ``blended`` is to be written to."""

    def __init__(self, channels: SparseChannels, tiles: Tiles) -> None:
        self._channels = channels
        self._struct = kernels.channels_struct(channels.labels, channels.values, channels.count)
        starts = kernels.place(self._struct, tiles.offsets, tiles.entries, tiles.width, tiles.height)
        total = int(starts[-1])
        labels, values = torch.empty(total, dtype=torch.int32), torch.empty(PIXELS * total)
        self.blended = TiledChannels(starts, labels, values, channels.count, tiles.width, tiles.height)

    @property
    def arguments(self) -> tuple[Any, Any]:
        """Pointers for the kernel: what to blend, and where to."""
        found = self.blended
        return ctypes.byref(self._struct), pointers(found.starts, found.labels, found.values)


BlendedChannels = Float[Tensor, "H W T"] | TiledChannels
"""What comes of sparse channels in a view."""


def strongest_own(
    blended: BlendedChannels | Float[Tensor, "*shape T"],
    group_of_label: Int[Tensor, " T"],
    groups: Int[Tensor, "*shape"],
) -> Int64[Tensor, "*shape"]:
    """For each pixel the label with the largest value among those of the pixel's own group.

    The smallest among equals; -1 where no label of the group is above 0.

    Args:
        blended: sparse channels in a view, or a number for each pixel and label.
        group_of_label: to which each label belongs.
        groups: of the pixels.
    """
    if isinstance(blended, TiledChannels):
        return blended.strongest_own(group_of_label, groups)
    values, labels = blended.where(group_of_label == groups[..., None], 0.0).max(dim=-1)
    return labels.where(values > 0, -1)
