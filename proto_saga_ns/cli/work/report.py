"""What the report on a run says: every test view is segmented once, and the rest is asked of the run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

import proto_saga_ns
from proto_saga_ns.cli.work.printing import say
from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.evaluation.instance import InstanceProtocol
from proto_saga_ns.evaluation.report.figures import Confidences, Overlaps, TrueInstance
from proto_saga_ns.evaluation.report.page import Figure, Page, PanelRow, PredictedRow, TrueRow, render_page
from proto_saga_ns.evaluation.report.panels import LONGEST_CROP, LargestCrops, SeenView, training_panels
from proto_saga_ns.evaluation.report.sentences import what_happened
from proto_saga_ns.evaluation.standins.marks import find_mark
from proto_saga_ns.export.videos.pictures import to_uint8
from proto_saga_ns.files import write_atomically
from proto_saga_ns.labels import read_label_map
from proto_saga_ns.labels.overview.page import evenly_spread
from proto_saga_ns.labels.view_names import view_name
from proto_saga_ns.plugin.model.associate import training_views
from proto_saga_ns.plugin.model.evaluate import truths_of_views
from proto_saga_ns.plugin.model.image_quality import ImageQuality
from proto_saga_ns.plugin.model.views import SegmentedView, segment_view
from proto_saga_ns.plugin.run import Run, load_run
from proto_saga_ns.progress import progress_bar

if TYPE_CHECKING:
    from torch import Tensor

    from proto_saga_ns.scene import SegmentedScene

LONGEST_PANEL, SHORTEST_PANEL = 480, 160
"""Pixels of the longer side of a panel: of up to ``FULL_VIEWS`` views, and of however many."""
FULL_VIEWS = 12
TRAINING_VIEWS = 3
WORST = 6
DIGITS = {"PSNR": 2, "SSIM": 4, "LPIPS": 4}
"""After the point."""
PACKAGES = ("torch", "nerfstudio", "gsplat")


@dataclass
class Seen:
    """What is kept of the test views, which pass one at a time.

    Attributes:
        views: those that the report shows, small.
        quality: of the renderings of all views; None without ground truth.
    """

    views: list[SeenView] = field(default_factory=list)
    quality: ImageQuality | None = None
    confidences: Confidences = field(default_factory=Confidences)
    overlaps: Overlaps = field(default_factory=Overlaps)
    crops: LargestCrops = field(default_factory=LargestCrops)
    protocol: InstanceProtocol = field(default_factory=InstanceProtocol)


@dataclass(frozen=True)
class Measured:
    """The instance protocol's verdict on the test views, and what became of the true instances."""

    figures: Sequence[Figure]
    matched: Mapping[int, int]
    iou: Mapping[int, float]
    instances: Sequence[TrueInstance]


def write_report(
    load_config: Path, data: Path | None, ground_truth: Path | None, views: int, command: str, output: Path
) -> None:
    """Write the report on the run with this config.yml to a file, and say so.

    Args:
        data: where the data lies now, if it has moved.
        ground_truth, views, command: see ``make_page``.
    """
    page = make_page(load_run(load_config, data), ground_truth, views, command)
    content = render_page(page).encode()
    write_atomically(output, content)
    say(f"{output}: {len(page.predicted)} instances, {len(content) / 1e6:.1f} MB")


def make_page(run: Run, ground_truth: Path | None, views: int, command: str) -> Page:
    """Look at a run and put down what the report says.

    Args:
        ground_truth: folder of the test views' true label maps.
        views: how many test views are shown at most.
        command: that makes the report, for the reader.

    Raises:
        ProtoSagaError: the scene is not segmented yet, a test view has no ground truth, or a label map is unreadable.
    """
    longest = longest_panel(views)
    seen = see_test_views(run, ground_truth, views, longest)
    measured = None if ground_truth is None else _measure(seen)
    matched = {} if measured is None else measured.matched
    training, notes = _training_rows(run, longest)
    data = run.data
    mark = find_mark(data) or (None if ground_truth is None else find_mark(ground_truth))
    return Page(
        title=f"{run.config.experiment_name} · {run.config.method_name} · {run.config.timestamp}",
        facts=_facts(run, data),
        options=_options(run.scene),
        command=command,
        mark=None if mark is None else mark.label,
        figures=() if measured is None else measured.figures,
        notes=(_sizes_note(longest), *notes),
        test_views=[PanelRow(view.name, view.panels(matched)) for view in seen.views],
        training_views=training,
        predicted=_predicted_rows(run.scene, seen.confidences, measured),
        true_instances=[] if measured is None else list(_true_rows(run.scene, seen.crops, measured)),
    )


def _sizes_note(longest: int) -> str:
    return (
        f"Panels with more than {longest} pixels on a side, and crops with more than {LONGEST_CROP}, are scaled down; "
        "figures are of the full size."
    )


def longest_panel(views: int) -> int:
    """Pixels of the longer side of a panel, so that more views hardly make a larger file."""
    fitting = LONGEST_PANEL * (FULL_VIEWS / max(views, FULL_VIEWS)) ** 0.5
    return max(SHORTEST_PANEL, round(fitting))


