"""Peaks of GPU memory, without a GPU: tensors of full size that hold no data, and say what they would take.

Prints a Markdown table: a training step, the segmentation of a view by votes and prototypes, and the contributions of
its Gaussians to its labels (association), for some numbers of masks in the view. All that torch allocates counts,
parameters and gradients among it; Adam's two numbers for each parameter, gsplat's lists of Gaussians in tiles and what
torch keeps of freed memory do not. With Triton, as where there is a GPU, or as on a system that has none.
"""

from __future__ import annotations

import gc
import sys
import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from unittest import mock

import torch
import tyro
from common.pretended_cuda import Answer
from common.pretended_gsplat import GSPLAT, TRITON, pretending_gsplat
from torch import Tensor

from proto_saga_ns.kernels.triton import contributions as contribution_kernels
from proto_saga_ns.kernels.triton import door
from proto_saga_ns.kernels.triton.sparse_channels import Lists
from proto_saga_ns.plugin.model.image_loss import image_loss
from proto_saga_ns.plugin.model.render import CameraView, Gaussians, render
from proto_saga_ns.rasterize.contributions import contributions
from proto_saga_ns.rasterize.sparse_channels import SparseChannels
from proto_saga_ns.recognition.cosine_softmax import cross_entropy
from proto_saga_ns.recognition.votes import classify_with_votes

EMBEDDING, VOTES, DEGREE = 16, 4, 3
TAU, SSIM_WEIGHT = 10.0, 0.2
LABELS_OF_A_GAUSSIAN = 2.0
"""To how many labels of a view a Gaussian contributes, on average. Made up: without data nobody knows."""
LABELS_OF_A_TILE = 12
"""How many labels the Gaussians of a tile vote for, on average. Made up."""
aten = torch.ops.aten


def main(
    millions: float = 3.0,
    width: int = 1920,
    height: int = 1080,
    masks: tuple[int, ...] = (30, 100, 300),
    triton: bool = True,
) -> None:
    """Print the table.

    Args:
        millions: of Gaussians.
        width: of the view, pixels.
        height: of the view, pixels.
        masks: in the view; instances of the scene.
        triton: whether Triton's kernels are taken.
    """
    meter, number = Meter(), round(1e6 * millions)
    columns = [_peaks(meter, number, width, height, count, triton) for count in masks]
    rows = {name: [f"{column[name]:.1f}" for column in columns] for name in columns[0]}
    print(f"`{' '.join(['python', *sys.argv])}`\n")
    print(f"| {millions:g}M Gaussians, {width}x{height}; GB | {' | '.join(f'{count} masks' for count in masks)} |")
    print("|---" * (1 + len(masks)) + "|")
    for name, peaks in rows.items():
        print(f"| {name} | {' | '.join(peaks)} |")


def _peaks(meter: Meter, number: int, width: int, height: int, masks: int, triton: bool) -> dict[str, float]:
    functions, why_not = (WITHOUT_DATA | KERNELS, None) if triton else (WITHOUT_DATA, "it is not asked for")
    with (
        mock.patch.object(door, "why_not", lambda gpu: why_not),
        pretending_gsplat(functions, operations=_unknown(masks), without_data=True, watch=meter.add),
    ):
        parameters, view = _scene(number, width, height)
        photo = torch.zeros(height, width, 3, device="cuda")
        labels = torch.zeros(height, width, dtype=torch.int32, device="cuda")
        classifier = _parameter(EMBEDDING, masks)
        votes = SparseChannels(_numbers(number, VOTES, dtype=torch.int32), _numbers(number, VOTES), masks)
        prototypes = torch.zeros(masks, EMBEDDING)

        def step(with_masks: bool) -> None:
            seen, info = render(_gaussians(parameters), view, sh_degree=DEGREE, with_depth=False, absgrad=True)
            info["means2d"].retain_grad()
            loss = image_loss(seen.over(_numbers(3)), photo, SSIM_WEIGHT)
            if with_masks:
                loss = loss + cross_entropy(seen.features, classifier, labels, TAU)[0]
            loss.backward()
            for parameter in (*parameters.values(), classifier):
                parameter.grad = None

        @torch.no_grad()
        def segment() -> None:
            seen, _ = render(_gaussians(parameters, votes), view, sh_degree=DEGREE, with_depth=False)
            assert seen.votes is not None
            classify_with_votes(seen.features, seen.votes, prototypes, seen.alpha[..., 0])

        @torch.no_grad()
        def contribute() -> None:
            contributions(_gaussians(parameters).geometry, view.viewmats[0], view.intrinsics[0], labels)

        return {
            "training step without masks": meter.peak_of(lambda: step(False)),
            "training step": meter.peak_of(lambda: step(True)),
            "segmenting a view": meter.peak_of(segment),
            "contributions in a view": meter.peak_of(contribute),
        }


class Meter:
    """Bytes of all tensors that are in use, and the most that there were."""

    def __init__(self) -> None:
        self.now = self.peak = 0
        self._known: set[int] = set()

    def add(self, tensor: Tensor) -> None:
        """Count a tensor's memory, once, for as long as it is used."""
        storage = tensor.untyped_storage()
        key, size = storage._cdata, storage.nbytes()
        if key in self._known or not size:
            return
        self._known.add(key)
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._free, key, size)

    def _free(self, key: int, size: int) -> None:
        self._known.remove(key)
        self.now -= size

    def peak_of(self, action: Callable[[], object]) -> float:
        """The most that there was while something was done, in GB."""
        gc.collect()
        self.peak = self.now
        action()
        return self.peak / 1e9


