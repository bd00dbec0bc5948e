"""What a splat loses whose photos are gone: segmented from planned views of itself, beside the same with its photos.

Takes runs that were trained on stand-ins (those of reproduce_rooms.py), exports their Gaussians as a PLY, and segments
it twice by votes alone: with the photos and their masks, and bare. A simulated segmenter of the same options makes the
masks of both, for the bare splat of the true instances as the planned cameras see them. Both are evaluated on the
photos' test views, by the instance protocol.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import tyro
from nerfstudio.cameras.cameras import Cameras
from torch import Tensor

from proto_saga_ns.cli.associate import Associate
from proto_saga_ns.cli.export import Export
from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.evaluation.standins.cameras import lens_of
from proto_saga_ns.evaluation.standins.kinds import make_world
from proto_saga_ns.evaluation.standins.marks import read_mark
from proto_saga_ns.evaluation.standins.options import SegmenterOptions, StandinOptions
from proto_saga_ns.evaluation.standins.render import Renderer
from proto_saga_ns.evaluation.standins.segmenter import segment
from proto_saga_ns.labels import write_label_map
from proto_saga_ns.plugin.adopt.fit import training_frame
from proto_saga_ns.plugin.adopt.from_file import DrawableFile, views_of_file
from proto_saga_ns.plugin.adopt.options import NewRunOptions, SplatFileOptions, ViewOptions
from proto_saga_ns.plugin.model.evaluate import evaluate_views
from proto_saga_ns.plugin.run import Run, load_run
from proto_saga_ns.progress import progress_bar
from proto_saga_ns.splats.transform import Similarity

COLUMNS = ("mIoU", "precision", "recall", "instances (predicted)")
WITH_PHOTOS, BARE = "with its photos and their masks", "bare: planned views of the splat, and masks of these"


def main(runs: tuple[Path, ...], folder: Path = Path("results/bare_splat"), num_views: int = 60) -> None:
    """Segment each splat twice and print a table.

    Args:
        runs: config.yml of runs of stand-ins.
        folder: where splats, views and runs are kept.
        num_views: planned for each bare splat.
    """
    rows: dict[str, list[dict[str, float]]] = {WITH_PHOTOS: [], BARE: []}
    for config in runs:
        for name, figures in _cell(config, folder, num_views).items():
            rows[name].append(figures)
            print(config.parent, name, {key: round(value, 1) for key, value in figures.items()}, flush=True)
    lines = [f"| {len(runs)} stand-ins | {' | '.join(COLUMNS)} | seconds |", f"|---|{'---|' * (len(COLUMNS) + 1)}"]
    for name, found in rows.items():
        lines.append(f"| {name} | {' | '.join(_mean(found, column) for column in (*COLUMNS, 'seconds'))} |")
    text = "\n".join(["`python scripts/reproduce_bare_splat.py --runs ...`", "", *lines, ""])
    print(text)
    (folder / "table.md").write_text(text)


def _mean(found: list[dict[str, float]], column: str) -> str:
    values = [figures[column] for figures in found]
    return f"{statistics.mean(values):.1f}" + (f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else "")


def _cell(config: Path, folder: Path, num_views: int) -> dict[str, dict[str, float]]:
    trained = load_run(config)
    data = trained.data
    name = f"{data.name}-{config.parent.name}"
    place = folder / name
    ply, outputs = place / "labelled.ply", NewRunOptions(place / "runs", name)
    if not ply.is_file():
        Export(config, place, what=("labelled",)).run()
    start = time.perf_counter()
    with_photos = _adopted(replace(outputs, timestamp="photos"), ply, data=data)
    middle = time.perf_counter()
    views = ViewOptions(num_views=num_views)
    options = SplatFileOptions()
    made = views_of_file(DrawableFile.read(ply, options), options, views, outputs, progress_bar)
    planned = time.perf_counter() - middle
    _simulate_masks(data, made.folder)
    middle = time.perf_counter()
    bare = _adopted(replace(outputs, timestamp=f"bare{num_views}"), ply, views=views)
    seconds = {WITH_PHOTOS: middle - start, BARE: planned + time.perf_counter() - middle}
    return {
        way: {**_figures(run, trained, data), "seconds": seconds[way]}
        for way, run in ((WITH_PHOTOS, with_photos), (BARE, bare))
    }


def _adopted(place: NewRunOptions, ply: Path, data: Path | None = None, views: ViewOptions | None = None) -> Run:
    assert place.experiment_name and place.timestamp
    config = place.output_dir / place.experiment_name / "proto-saga" / place.timestamp / "config.yml"
    if not config.is_file():
        Associate(ply=ply, data=data, place=place, views=views or ViewOptions()).run()
    return load_run(config)


def _simulate_masks(standin: Path, views: Path) -> None:
    """What the stand-in's segmenter would find where the planned cameras stand."""
    mark = read_mark(standin)
    options, segmenter = StandinOptions(**mark["options"]), SegmenterOptions(**mark["segmenter"])
    if segmenter.seams or segmenter.supports:
        raise ProtoSagaError(f"{standin}: mistakes that are the same in all views are not simulated here.")
    renderer = Renderer(make_world(options)[0], samples=1)
    content = json.loads((views / "transforms.json").read_text())
    for frame in progress_bar(content["frames"], "Simulating masks"):
        lens = replace(lens_of(frame["w"], frame["h"]), focal=frame["fl_x"])
        picture = renderer.render(lens, np.array(frame["transform_matrix"]))
        stem = Path(frame["file_path"]).stem
        found = segment(picture.instances, picture.parts, segmenter, options.seed, stem)
        write_label_map(views / "masks" / f"{stem}.png", found.labels)


def _figures(run: Run, trained: Run, data: Path) -> dict[str, float]:
    """By the test views that the trained run has."""
    way = training_frame(trained.pipeline.datamanager).inverse().then(training_frame(run.pipeline.datamanager))
    result, _ = evaluate_views(run.model, run.scene, _moved(trained, way), data / "instances")
    return {key: float(result.figures()[key]) for key in COLUMNS}


def _moved(trained: Run, way: Similarity) -> Iterator[tuple[Path, Cameras, Tensor]]:
    rotation = torch.tensor(way.rotation, dtype=torch.float32)
    for path, camera, image in trained.cameras("test"):
        moved = camera.to("cpu")
        poses = moved.camera_to_worlds.clone()
        poses[:, :3, :3] = rotation @ poses[:, :3, :3]
        poses[:, :3, 3] = torch.tensor(way.apply(poses[:, :3, 3].double().numpy()), dtype=torch.float32)
        moved.camera_to_worlds = poses
        yield path, moved.to(camera.device), image


if __name__ == "__main__":
    tyro.cli(main)
