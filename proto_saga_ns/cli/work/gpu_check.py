"""Whether the GPU computes what the CPU computes: all that has a path of its own there, on a made-up scene."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from torch import Tensor

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.kernels.device import WITHOUT_GPU, has_gpu, unused_gpu
from proto_saga_ns.plugin.model.image_loss import image_loss
from proto_saga_ns.rasterize import rasterization, spherical_harmonics
from proto_saga_ns.rasterize.contributions import contributions, unoccluded
from proto_saga_ns.rasterize.geometry import Geometry
from proto_saga_ns.rasterize.rasterization import rasterization_with_sparse
from proto_saga_ns.rasterize.sparse_channels import SparseChannels
from proto_saga_ns.recognition.cosine_softmax import cross_entropy, own_log_probability
from proto_saga_ns.recognition.prototypes import classify
from proto_saga_ns.recognition.votes import classify_with_votes

TOLERANCE = 2e-3
"""Of a number, in parts of the largest of its kind."""
LEAST_AGREEMENT = 0.999
"""Share of the numbers that must lie within it: rounding decides which of two equal labels wins, or whether an alpha
is above 1/255."""
REPEATS = 5
TAU = 10.0

Tensors = Mapping[str, Tensor]


@dataclass(frozen=True)
class World:
    """Made-up input for all parts, of a size.

    Attributes:
        gaussians: how many.
        width: of the view, pixels.
        height: of the view, pixels.
        labels: in the view, and instances.
    """

    gaussians: int = 20_000
    width: int = 640
    height: int = 480
    labels: int = 100

    def tensors(self) -> dict[str, Tensor]:
        """Gaussians around the origin, a camera before them, and what is known of a view; always the same."""
        generator = torch.Generator().manual_seed(0)

        def normal(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=generator)

        def whole(low: int, *shape: int) -> Tensor:
            return torch.randint(low, self.labels, shape, generator=generator, dtype=torch.int32)

        viewmat = torch.eye(4)
        viewmat[2, 3] = 4.0
        focal = 0.8 * self.width
        middle = torch.tensor([[focal, 0, self.width / 2], [0, focal, self.height / 2], [0, 0, 1.0]])
        size = (self.height, self.width)
        return {
            "means": normal(self.gaussians, 3),
            "quats": normal(self.gaussians, 4),
            "scales": torch.exp(0.5 * normal(self.gaussians, 3) - 4),
            "opacities": torch.sigmoid(2 * normal(self.gaussians)),
            "viewmats": viewmat[None],
            "Ks": middle[None],
            "coefficients": 0.3 * normal(self.gaussians, 16, 3),
            "embeddings": normal(self.gaussians, 16),
            "slots": whole(-1, self.gaussians, 4),
            "shares": normal(self.gaussians, 4).sigmoid(),
            "prototypes": normal(self.labels, 16),
            "features": normal(*size, 16),
            "label_map": whole(0, *size) + 1,
            "rendered": normal(*size, 3).sigmoid(),
            "photo": normal(*size, 3).sigmoid(),
        }


Part = Callable[[World, Tensors], tuple[Tensor, ...]]


def _geometry(given: Tensors) -> dict[str, Tensor]:
    return {name: given[name] for name in ("means", "quats", "scales", "opacities", "viewmats", "Ks")}


def _colors_and_gradients(world: World, given: Tensors, mode: str) -> tuple[Tensor, ...]:
    names = ("means", "quats", "scales", "opacities", "embeddings")
    leaves = {name: given[name].detach().clone().requires_grad_() for name in names}
    image, alpha, info = rasterization(
        **{**_geometry(given), **{name: leaves[name] for name in names[:-1]}},
        colors=leaves["embeddings"],
        **{"width": world.width, "height": world.height, "render_mode": "RGB+ED", "rasterize_mode": mode},
        absgrad=True,
        packed=False,
    )
    info["means2d"].retain_grad()
    (image.square().mean() + alpha.mean()).backward()
    gradients = (leaf.grad for leaf in leaves.values() if leaf.grad is not None)
    return image.detach(), alpha.detach(), info["means2d"].absgrad, *gradients


def _classic(world: World, given: Tensors) -> tuple[Tensor, ...]:
    return _colors_and_gradients(world, given, "classic")


def _antialiased(world: World, given: Tensors) -> tuple[Tensor, ...]:
    return _colors_and_gradients(world, given, "antialiased")


def _harmonics(world: World, given: Tensors) -> tuple[Tensor, ...]:
    leaves = [given[name].detach().clone().requires_grad_() for name in ("means", "coefficients")]
    colors = spherical_harmonics(3, *leaves)
    return colors.detach(), *torch.autograd.grad(colors.square().mean(), leaves)


@torch.no_grad()
def _votes(world: World, given: Tensors) -> tuple[Tensor, ...]:
    sparse = SparseChannels(given["slots"], given["shares"], world.labels)
    options: dict[str, Any] = {"width": world.width, "height": world.height, "packed": False}
    image, alpha, _, votes = rasterization_with_sparse(sparse, given["embeddings"], **{**_geometry(given), **options})
    assert votes is not None
    return classify_with_votes(image[0], votes, given["prototypes"], alpha[0, ..., 0])


@torch.no_grad()
def _prototypes(world: World, given: Tensors) -> tuple[Tensor, ...]:
    found = classify(given["features"], given["prototypes"], torch.ones_like(given["features"][..., 0]))
    flat, labels = given["features"].flatten(0, 1), given["label_map"].flatten()
    return *found, own_log_probability(flat, labels, given["prototypes"].T.contiguous(), TAU)


@torch.no_grad()
def _contributions(world: World, given: Tensors) -> tuple[Tensor, ...]:
    geometry = Geometry(*(given[name] for name in ("means", "quats", "scales", "opacities")))
    view = geometry, given["viewmats"][0], given["Ks"][0]
    found = contributions(*view, given["label_map"])
    table = torch.zeros(world.gaussians, world.labels + 1, device=found.weights.device)
    table[found.gaussians.long(), found.labels.long()] = found.weights.float()
    return table, unoccluded(*view, (world.width, world.height))


def _cross_entropy(world: World, given: Tensors) -> tuple[Tensor, ...]:
    leaves = [given["features"].detach().clone(), given["prototypes"].T.contiguous()]
    for leaf in leaves:
        leaf.requires_grad_()
    loss, accuracy = cross_entropy(leaves[0], leaves[1], given["label_map"], TAU)
    return loss.detach(), accuracy, *torch.autograd.grad(loss, leaves)


def _picture(world: World, given: Tensors) -> tuple[Tensor, ...]:
    leaf = given["rendered"].detach().clone().requires_grad_()
    loss = image_loss(leaf, given["photo"], 0.2)
    return loss.detach(), *torch.autograd.grad(loss, leaf)


PARTS: dict[str, Part] = {
    "rasterization, with gradients": _classic,
    "rasterization, antialiased": _antialiased,
    "spherical harmonics, with gradients": _harmonics,
    "segmentation by votes and prototypes": _votes,
    "segmentation by prototypes": _prototypes,
    "contributions of Gaussians to masks": _contributions,
    "cross entropy, with gradients": _cross_entropy,
    "loss of a picture, with gradient": _picture,
}


@dataclass(frozen=True)
class Comparison:
    """One part on both devices.

    Attributes:
        what: the part.
        agreement: share of its numbers that are the same within rounding, of the result where it is smallest.
        milliseconds: on the GPU and on the CPU.
        error: what ended it there; None if nothing did.
    """

    what: str
    agreement: float
    milliseconds: tuple[float, float]
    error: str | None = None

    @property
    def is_good(self) -> bool:
        return self.error is None and self.agreement >= LEAST_AGREEMENT


def compare(world: World = World()) -> Iterator[Comparison]:
    """Every part on the CPU and on the GPU."""
    on_cpu = world.tensors()
    on_gpu = {name: tensor.to("cuda") for name, tensor in on_cpu.items()}
    for what, part in PARTS.items():
        start = time.perf_counter()
        expected = part(world, on_cpu)
        of_cpu = time.perf_counter() - start
        try:
            found = part(world, on_gpu)  # compiles what is not compiled yet
            times = sorted(_seconds(part, world, on_gpu) for _ in range(REPEATS))
        except Exception as error:  # of a compiler, a driver or a kernel: that is what is to be found out
            yield Comparison(
                what, 0.0, (0.0, 1000 * of_cpu), " ".join(f"{type(error).__name__}: {error}".split())[:300]
            )
            continue
        agreement = min(_agreement(one.detach().cpu(), other) for one, other in zip(found, expected, strict=True))
        yield Comparison(what, agreement, (1000 * times[REPEATS // 2], 1000 * of_cpu))


def _seconds(part: Part, world: World, given: Tensors) -> float:
    torch.cuda.synchronize()
    start = time.perf_counter()
    part(world, given)
    torch.cuda.synchronize()
    return time.perf_counter() - start


def _agreement(found: Tensor, expected: Tensor) -> float:
    if found.shape != expected.shape:
        return 0.0
    if not expected.is_floating_point():
        return float((found == expected).float().mean())
    tolerance = TOLERANCE * float(expected.abs().max().clamp_min(1e-12))
    return float(((found - expected).abs() <= tolerance).float().mean())


def report(world: World = World()) -> None:
    """Print how far the GPU agrees with the CPU, and how fast it is.

    Raises:
        ProtoSagaError: there is no GPU, or it computes something else.
    """
    if not has_gpu():
        raise ProtoSagaError(f"There is no GPU here to check: {unused_gpu() or 'torch sees none'}.")
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for heading in ("", "part", "agrees with the CPU", "GPU, ms", "CPU, ms"):
        table.add_column(heading, overflow="fold")
    wrong = []
    for row in compare(world):
        agrees = f"{100 * row.agreement:.3f} % of the numbers" if row.error is None else row.error
        of_gpu, of_cpu = (f"{time:.1f}" for time in row.milliseconds)
        table.add_row("[green]✓" if row.is_good else "[bold red]✗", row.what, agrees, of_gpu, of_cpu)
        wrong += [] if row.is_good else [row.what]
    Console(highlight=False).print(f"{torch.cuda.get_device_name()}, {world}", table, sep="\n")
    if wrong:
        raise ProtoSagaError(
            f"The GPU does not compute what the CPU computes: {'; '.join(wrong)}. Please report the table above. "
            f"{WITHOUT_GPU}"
        )
