"""Time and peak memory of every stage for a large scene: 3M Gaussians, views of 3840x2160, 300 masks and instances.

A training step, association, a segmented view, export, and what a person does in the viewer, each by the product's own
functions and in a process of its own. What scene, optimizers and label maps take was there before and is a column of
its own; peaks are above it. Each stage that could grow with instances or views is measured with fewer of them too: the
peak may not grow with Gaussians x instances, views x pixels or Gaussians x views. Prints a Markdown table and writes it
to results/bench_scale.md. Linux only; Gaussians are on the CPU.
"""

from __future__ import annotations

import ctypes
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal
from unittest.mock import patch

import numpy as np
import torch
import tyro
from bench_rasterizer import in_process_of_its_own, peak_megabytes
from common.balls_in_room import HEIGHT, WIDTH, ball_room, room_views
from common.machines import conditions
from nerfstudio.cameras.cameras import Cameras
from nerfstudio.data.scene_box import SceneBox
from scipy.spatial import KDTree
from torch import Tensor

from proto_saga_ns.association import AssociationOptions
from proto_saga_ns.cli.work import export as work
from proto_saga_ns.files import write_json
from proto_saga_ns.plugin.model.associate import segment_scene
from proto_saga_ns.plugin.model.checkpoint import resize_gaussians
from proto_saga_ns.plugin.model.options import SceneOptions
from proto_saga_ns.plugin.model.proto_saga import ProtoSagaModel, ProtoSagaModelConfig
from proto_saga_ns.plugin.model.views import segment_view
from proto_saga_ns.plugin.viewer.session import Session
from proto_saga_ns.recognition.gaussian_instances import GaussianInstances
from proto_saga_ns.recognition.granularity import OBJECTS
from proto_saga_ns.recognition.levels import Joins, Levels
from proto_saga_ns.recognition.prototypes import MaskTable
from proto_saga_ns.recognition.votes import Votes
from proto_saga_ns.scene import EmbeddingColors, SegmentedScene
from proto_saga_ns.splats.transform import DATAPARSER_FILE

Part = Literal["training", "association", "segment", "export", "viewer"]
STEP = 14_950
"""Of training: full resolution, all harmonics, and Gaussians are still being counted for densification."""
TOP = 4
"""Votes of a Gaussian, as many as consensus keeps."""
VIEWS_OF_MASKS = 60
"""In which each instance of a made-up scene has a mask."""


