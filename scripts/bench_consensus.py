"""Time and memory of consensus by the number of Gaussians and views, stage by stage: tables and a picture.

Cameras walk around a room of a hundred instances, of which a hundred masks a view show parts, wholes and unions
(scripts/common/balls_in_room.py). Every size runs in a process of its own, on one thread unless told otherwise;
making the scene and its masks is not counted. Seconds are of the CPU, because the clock says little on a machine with
other work. Memory is what the process holds above what it held at the start. Prints Markdown and writes it to
results/bench_consensus.md, with bench_consensus.png beside it.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import torch
import tyro
from bench_rasterizer import in_process_of_its_own
from common.balls_in_room import BALLS, HEIGHT, WALLS, WIDTH, ball_room, room_views

from proto_saga_ns.association import ConsensusOptions
from proto_saga_ns.association.consensus import blend_views, blended_views, consensus

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MASKS = 100
BUDGET_GIGABYTES = 4
STAGES = {
    "blend weights": [(blended_views, "contributions")],
    "sums over Gaussians": [(consensus, "survey"), (consensus, "atom_units")],
    "atoms (k-means)": [(consensus, "find_atoms")],
    "agreement": [(consensus, "compared")],
    "merging, 7 thetas": [(consensus, "near_pairs"), (consensus, "join_neighbours"), (consensus, "_tree")],
    "masks, support, choice": [(consensus, "find_instances"), (consensus, "self_agreement")],
    "votes": [(consensus, "count_votes")],
}
"""Which functions each stage consists of; what one calls of another stage counts there."""
REST = "rest"
OF_ATOMS = ("agreement", "merging, 7 thetas", "masks, support, choice")
"""Stages that do not look at Gaussians: their time grows with atoms, squared, and with views."""
COLORS = ("#0072b2", "#56b4e9", "#009e73", "#f0e442", "#d55e00", "#cc79a7", "#e69f00", "#999999")


@dataclass(frozen=True)
class Case:
    """How many Gaussians and views."""

    gaussians: int
    views: int

    def __str__(self) -> str:
        return f"{_short(self.gaussians)} x {self.views}"


SIZES = tuple(Case(gaussians, views) for gaussians in (45_000, 300_000, 1_000_000) for views in (60, 200))
DOUBLED = (Case(600_000, 60), Case(300_000, 120))
"""Twice the Gaussians and twice the views of one of the sizes."""


@dataclass(frozen=True)
class Measured:
    """One run of ``find_consensus``.

    Attributes:
        seconds: of the CPU, by stage.
        gigabytes: peak above the start, by stage.
        clock: seconds that passed.
        visible: Gaussians that a view shows, in the mean.
        renderings: of views.
        atoms: K.
        instances: found; ``BALLS + WALLS`` are there.
        theta: chosen.
    """

    seconds: dict[str, float]
    gigabytes: dict[str, float]
    clock: float
    visible: float
    renderings: int
    atoms: int
    instances: int
    theta: float


def main(
    sizes: tuple[int, ...] = tuple(range(len(SIZES))),
    doubling: bool = True,
    resume: bool = False,
    threads: int = 1,
    output: Path = Path("results/bench_consensus.md"),
) -> None:
    """Time consensus.

    Args:
        sizes: which of the six sizes, 0 (45k Gaussians, 60 views) to 5 (1M Gaussians, 200 views).
        doubling: whether 300k Gaussians and 60 views are compared with twice the Gaussians and twice the views.
        resume: whether sizes are left out that an earlier run has measured and written to bench_consensus.json.
        threads: of torch and the kernels.
        output: Markdown file to write; the picture and the JSON file have the same name.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    measured = _known(output.with_suffix(".json")) if resume else {}
    for case in dict.fromkeys([*(SIZES[index] for index in sizes), *(DOUBLED if doubling else ())]):
        if case not in measured:
            measured[case] = in_process_of_its_own(measure, case, threads)
            print(case, measured[case], flush=True)
            rows = [[asdict(case), asdict(row)] for case, row in measured.items()]
            output.with_suffix(".json").write_text(json.dumps(rows))
    chosen = {SIZES[index]: measured[SIZES[index]] for index in sizes}
    lines = [
        f"`python scripts/bench_consensus.py --threads {threads}`",
        "",
        *_table(chosen),
        "",
        *_memory_table(chosen),
    ]
    lines += ["", *_growth_table(measured)]
    text = "\n".join(lines)
    print(text)
    output.write_text(text + "\n")
    draw(chosen, output.with_suffix(".png"))


