"""How well single objects can be cut out of the demo scene: Gaussians given to instances in several ways.

ns-train proto-saga-lite --data proto_saga_ns/cli/demo_scene/dining
python scripts/reproduce_object_masks.py --load-config outputs/dining/proto-saga-lite/DATE/config.yml

Objects are matched with the instances that the scene shows in the test views (Hungarian matching of the instance
protocol); floor, ceiling and walls are none. Of each matched object only its own Gaussians are rendered into the test
views, and where they are more opaque than a half is compared with the true mask. What lies behind another object does
not count, for nobody knows how the object goes on there. What lies behind a wall or the floor counts as wrong: there it
ends. Figures are means over the matched objects, then over the runs. Prints a Markdown table and writes it under
results/.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import tyro
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from proto_saga_ns.association import apply_association
from proto_saga_ns.cli.demo_scene import DINING
from proto_saga_ns.evaluation.instance import InstanceProtocol, InstanceResult
from proto_saga_ns.labels import read_label_map
from proto_saga_ns.plugin.model.associate import count_votes, segmented_views, training_views
from proto_saga_ns.plugin.model.render import CameraView
from proto_saga_ns.plugin.model.views import TrainingViews, segment_view
from proto_saga_ns.plugin.run import Run, load_run
from proto_saga_ns.rasterize import rasterization
from proto_saga_ns.recognition.gaussian_instances import MIN_SEEN, GaussianInstances, elect

COLUMNS = ("precision", "recall", "IoU", "mIoU of views", "P of views", "R of views")
SHELL = ("floor", "ceiling", "wall")
"""How the names begin of that behind which nothing is."""
OTHER_SHARES = (0.05, 0.15, 0.2)
"""Tried in place of ``MIN_SEEN``."""
OPAQUE = 0.5
DEPTH_TOLERANCE = 0.03
"""What an object shows alone may lie so far behind what the whole scene shows, relative to the depth, and still count
as seen."""


@dataclass(frozen=True)
class TestView:
    """One view to compare in.

    Attributes:
        camera: from where.
        truth: true instance ids.
        shell: where floor, ceiling and walls are.
        predicted: instance ids by the scene.
        depth: expected depth of the whole scene.
    """

    camera: CameraView
    truth: Int[Tensor, "H W"]
    shell: Bool[Tensor, "H W"]
    predicted: Int[np.ndarray, "H W"]
    depth: Float[Tensor, "H W"]


@torch.no_grad()
def main(
    load_config: tuple[Path, ...],
    ground_truth: Path = DINING / "instances",
    output: Path = Path("results/object_masks.md"),
) -> None:
    """Print the table.

    Args:
        load_config: config.yml of runs on the demo scene.
        ground_truth: true instance ids of all views; their names are in instances.json beside this folder.
        output: Markdown file to write.
    """
    found = [_rows(load_run(config), ground_truth) for config in load_config]
    lines = [f"| Gaussians by | {' | '.join(COLUMNS)} |", f"|---|{'---|' * len(COLUMNS)}"]
    for name in found[0]:
        means = np.mean([rows[name] for rows in found], axis=0)
        lines.append(f"| {name} | {' | '.join(f'{100 * value:.1f}' for value in means)} |".replace("nan", ""))
    table = "\n".join(lines) + "\n"
    print(table)
    output.parent.mkdir(parents=True, exist_ok=True)
    command = "python scripts/reproduce_object_masks.py --load-config " + " ".join(map(str, load_config))
    output.write_text(f"`{command}`\n\n{table}")


def _rows(run: Run, ground_truth: Path) -> dict[str, list[float]]:
    names = json.loads((ground_truth.parent / "instances.json").read_text())
    shell = [int(number) for number, name in names.items() if name.startswith(SHELL)]
    views = training_views(run.model, run.pipeline.datamanager)
    truths = [read_label_map(ground_truth / f"{name}.png").astype(np.int64) for name in views.names]
    given = [_associated(run, views, index) for index in range(len(views))]
    tests = list(_test_views(run, ground_truth, shell))
    pixels = _protocol(tests, lambda test: test.predicted)
    matched = {truth: own for truth, own in pixels.matched.items() if own > 0 and truth not in shell}
    own = replace(run.scene, gaussians=None).instances_of(run.model.embeddings)
    oracle = count_votes(run.model, views, map(torch.from_numpy, truths)).elect()
    counted = count_votes(run.model, views, segmented_views(views, run.scene))

    def votes(share: float) -> list[float]:
        """Of the segmented training views, where so much must be seen of a Gaussian."""
        seen_share = counted.seen_share * (MIN_SEEN / share) if share else None
        return _row(run, tests, elect(counted.counts, run.model.num_points, seen_share), matched)

    return {
        "pixels, for comparison": [np.nan, np.nan, np.nan, *_of_views(pixels)],
        "nearest prototype of the own embedding": _row(run, tests, own, matched),
        "votes of the associated masks": _row(run, tests, count_votes(run.model, views, given).elect(), matched),
        "votes of the segmented training views, hardly seen ones too": votes(0.0),
        "**votes of the segmented training views**": votes(MIN_SEEN),
        **{f"the same, seen is from {share:.0%}": votes(share) for share in OTHER_SHARES},
        "votes of the true training views": _row(run, tests, oracle, {truth: truth for truth in matched}),
    }


def _associated(run: Run, views: TrainingViews, index: int) -> Int[Tensor, "H W"]:
    instance_of_mask = np.array(run.scene.mask_instances[views.names[index]], dtype=np.int32)
    return torch.from_numpy(apply_association(views.label_map(index).numpy(), instance_of_mask))


def _test_views(run: Run, ground_truth: Path, shell: list[int]) -> Iterator[TestView]:
    for path, camera, _ in run.cameras("test"):
        truth = torch.from_numpy(read_label_map(ground_truth / f"{path.stem}.png").astype(np.int64))
        shown = segment_view(run.model, run.scene, camera)
        view = run.model.view_of(camera.to(run.model.device), corrected=False)
        everything = torch.ones(run.model.num_points, dtype=torch.bool)
        is_shell = torch.isin(truth, torch.tensor(shell))
        yield TestView(view, truth, is_shell, shown.labels, _alone(run, view, everything)[1])


def _row(run: Run, tests: list[TestView], found: GaussianInstances, matched: dict[int, int]) -> list[float]:
    figures = [_cut_out(run, tests, truth, found.seen_ids == own) for truth, own in matched.items()]
    shown = _protocol(tests, lambda test: _label_map(run, test.camera, found.ids))
    return [*np.mean(figures, axis=0), *_of_views(shown)]


def _of_views(result: InstanceResult) -> tuple[float, float, float]:
    return result.miou, result.precision, result.recall


def _protocol(tests: list[TestView], predict: Callable[[TestView], Int[np.ndarray, "H W"]]) -> InstanceResult:
    protocol = InstanceProtocol()
    for test in tests:
        protocol.add(test.truth.numpy(), predict(test))
    return protocol.result()


def _cut_out(run: Run, tests: list[TestView], truth: int, own: Bool[Tensor, " N"]) -> tuple[float, float, float]:
    """Precision, recall and IoU of what the Gaussians of one object show, over the pixels of all views."""
    right, true, covered = 0, 0, 0
    for test in tests:
        alpha, depth = _alone(run, test.camera, own)
        mask = test.truth == truth
        # Behind another object it is merely hidden, which no precision is lost by.
        seen = (alpha > OPAQUE) & (mask | test.shell | (depth <= (1 + DEPTH_TOLERANCE) * test.depth))
        right += int((seen & mask).sum())
        true += int(mask.sum())
        covered += int(seen.sum())
    return right / max(covered, 1), right / max(true, 1), right / max(true + covered - right, 1)


def _alone(run: Run, view: CameraView, own: Bool[Tensor, " N"]) -> tuple[Float[Tensor, "H W"], Float[Tensor, "H W"]]:
    """Opacity and expected depth of some of the Gaussians."""
    image, alpha = _render(run, view, own, torch.zeros(run.model.num_points, 1), "ED")
    return alpha, image[..., 0]


def _label_map(run: Run, view: CameraView, ids: Int[Tensor, " N"]) -> Int[np.ndarray, "H W"]:
    """Instance ids rendered as one channel each; the strongest wins."""
    present, place = ids.unique(return_inverse=True)
    one_hot = F.one_hot(place, len(present)).float()
    image, alpha = _render(run, view, torch.ones_like(ids, dtype=torch.bool), one_hot, "RGB")
    return present[image.argmax(dim=-1)].masked_fill(alpha < run.scene.min_alpha, 0).numpy()


def _render(run: Run, view: CameraView, own: Bool[Tensor, " N"], colors: Tensor, mode) -> tuple[Tensor, Tensor]:
    if not own.any():
        blank = colors.new_zeros(view.height, view.width)
        return blank[..., None], blank
    image, alpha, _ = rasterization(
        **run.model.gaussians().geometry.of(own).arguments,
        colors=colors[own],
        viewmats=view.viewmats,
        Ks=view.intrinsics,
        width=view.width,
        height=view.height,
        render_mode=mode,
        packed=False,
    )
    return image[0], alpha[0, ..., 0]


if __name__ == "__main__":
    tyro.cli(main)