@dataclass(frozen=True)
class Size:
    """How large the scene is.

    Attributes:
        gaussians: N.
        width: of all views, in pixels.
        height: of all views, in pixels.
        views: that are associated.
        masks: in each of them, and labels of the training step's view.
        instances: T, of the scene that is segmented, exported and looked at; each consists of two parts.
    """

    gaussians: int = 3_000_000
    width: int = 3840
    height: int = 2160
    views: int = 6
    masks: int = 300
    instances: int = 300


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        what: was done.
        seconds: of the CPU.
        clock: seconds that passed.
        peak: megabytes above what was there.
        before: megabytes of Gaussians and the rest of the scene, of optimizers and of label maps.
    """

    what: str
    seconds: float
    clock: float
    peak: float
    before: float

    def __str__(self) -> str:
        return f"| {self.what} | {self.seconds:.1f} | {self.clock:.1f} | {self.peak:.0f} | {self.before:.0f} |"


def main(size: Size = Size(), only: tuple[Part, ...] = (), output: Path = Path("results/bench_scale.md")) -> None:
    """Measure stages.

    Args:
        size: of the scene.
        only: these stages; all if none is named.
        output: Markdown file to write.
    """
    lines = [
        f"`python scripts/bench_scale.py`; {conditions()}",
        "",
        f"{size.gaussians:,} Gaussians, {size.width}x{size.height}",
        "",
        "| what | CPU seconds | clock | peak MB above the scene | scene MB |",
        "|---|---|---|---|---|",
    ]
    print("\n".join(lines), flush=True)
    for part, sizes in _runs(size).items():
        for chosen in sizes if not only or part in only else ():
            for row in in_process_of_its_own(PARTS[part], chosen):
                lines.append(str(row))
                print(row, flush=True)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text("\n".join(lines) + "\n")


def _runs(size: Size) -> dict[Part, list[Size]]:
    """Each stage, and those of the product x something that could hide in it also with less of that."""
    fewer = replace(size, instances=max(size.instances // 10, 2))
    return {
        "training": [replace(size, masks=max(size.masks // 10, 2)), size],
        "association": [replace(size, views=max(size.views // 2, 2)), size],
        "segment": [fewer, size],
        "export": [fewer, size],
        "viewer": [fewer, size],
    }


def training(size: Size) -> list[Row]:
    """A step as the trainer takes it: render, losses, gradients, what densification counts, Adam."""
    model, _, cameras = _model(size, views=1)
    model.create_view_classifiers([np.arange(1, size.masks + 1, dtype=np.int32)])
    groups = model.get_param_groups()
    optimizers = {name: torch.optim.Adam(group, lr=1e-5, eps=1e-15, fused=True) for name, group in groups.items()}
    model.step_cb(SimpleNamespace(optimizers=optimizers, schedulers={}), STEP)
    model.train()

    def step(camera: Cameras) -> None:
        camera.metadata = {"cam_idx": 0}
        size_of_view = int(camera.height.item()), int(camera.width.item())
        batch = {"image": torch.randint(256, (*size_of_view, 3), dtype=torch.uint8), "image_idx": 0}
        batch["label_map"] = torch.randint(size.masks + 1, size_of_view, dtype=torch.int16)
        for optimizer in optimizers.values():
            optimizer.zero_grad()
        outputs = model.get_outputs(camera)
        losses = model.get_loss_dict(outputs, batch, model.get_metrics_dict(outputs, batch))
        torch.stack(list(losses.values())).sum().backward()
        for optimizer in optimizers.values():
            optimizer.step()
        model.step_post_backward(STEP)

    step(_reduced(cameras, 20))  # makes what Adam remembers
    model.zero_grad()
    before = 3 * _megabytes(*model.parameters())
    return [_measured(f"a training step, {size.masks} masks", lambda: step(cameras), before)]


def association(size: Size) -> list[Row]:
    """All that follows a training: consensus, prototypes, votes, the instance of each Gaussian."""
    model, label_maps, cameras = _model(size, size.views)
    ids = [np.arange(1, int(label_map.max()) + 1, dtype=np.int32) for label_map in label_maps]
    model.create_view_classifiers(ids)
    manager: Any = SimpleNamespace(
        train_label_maps=label_maps,
        train_cameras_undistorted=cameras,
        view_label_maps=SimpleNamespace(ids=ids, source="bench"),
        labels_per_view=[len(found) for found in ids],
        train_dataset=SimpleNamespace(image_filenames=[f"view{index}.png" for index in range(size.views)]),
    )
    before = _megabytes(*model.parameters(), *label_maps)
    what = f"association of {size.views} views of {size.masks} masks"
    return [
        _measured(what, lambda: segment_scene(model, manager, AssociationOptions(), SceneOptions()), before),
    ]


def segment(size: Size) -> list[Row]:
    """A view of a scene with votes, its objects and its parts."""
    model, scene, camera = _segmented(size)
    return [
        _measured(
            f"segmenting a view, {size.instances} instances, {name}",
            lambda granularity=granularity: segment_view(model, scene, camera, granularity),
            _megabytes_of(model, scene),
        )
        for name, granularity in (("objects", OBJECTS), ("parts", 1.0))
    ]


def export(size: Size) -> list[Row]:
    """All PLYs, boxes and tables of ``proto-saga export``."""
    model, scene, _ = _segmented(size)
    model.scene = scene
    wanted = work.Wanted(
        ("instances", "rest", "labelled", "colors", "boxes"), ("ply",), (), (), "world", OBJECTS, "test", *2 * [False]
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_json(folder / DATAPARSER_FILE, {"transform": torch.eye(4)[:3].tolist(), "scale": 1.0})
        run = SimpleNamespace(model=model, scene=scene, checkpoint=folder / "nerfstudio_models" / "step-0.ckpt")
        with patch.object(work, "load_run", lambda *_: run):
            row = _measured(
                f"exporting {size.instances} instances",
                lambda: work.export(folder / "config.yml", None, wanted, folder / "out"),
                _megabytes_of(model, scene),
            )
    return [row]


def viewer(size: Size) -> list[Row]:
    """A frame with all outputs, the same with something selected and hidden, a click."""
    model, model.scene, camera = _segmented(size)
    session, before = Session(model), _megabytes_of(model, model.scene)
    view = model.view_of(camera, corrected=False)

    def frame() -> None:
        with torch.no_grad():
            model.get_outputs_for_camera(camera)

    rows = [_measured(f"a frame of the viewer, {size.instances} instances", frame, before)]
    rows.append(_measured("a click", lambda: session.click(view, (0.5, 0.5)), before))
    session.select(session.scene.ids[:1])
    session.show(hidden=session.scene.ids[1:2], background="black")
    rows.append(_measured("a frame, one instance alone and one hidden", frame, before))
    session.show(hidden=(), background="dimmed", granularity=1.0)
    return [*rows, _measured("a frame, parts", frame, before)]


PARTS: dict[Part, Callable[[Size], list[Row]]] = {
    "training": training,
    "association": association,
    "segment": segment,
    "export": export,
    "viewer": viewer,
}


def _measured(what: str, run: Callable[[], object], before: float) -> Row:
    """What is not used any more is given back to the system first, lest it hide what ``run`` takes."""
    ctypes.CDLL(None).malloc_trim(0)
    start, of_cpu = time.perf_counter(), time.process_time()
    peak = peak_megabytes(run)
    return Row(what, time.process_time() - of_cpu, time.perf_counter() - start, peak, before)


def _model(size: Size, views: int) -> tuple[ProtoSagaModel, list[Tensor], Cameras]:
    """A room of a hundred instances as a model, and label maps and cameras of views of it."""
    torch.manual_seed(0)
    room = ball_room(size.gaussians)
    means, quats, scales, opacities = room.geometry.tensors
    box = SceneBox(torch.tensor([[-3.0] * 3, [3.0] * 3]))
    few = (means[:10].clone(), torch.zeros(10, 3, dtype=torch.uint8))
    model = ProtoSagaModelConfig().setup(scene_box=box, num_train_data=views, metadata={}, seed_points=few)
    resize_gaussians(model.gauss_params, size.gaussians)
    values = {"means": means, "quats": quats, "scales": scales.log(), "opacities": opacities.logit()[:, None]}
    values["embeddings"] = torch.from_numpy(room.embeddings)
    with torch.no_grad():
        for name, value in values.items():
            model.gauss_params[name].copy_(value)
        for name in ("features_dc", "features_rest"):
            model.gauss_params[name].normal_(std=0.1)
    model.eval()
    model.step = STEP
    seen = room_views(room, views, size.masks)
    return model, [_enlarged(view.label_map, size) for view in seen], _cameras([view.viewmat for view in seen], size)


def _enlarged(label_map: Tensor, size: Size) -> Tensor:
    rows, columns = (
        torch.arange(count) * there // count
        for count, there in zip((size.height, size.width), label_map.shape, strict=True)
    )
    return label_map[rows][:, columns].int()


def _cameras(viewmats: list[Tensor], size: Size) -> Cameras:
    """Of world-to-camera matrices; pixels are not square where the picture is of another shape than the masks."""
    poses = torch.stack(viewmats).inverse()[:, :3] * torch.tensor([1.0, -1, -1, 1])
    across, down = 0.62 * size.width, 0.62 * WIDTH * size.height / HEIGHT
    return Cameras(poses, across, down, size.width / 2, size.height / 2, size.width, size.height)


def _reduced(cameras: Cameras, factor: int) -> Cameras:
    few = cameras[:1]
    few.rescale_output_resolution(1 / factor)
    return few


def _segmented(size: Size) -> tuple[ProtoSagaModel, SegmentedScene, Cameras]:
    """A model, its scene and a camera: a Gaussian belongs to the nearest of some places, and votes for some more."""
    model, _, cameras = _model(replace(size, masks=100), views=1)
    means, count = model.means.detach().numpy(), size.instances
    places = means[np.random.default_rng(0).choice(len(means), 2 * count, replace=False)]
    near = np.asarray(KDTree(places).query(means, TOP)[1], np.int32)
    labels = torch.from_numpy(near % count + 1)
    labels[:, 1:].masked_fill_(labels[:, 1:] == labels[:, :1], 0)
    shares = torch.tensor([0.7, 0.15, 0.1, 0.05]).expand(len(labels), TOP).masked_fill(labels == 0, 0.0)
    directions = torch.randn(count, 16)
    with torch.no_grad():
        model.embeddings.copy_(directions[labels[:, 0].long() - 1] + 0.2 * torch.randn(len(labels), 16))
    own = labels[:, 0].contiguous()
    scene = SegmentedScene(
        _masks(directions),
        EmbeddingColors.fit(model.embeddings.detach()),
        gaussians=GaussianInstances(own, torch.full((len(own),), 0.7)),
        votes=Votes(labels, shares),
        levels=_levels(torch.from_numpy(near[:, 0]), count),
    )
    return model, scene, cameras


def _levels(place: Tensor, count: int) -> Levels:
    """Each instance has a second part, which lies around a place of its own."""
    parts = [(count + number, number, 0.8) for number in range(1, count + 1)]
    return Levels(Joins.of(parts), Joins.of([]), (place + 1).int(), theta=0.5)


def _masks(directions: Tensor) -> MaskTable:
    """One of each instance in each view."""
    count = len(directions)
    member = torch.arange(1, count + 1, dtype=torch.int32).repeat(VIEWS_OF_MASKS)
    view = torch.arange(VIEWS_OF_MASKS, dtype=torch.int32).repeat_interleave(count)
    names = tuple(f"view {number}" for number in range(VIEWS_OF_MASKS))
    pixels = torch.full((len(member),), 1000)
    return MaskTable(view, member, pixels, directions.repeat(VIEWS_OF_MASKS, 1), member, names)


def _megabytes(*tensors: Tensor) -> float:
    return sum(tensor.nbytes for tensor in tensors) / 2**20


def _megabytes_of(model: ProtoSagaModel, scene: SegmentedScene) -> float:
    assert scene.gaussians is not None and scene.votes is not None and scene.levels is not None
    own = (scene.gaussians.ids, scene.gaussians.confidence, scene.votes.labels, scene.votes.shares)
    return _megabytes(*model.parameters(), *own, scene.levels.part_of_gaussian)


if __name__ == "__main__":
    tyro.cli(main)