def _known(file: Path) -> dict[Case, Measured]:
    rows = json.loads(file.read_text()) if file.exists() else []
    return {Case(**case): Measured(**row) for case, row in rows}


def measure(case: Case, threads: int) -> Measured:
    """Consensus with default options, and what each stage of it takes."""
    torch.set_num_threads(threads)
    room = ball_room(case.gaussians)
    views = room_views(room, case.views, MASKS)
    clock = StageClock()
    with clock.watching():
        start = time.perf_counter()
        blended = blend_views(room.geometry, views)
        found = consensus.find_consensus(room.geometry.means.numpy(), room.embeddings, blended, ConsensusOptions())
        clock.switch(None)
        passed = time.perf_counter() - start
    return Measured(
        *(clock.seconds, clock.gigabytes, passed, statistics.mean(clock.shown[: case.views]), len(clock.shown)),
        *(found.atoms.count, len(found.instances.support), found.theta),
    )


class StageClock:
    """CPU seconds and peak memory of stages; at every moment one stage runs, that of the innermost function.

    Attributes:
        seconds: by stage.
        gigabytes: by stage, above what was in use when the watching began.
        shown: Gaussians in the view of each rendering.
    """

    def __init__(self) -> None:
        self.seconds = dict.fromkeys([*STAGES, REST], 0.0)
        self.gigabytes = dict.fromkeys([*STAGES, REST], 0.0)
        self.shown: list[int] = []
        self._stage: str | None = None
        self._since, self._base = 0.0, 0.0

    @contextmanager
    def watching(self) -> Iterator[None]:
        """The functions of ``STAGES`` report to this clock."""
        with ExitStack() as patches:
            for stage, functions in STAGES.items():
                for module, name in functions:
                    patches.enter_context(patch.object(module, name, self._timed(stage, getattr(module, name))))
            contributions = blended_views.contributions
            patches.enter_context(patch.object(blended_views, "contributions", self._counted(contributions)))
            self._base = restart_peak()
            self.switch(REST)
            yield

    def switch(self, stage: str | None) -> str | None:
        """Start a stage, or pause with None. Returns what ran before."""
        before, now = self._stage, time.process_time()
        if before is not None:
            self.seconds[before] += now - self._since
            self.gigabytes[before] = max(self.gigabytes[before], gigabytes("VmHWM") - self._base)
        restart_peak()
        self._stage, self._since = stage, time.process_time()
        return before

    def _timed(self, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any, **named: Any) -> Any:
            before = self.switch(stage)
            result = function(*arguments, **named)
            self.switch(before)
            return result

        return run

    def _counted(self, contributions: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any) -> Any:
            found = contributions(*arguments)
            before = self.switch(None)
            self.shown.append(len(found.gaussians.unique_consecutive()))
            self.switch(before)
            return found

        return run


def restart_peak() -> float:
    """The peak starts again from what is in use, which is returned (Linux only)."""
    Path("/proc/self/clear_refs").write_text("5")
    return gigabytes("VmRSS")