def _numbers(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.zeros(*shape, dtype=dtype, device="cuda")


def _parameter(*shape: int) -> torch.nn.Parameter:
    return torch.nn.Parameter(_numbers(*shape))


def _scene(number: int, width: int, height: int) -> tuple[dict[str, torch.nn.Parameter], CameraView]:
    shapes = {"means": (3,), "scales": (3,), "quats": (4,), "features_dc": (3,), "opacities": (1,)}
    shapes |= {"features_rest": ((DEGREE + 1) ** 2 - 1, 3), "embeddings": (EMBEDDING,)}
    parameters = {name: _parameter(number, *shape) for name, shape in shapes.items()}
    return parameters, CameraView(_numbers(1, 4, 4), _numbers(1, 3, 3), width, height)


def _gaussians(parameters: dict[str, torch.nn.Parameter], votes: SparseChannels | None = None) -> Gaussians:
    return replace(Gaussians.from_parameters(parameters), votes=votes)


def _unknown(masks: int) -> dict[Any, Answer]:
    """What operations answer that depend on numbers: every label occurs, every condition holds."""

    def unique(labels: Tensor, *_: object) -> tuple[Tensor, Tensor, Tensor]:
        return labels.new_empty(masks + 1), labels.new_empty(labels.shape, dtype=torch.int64), labels.new_empty(0)

    def nonzero(weights: Tensor) -> Tensor:
        entries = round(weights.numel() * min(LABELS_OF_A_GAUSSIAN / (masks + 1), 1))
        return weights.new_empty((entries, weights.ndim), dtype=torch.int64)

    return {
        aten._local_scalar_dense.default: lambda number: number.dtype == torch.bool or 0,
        aten._unique2.default: unique,
        aten.nonzero.default: nonzero,
    }


def _project(means: Tensor, *others: Any) -> tuple[Tensor, ...]:
    shape = len(others[3]), len(means)
    floats = [means.new_empty(*shape, *channels) for channels in ((2,), (), (3,))]
    return means.new_empty(shape, dtype=torch.int32), *floats, means.new_empty(shape if others[11] else 0)


def _project_backward(*given: Any) -> tuple[Tensor | None, ...]:
    means, _, quats, scales, viewmats = given[:5]
    return torch.empty_like(means), None, torch.empty_like(quats), torch.empty_like(scales), torch.empty_like(viewmats)


def _sort_into_tiles(means2d: Tensor, radii: Tensor, *_: object) -> tuple[Tensor, ...]:
    return torch.empty_like(radii), radii.new_empty(0, dtype=torch.int64), radii.new_empty(0)


def _tile_offsets(isect_ids: Tensor, *shape: int) -> Tensor:
    views, columns, rows = shape
    return isect_ids.new_empty(views, rows, columns, dtype=torch.int32)


def _blend(*given: Any) -> tuple[Tensor, ...]:
    means2d, _, colors, *_, width, height, _, _, _ = given
    shape = len(means2d), height, width
    image = colors.new_empty(*shape, colors.shape[-1])
    return image, colors.new_empty(*shape, 1), colors.new_empty(shape, dtype=torch.int32)


def _blend_backward(*given: Any) -> tuple[Tensor | None, ...]:
    means2d, conics, colors, opacities = given[:4]
    found = [torch.empty_like(tensor) for tensor in (means2d, conics, colors, opacities)]
    return torch.empty_like(means2d) if given[-1] else None, *found


def _harmonics(degree: int, directions: Tensor, coefficients: Tensor, masks: None) -> Tensor:
    return torch.empty_like(directions)


def _harmonics_backward(bases: int, degree: int, directions: Tensor, coefficients: Tensor, *_: object) -> Any:
    return torch.empty_like(coefficients), torch.empty_like(directions)


def _labels_of_tiles(lists: Lists, labels: Tensor, count: int) -> tuple[Tensor, Tensor]:
    tiles = len(lists[0]) - 1
    return lists[0].new_empty(tiles + 1), labels.new_empty(tiles * min(LABELS_OF_A_TILE, count))


def _pairs(splats: Any, lists: Lists, label_map: Tensor, bits: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Lots of cells, of which half are not zero."""
    left = round(LABELS_OF_A_GAUSSIAN * len(splats[0]))
    while left > 0:
        pairs = min(left, contribution_kernels.MAX_CELLS // 2)
        cells = _numbers(2 * pairs), _numbers(2 * pairs, dtype=torch.int64)
        yield _numbers(pairs, dtype=torch.int64), _numbers(pairs, dtype=torch.int64)
        del cells
        left -= pairs


WITHOUT_DATA: dict[str, Answer] = dict(
    zip(
        GSPLAT,
        (
            *(_project, _project_backward, _sort_into_tiles, _tile_offsets, _blend, _blend_backward),
            *(_harmonics, _harmonics_backward),
        ),
        strict=True,
    )
)
KERNELS: dict[str, Answer] = {name: lambda *_, **__: None for name in TRITON}
KERNELS["proto_saga_ns.kernels.triton.sparse_channels.labels_of_tiles"] = _labels_of_tiles
KERNELS["proto_saga_ns.kernels.triton.contributions._pairs"] = _pairs

if __name__ == "__main__":
    tyro.cli(main)
