"""Views of runs are segmented, and become sheets by the names of their files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Integer, UInt8
from rich.console import Console

from proto_saga_ns.cli.work.printing import say
from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.evaluation.instance import InstanceProtocol
from proto_saga_ns.evaluation.report.panels import SeenView
from proto_saga_ns.evaluation.report.sheets import Block, Format, Row, Sheet, draw_sheet
from proto_saga_ns.evaluation.report.stages import TrainingStages, comparable_picture, novel_pictures
from proto_saga_ns.evaluation.standins.marks import mark_labels
from proto_saga_ns.export.videos.pictures import to_uint8
from proto_saga_ns.files import write_atomically
from proto_saga_ns.labels import read_label_map
from proto_saga_ns.labels.colors import colorize
from proto_saga_ns.labels.overview.page import evenly_spread
from proto_saga_ns.labels.view_names import view_name
from proto_saga_ns.plugin.model.associate import training_views
from proto_saga_ns.plugin.model.evaluate import truths_of_views
from proto_saga_ns.plugin.model.views import segment_view
from proto_saga_ns.plugin.run import Run, load_run
from proto_saga_ns.progress import progress_bar

if TYPE_CHECKING:
    from nerfstudio.cameras.cameras import Cameras
    from torch import Tensor

View = tuple[Path, "Cameras", "Tensor"]
Labels = Integer[np.ndarray, "H W"]
Stages = Mapping[str, UInt8[np.ndarray, "H W 3"]]

ERRORS = "Errors: red another instance, blue none. Hatched: a true instance without a match."
TO_TRUTH = "Instances have the colour of the true one that they are matched with; hatched: matched with none."
TO_FIRST = "Instances have the colour of the one in {} that they are matched with; hatched: matched with none."


@dataclass(frozen=True)
class Wanted:
    """What shall be shown.

    Attributes:
        ground_truth: folder of the test views' true label maps.
        views: how many at most, evenly spread.
        stems: those, in place of evenly spread ones; of no matter which split.
        longest: pixels of the longer side of a picture at most.
    """

    ground_truth: Path | None
    views: int
    stems: Sequence[str]
    longest: int

    def of(self, views: Sequence[View]) -> list[str]:
        """The stems to show of these views."""
        stems = [view_name(path) for path, _, _ in views]
        if self.stems:
            return [stem for stem in self.stems if stem in stems]
        return [stems[index] for index in evenly_spread(len(stems), self.views)]

    def check(self, views: Iterable[View]) -> None:
        """
        Raises:
            ProtoSagaError: a stem that no view has, or no view at all.
        """
        known = sorted(view_name(path) for path, _, _ in views)
        if not known:
            raise ProtoSagaError("The run has no view to show.")
        unknown = [stem for stem in self.stems if stem not in known]
        if unknown:
            raise ProtoSagaError(
                f"--stems {' '.join(unknown)}: no such view. Expected names of images without ending, such as "
                f"{', '.join(known[:3])}; runs are compared on their test views."
            )

    def truths(self, views: Iterable[View]) -> dict[str, Path]:
        """File of the truth of every view; empty without ground truth.

        Raises:
            ProtoSagaError: a view has none.
        """
        if self.ground_truth is None:
            return {}
        images = [path for path, _, _ in views]
        return dict(zip(map(view_name, images), truths_of_views(images, self.ground_truth), strict=True))


def write_sheets(
    configs: Sequence[Path], names: Sequence[str], data: Path | None, wanted: Wanted, output: Path, form: Format
) -> None:
    """Write the sheets of one run, or those that compare several, and say what was written.

    Args:
        configs: config.yml of each run.
        names: of the runs.
        data: where the data lies now, if it has moved.
        output: folder for the files.
        form: of the files.
    """
    if len(configs) == 1:
        sheets = sheets_of_run(load_run(configs[0], data), wanted)
    else:
        sheets = sheets_of_runs(names, (load_run(config, data) for config in configs), wanted)
    for name, sheet in sheets.items():
        file = output / f"{name}.{form}"
        content = draw_sheet(sheet, form)
        write_atomically(file, content)
        say(f"{file} ({len(content) / 1e3:.0f} kB)")


def sheets_of_run(run: Run, wanted: Wanted) -> dict[str, Sheet]:
    """Sheets of the chosen views of a run and the overview, by file names without ending.

    Raises:
        ProtoSagaError: the scene is not segmented yet, a test view has no ground truth, or there is no view as wanted.
    """
    wanted.check(run.cameras("all"))
    blocks = {"train": dict(_training_stages(run, wanted)), "test": _test_stages(run, wanted)}
    marks = _marks(run, wanted)
    notes = (ERRORS,) if wanted.ground_truth is not None else ()
    sheets = {
        f"{split}/{stem}": Sheet([_block({stem: stages}, named=False)], notes if split == "test" else (), marks)
        for split, views in blocks.items()
        for stem, stages in views.items()
    }
    return {**sheets, "overview": Sheet([_block(views) for views in blocks.values() if views], notes, marks)}


def _block(views: Mapping[str, Stages], named: bool = True) -> Block:
    """One row a view; all have the same stages."""
    columns = list(next(iter(views.values())))
    return Block(columns, [Row([*stages.values()], stem if named else "") for stem, stages in views.items()])


def _training_stages(run: Run, wanted: Wanted) -> Iterator[tuple[str, Stages]]:
    """Training views by stem; none, and a word about it, if their masks are not those of the training any more."""
    views = run.named_cameras("train")
    chosen = wanted.of(views)
    try:
        maps = training_views(run.model, run.pipeline.datamanager) if chosen else None
    except ProtoSagaError as error:
        Console(stderr=True, soft_wrap=True).print(f"No training views are shown: {error}", markup=False)
        return
    indices = {view_name(path): index for index, (path, _, _) in enumerate(views)}
    for view in _segmented(run, [views[indices[stem]] for stem in chosen]):
        masks = maps.label_map(indices[view.name]).cpu().numpy()  # type: ignore[union-attr]
        instances = run.scene.mask_instances.get(view.name, [0])
        yield view.name, TrainingStages(view.at_most(wanted.longest), masks, instances).pictures()


def _test_stages(run: Run, wanted: Wanted) -> dict[str, Stages]:
    """Test views by stem. With ground truth all are segmented, for the matches; else only those that are shown."""
    views = run.named_cameras("test")
    chosen, truths = wanted.of(views), wanted.truths(views)
    protocol, seen = InstanceProtocol(), {}
    for view in _segmented(run, views if truths else [view for view in views if view_name(view[0]) in chosen]):
        if truths:
            truth = read_label_map(truths[view.name])
            protocol.add(truth, view.labels)
            view = replace(view, truth=truth)
        if view.name in chosen:
            seen[view.name] = view.at_most(wanted.longest)
    matched = protocol.result().matched_without_void if truths and seen else {}
    return {stem: novel_pictures(seen[stem], matched) for stem in chosen}


def _segmented(run: Run, views: Sequence[View]) -> Iterator[SeenView]:
    scene = run.scene
    for path, camera, photo in progress_bar(views, "Segmenting views"):
        shown = segment_view(run.model, scene, camera)
        rendering = to_uint8(shown.rgb.cpu().numpy())
        yield SeenView(view_name(path), to_uint8(photo.cpu().numpy()), rendering, shown.labels)


def _marks(run: Run, wanted: Wanted) -> list[str]:
    truth = [] if wanted.ground_truth is None else [wanted.ground_truth]
    return mark_labels([run.data, *truth])


@dataclass(frozen=True)
class _SeenRun:
    """What is kept of a run that is compared with others.

    Attributes:
        views: the chosen ones by stem, small; with their truth if there is ground truth.
        labels: of all test views by stem, where other runs are matched with this one; else empty.
        reference_of: the reference's id of each predicted instance that is matched.
    """

    stems: Sequence[str]
    views: Mapping[str, SeenView]
    labels: Mapping[str, Labels]
    reference_of: Mapping[int, int]
    marks: Sequence[str]

    def picture(self, stem: str) -> UInt8[np.ndarray, "H W 3"]:
        """Its segmentation of a view in the reference's colours."""
        return comparable_picture(self.views[stem].labels, self.reference_of)