def gigabytes(name: str) -> float:
    """A figure of this process by its name in Linux's /proc."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1]) / 2**20


def _table(rows: dict[Case, Measured]) -> Iterator[str]:
    yield f"CPU seconds, {MASKS} masks a view, {WIDTH}x{HEIGHT}; {BALLS + WALLS} true instances."
    yield ""
    columns = [*STAGES, REST, "**sum**", "clock", "peak GB", "visible a view", "atoms", "instances"]
    yield f"| Gaussians x views | {' | '.join(columns)} |"
    yield f"|---|{'---|' * len(columns)}"
    for case, row in rows.items():
        cells = [f"{value:.1f}" for value in row.seconds.values()]
        cells += [f"**{sum(row.seconds.values()):.1f}**", f"{row.clock:.0f}"]
        cells += [f"{max(row.gigabytes.values()):.2f}", _short(row.visible)]
        yield f"| {case} | {' | '.join([*cells, str(row.atoms), str(row.instances)])} |"


def _memory_table(rows: dict[Case, Measured]) -> Iterator[str]:
    yield f"Gigabytes at the peak of each stage, above the start (budget: {BUDGET_GIGABYTES})."
    yield ""
    yield f"| Gaussians x views | {' | '.join([*STAGES, REST])} | **peak** | renderings a view |"
    yield f"|---|{'---|' * (len(STAGES) + 3)}"
    for case, row in rows.items():
        cells = [f"{value:.2f}" for value in row.gigabytes.values()]
        cells += [f"**{max(row.gigabytes.values()):.2f}**", f"{row.renderings / case.views:.1f}"]
        yield f"| {case} | {' | '.join(cells)} |"


def _growth_table(rows: dict[Case, Measured]) -> Iterator[str]:
    yield f"The stages that look at Gaussians (all but {'; '.join(OF_ATOMS)}): linear if the last column is constant."
    yield ""
    yield "| Gaussians x views | visible x views | CPU seconds | microseconds for each visible Gaussian of a view |"
    yield "|---|---|---|---|"
    for case, row in sorted(rows.items(), key=lambda item: item[1].visible * item[0].views):
        work = row.visible * case.views
        seconds = sum(value for stage, value in row.seconds.items() if stage not in OF_ATOMS)
        yield f"| {case} | {_short(work)} | {seconds:.1f} | {1e6 * seconds / work:.2f} |"


def _short(number: float) -> str:
    return f"{number / 1e6:.4g}M" if number >= 1e6 else f"{number / 1e3:.0f}k"


def draw(rows: dict[Case, Measured], file: Path) -> None:
    """A bar of seconds for each size, cut into stages, and its shares beside it."""
    import matplotlib.pyplot as plt

    canvas, (absolute, relative) = plt.subplots(1, 2, figsize=(11, 0.5 * len(rows) + 1.6), layout="constrained")
    _bars(absolute, rows, relative=False)
    _bars(relative, rows, relative=True)
    absolute.set_title("CPU seconds; peak memory above the start", fontsize=10)
    relative.set_title("share of each stage, %", fontsize=10)
    relative.set_yticks([])
    canvas.legend(*absolute.get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=9, frameon=False)
    canvas.savefig(file, dpi=130)
    plt.close(canvas)


def _bars(axes: Axes, rows: dict[Case, Measured], relative: bool) -> None:
    names = [f"{_short(case.gaussians)} Gaussians, {case.views} views" for case in rows]
    sums = [sum(row.seconds.values()) for row in rows.values()]
    ends = [0.0] * len(rows)
    for stage, color in zip([*STAGES, REST], COLORS, strict=True):
        widths = [
            row.seconds[stage] * (100 / total if relative else 1)
            for row, total in zip(rows.values(), sums, strict=True)
        ]
        axes.barh(names, widths, left=ends, color=color, label=stage)
        ends = [end + width for end, width in zip(ends, widths, strict=True)]
    axes.invert_yaxis()
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_xlim(0, 100 if relative else 1.25 * max(sums))
    for place, (row, total) in enumerate(zip(rows.values(), sums, strict=True)):
        if not relative:
            axes.text(total, place, f" {total:.0f} s, {max(row.gigabytes.values()):.1f} GB", va="center", fontsize=9)


if __name__ == "__main__":
    tyro.cli(main)
