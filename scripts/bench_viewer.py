"""What the viewer's actions cost at 100,000 Gaussians, each up to the frame that shows it, against a plain rgb frame.

An untrained model on the inside of a box, its embeddings made from 30 instances; frames of 512 x 384. Prints a Markdown
table and writes it to results/bench_viewer.md.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
import tyro
from nerfstudio.cameras.cameras import Cameras
from nerfstudio.data.scene_box import SceneBox

from proto_saga_ns.plugin.model.checkpoint import rewrite_checkpoint
from proto_saga_ns.plugin.model.proto_saga import ProtoSagaModel, ProtoSagaModelConfig
from proto_saga_ns.plugin.model.render import render
from proto_saga_ns.plugin.viewer.session import Session
from proto_saga_ns.recognition.prototypes import MaskTable
from proto_saga_ns.scene import EmbeddingColors, SegmentedScene

WIDTH, HEIGHT = 512, 384
VIEWS = 60


def main(
    gaussians: int = 100_000, instances: int = 30, runs: int = 7, output: Path = Path("results/bench_viewer.md")
) -> None:
    """Time every action.

    Args:
        gaussians: how many.
        instances: into which they are taken apart, each seen in 60 views.
        runs: counted runs of each; medians are printed.
        output: Markdown file to write.
    """
    torch.manual_seed(0)
    model = _room(gaussians)
    scene, camera = _segmented(model, instances), _camera()
    checkpoint = Path(tempfile.mkdtemp()) / "nerfstudio_models" / "step-000000000.ckpt"
    checkpoint.parent.mkdir()
    torch.save({"step": 0, "pipeline": {f"_model.{k}": v for k, v in model.state_dict().items()}}, checkpoint)
    times: dict[str, list[float]] = {}
    for _ in range(runs + 1):
        model.scene = scene
        for name, seconds in _all_actions(model, Session(model), camera, checkpoint).items():
            times.setdefault(name, []).append(seconds)
    medians = {name: 1000 * statistics.median(values[1:]) for name, values in times.items()}
    plain = medians["plain rgb frame"]
    rows = [f"| {name} | {value:.0f} | {value / plain:.2f} |" for name, value in medians.items()]
    head = f"| {gaussians} Gaussians, {instances} instances, {WIDTH}x{HEIGHT} | median ms | ratio |\n|---|---|---|\n"
    table = head + "\n".join(rows) + "\n"
    print(table)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(f"`python scripts/bench_viewer.py`\n\n{table}")


def _all_actions(model: ProtoSagaModel, session: Session, camera: Cameras, checkpoint: Path) -> dict[str, float]:
    """Seconds of every action, in an order in which each is possible."""
    view = model.view_of(camera, corrected=False)

    def frame() -> None:
        model.get_outputs_for_camera(camera)

    def save() -> None:
        state = {f"_model.{name}": value for name, value in model.state_dict().items()}
        session.save(lambda: rewrite_checkpoint(checkpoint, state))

    def plain() -> None:
        colored = model.gaussians()
        render(replace(colored, embeddings=colored.embeddings[:, :0]), view, sh_degree=3, with_depth=False)

    times = {"plain rgb frame": _seconds(plain)}
    times["frame with all outputs of instances"] = _seconds(frame)
    times["click, selected and shown"] = _seconds(lambda: session.click(view, (0.3, 0.5)), frame)
    session.select(session.scene.ids[:2])
    times["merge two, shown"] = _seconds(session.merge_selected, frame)
    times["undo, shown"] = _seconds(session.undo, frame)
    session.split_at(view, (0.3, 0.5))
    times["split (second click), shown"] = _seconds(lambda: session.split_at(view, (0.32, 0.52)), frame)
    session.select(())
    times["absorb fragments, shown"] = _seconds(lambda: session.absorb(0.25), frame)
    times["save"] = _seconds(save)
    return times


@torch.no_grad()
def _seconds(*steps: Callable[[], object]) -> float:
    start = time.perf_counter()
    for step in steps:
        step()
    return time.perf_counter() - start


def _room(count: int) -> ProtoSagaModel:
    """Flat Gaussians on the inside of a box, seen from its middle; embeddings by place."""
    points = 2 * torch.rand(count, 3) - 1
    side = torch.randint(0, 3, (count, 1))
    points.scatter_(1, side, points.gather(1, side).sign())
    box = SceneBox(torch.tensor([[-3.0] * 3, [3.0] * 3]))
    means = points * torch.tensor([2.0, 1.5, 2.0])
    model = ProtoSagaModelConfig().setup(
        scene_box=box, num_train_data=VIEWS, metadata={}, seed_points=(means, torch.randint(0, 255, (count, 3)))
    )
    spacing = (24 / count) ** 0.5
    scales = spacing * torch.exp(0.5 * torch.randn(count, 3))
    scales.scatter_(1, side, 0.1 * spacing)
    with torch.no_grad():
        model.gauss_params["scales"].copy_(scales.log())
        model.gauss_params["quats"].copy_(torch.tensor([1.0, 0, 0, 0]).expand(count, 4))
        model.gauss_params["opacities"].copy_(1 + 2 * torch.randn(count, 1))
    model.eval()
    return model


def _segmented(model: ProtoSagaModel, instances: int) -> SegmentedScene:
    """Each Gaussian belongs to the nearest of some random ones; embeddings are noisy directions."""
    anchors, directions = model.means[torch.randperm(len(model.means))[:instances]].detach(), torch.randn(instances, 16)
    nearest = torch.cdist(model.means.detach(), anchors).argmin(dim=1)
    with torch.no_grad():
        model.gauss_params["embeddings"].copy_(directions[nearest] + 0.2 * torch.randn(len(nearest), 16))
    part = torch.arange(1, instances + 1, dtype=torch.int32).repeat(VIEWS)
    features = directions.repeat(VIEWS, 1) + 0.1 * torch.randn(len(part), 16)
    view = torch.arange(VIEWS, dtype=torch.int32).repeat_interleave(instances)
    pixels = torch.bincount(nearest, minlength=instances).repeat(VIEWS)
    masks = MaskTable(view, part, pixels, features, part, tuple(f"view {number}" for number in range(VIEWS)))
    return SegmentedScene(masks, EmbeddingColors.fit(model.embeddings.detach()))


def _camera() -> Cameras:
    pose = torch.eye(4)[None, :3]
    return Cameras(pose, 0.6 * WIDTH, 0.6 * WIDTH, WIDTH / 2, HEIGHT / 2, WIDTH, HEIGHT)


if __name__ == "__main__":
    tyro.cli(main)