def sheets_of_runs(names: Sequence[str], runs: Iterable[Run], wanted: Wanted) -> dict[str, Sheet]:
    """Sheets that compare runs on the chosen test views, by file names without ending.

    Args:
        names: of the runs.
        runs: on the same data; taken one at a time.

    Raises:
        ProtoSagaError: a scene is not segmented yet, the test views differ, one has no ground truth, or there is no
            view as wanted.
    """
    seen: list[_SeenRun] = []
    for run in runs:
        seen.append(_look_at(run, wanted, seen[0] if seen else None))
    views = {stem: _compared(names, seen, stem) for stem in seen[0].views}
    notes = (TO_FIRST.format(names[0]) if wanted.ground_truth is None else TO_TRUTH,)
    marks = sorted({mark for run in seen for mark in run.marks})
    sheets = {
        f"compared/{stem}": Sheet([Block(columns, [Row(pictures)])], notes, marks)
        for stem, (columns, pictures) in views.items()
    }
    columns = next(iter(views.values()))[0]
    rows = [Row(pictures, stem) for stem, (_, pictures) in views.items()]
    return {**sheets, "compared": Sheet([Block(columns, rows)], notes, marks)}


def _compared(
    names: Sequence[str], runs: Sequence[_SeenRun], stem: str
) -> tuple[list[str], list[UInt8[np.ndarray, "H W 3"]]]:
    """Captions and pictures of one view."""
    view = runs[0].views[stem]
    columns, pictures = ["photo", *names], [view.photo, *(run.picture(stem) for run in runs)]
    if view.truth is None:
        return columns, pictures
    return [*columns, "ground truth"], [*pictures, colorize(view.truth)]


def _look_at(run: Run, wanted: Wanted, first: _SeenRun | None) -> _SeenRun:
    views = run.named_cameras("test")
    stems = [view_name(path) for path, _, _ in views]
    _check_same(stems, first)
    wanted.check(views)
    chosen, truths, protocol = wanted.of(views), wanted.truths(views), InstanceProtocol()
    seen: dict[str, SeenView] = {}
    labels: dict[str, Labels] = {}
    for view in _segmented(run, views):
        if truths:
            reference = read_label_map(truths[view.name])
            view = replace(view, truth=reference)
        elif first is None:
            reference = labels[view.name] = view.labels.astype(np.uint16)
        else:
            reference = first.labels[view.name]
        protocol.add(reference.astype(np.int32), view.labels)
        if view.name in chosen:
            seen[view.name] = view.at_most(wanted.longest)
    reference_of = {predicted: reference for reference, predicted in protocol.result().matched_without_void.items()}
    return _SeenRun(stems, {stem: seen[stem] for stem in chosen}, labels, reference_of, _marks(run, wanted))


def _check_same(stems: Sequence[str], first: _SeenRun | None) -> None:
    if first is not None and list(stems) != list(first.stems):
        raise ProtoSagaError(
            f"The runs have different test views ({len(first.stems)} and {len(stems)}). Expected runs on the same data "
            "with the same split."
        )