def see_test_views(run: Run, ground_truth: Path | None, shown: int, longest: int) -> Seen:
    """Segment every test view once, and keep what the report needs of it.

    Raises:
        ProtoSagaError: a view has no ground truth, which is found before anything is segmented.
    """
    views, scene = run.named_cameras("test"), run.scene
    images = [path for path, _, _ in views]
    truths = [None] * len(images) if ground_truth is None else truths_of_views(images, ground_truth)
    seen = Seen(quality=None if ground_truth is None else ImageQuality())
    chosen = evenly_spread(len(views), shown)
    for index, (path, camera, photo) in enumerate(progress_bar(views, "Segmenting views")):
        segmented = segment_view(run.model, scene, camera)
        view = _seen_view(path, photo, segmented, truths[index])
        seen.confidences.add(view.labels, segmented.confidence.cpu().numpy())
        if seen.quality is not None and view.truth is not None:
            seen.quality.add(segmented.rgb, photo)
            seen.protocol.add(view.truth, view.labels)
            seen.overlaps.add(view.truth, view.labels)
            seen.crops.add(view)
        if index in chosen:
            seen.views.append(view.at_most(longest))
    return seen


def _seen_view(path: Path, photo: Tensor, segmented: SegmentedView, truth: Path | None) -> SeenView:
    return SeenView(
        path.name,
        to_uint8(photo.cpu().numpy()),
        to_uint8(segmented.rgb.cpu().numpy()),
        segmented.labels,
        None if truth is None else read_label_map(truth),
    )


def _measure(seen: Seen) -> Measured:
    result = seen.protocol.result()
    inner = result.without_void
    void_free = {} if inner is None else inner.figures()
    figures = [
        Figure(name, _text(value), _text(void_free.get(name)))
        for name, value in replace(result, without_void=None).figures().items()
    ]
    quality = {} if seen.quality is None else seen.quality.figures()
    figures += [Figure(name, f"{value:.{DIGITS[name]}f}") for name, value in quality.items()]
    if inner is None:
        return Measured(figures, {}, {}, [])
    return Measured(figures, inner.matched, inner.iou, seen.overlaps.true_instances(inner))


def _text(value: float | int | None) -> str:
    if value is None:
        return ""
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def _training_rows(run: Run, longest: int) -> tuple[list[PanelRow], list[str]]:
    """Rows of training views, or a note why there are none."""
    try:
        maps = training_views(run.model, run.pipeline.datamanager)
    except ProtoSagaError as error:
        Console(stderr=True, soft_wrap=True).print(f"No training views in the report: {error}", markup=False)
        return [], ["Training views are not shown, for their masks are not those of the training any more."]
    chosen = evenly_spread(len(maps), TRAINING_VIEWS)
    instances = run.scene.mask_instances
    rows = []
    for index, (path, _, photo) in enumerate(run.cameras("train")):
        if index in chosen:
            picture, labels = to_uint8(photo.cpu().numpy()), maps.label_map(index).numpy()
            rows.append(
                PanelRow(path.name, training_panels(picture, labels, instances.get(view_name(path), [0]), longest))
            )
    return rows, []


def _predicted_rows(scene: SegmentedScene, confidences: Confidences, measured: Measured | None) -> list[PredictedRow]:
    """The lowest IoU first, then what has no match; without ground truth the largest first."""
    truth_of = {} if measured is None else {predicted: truth for truth, predicted in measured.matched.items()}
    rows = []
    for instance in scene.instances:
        truth = truth_of.get(instance.id)
        rows.append(
            PredictedRow(
                *(instance.id, instance.name, "#{:02x}{:02x}{:02x}".format(*instance.color)),
                *(instance.pixels, instance.n_gaussians, instance.n_views),
                confidence=confidences.mean(instance.id),
                truth=truth,
                iou=None if truth is None or measured is None else measured.iou[truth],
                agreement=instance.agreement,
                is_doubtful=instance.is_doubtful,
            )
        )
    return sorted(rows, key=lambda row: (row.iou is None, row.iou, -row.pixels, row.id))


def _true_rows(scene: SegmentedScene, crops: LargestCrops, measured: Measured) -> Iterator[TrueRow]:
    for index, instance in enumerate(measured.instances):
        crop = crops[instance.id]
        panels = PanelRow(crop.view.name, crop.panels(instance.id, measured.matched)) if index < WORST else None
        yield TrueRow(
            *(instance.id, instance.pixels, instance.views, instance.match, instance.iou),
            what_happened(instance, lambda number: _called(scene, number)),
            panels,
        )


def _called(scene: SegmentedScene, number: int) -> str:
    name = scene.names.get(number)
    return f"instance {number}" if name is None else f"instance {number} ({name})"


def _facts(run: Run, data: Path) -> dict[str, str]:
    manager = run.pipeline.datamanager
    return {
        "method": str(run.config.method_name),
        "data": data.name,
        "instances": str(len(run.scene.instances)),
        "Gaussians": f"{len(run.model.means):,}",
        "training views": str(len(manager.train_dataset)),
        "test views": str(len(manager.eval_dataset)),
        "steps": f"{int(run.checkpoint.stem.split('-')[1]) + 1:,}",
        "proto_saga_ns": proto_saga_ns.__version__,
        **{name: metadata.version(name) for name in PACKAGES},
    }


def _options(scene: SegmentedScene) -> dict[str, str]:
    """Options with dotted names; those of a strategy that was not used are left out."""
    options = dict(_flat(scene.options, ""))
    if options.get("association.strategy") != "consensus":
        return {name: value for name, value in options.items() if not name.startswith("association.consensus.")}
    return options


def _flat(options: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, str]]:
    for name, value in options.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", str(value)
