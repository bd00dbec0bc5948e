"""The tables of both papers as rows that can be run, each with the figures that were published for it.

Figures are averages over the scenes or sequences of a data set; those of the Proto-SaGa paper are over three runs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from proto_saga_ns.association import BANK, GAGA, PAPER, PAPER_AS_RUN, AssociationOptions
from proto_saga_ns.evaluation.standins.options import Layout
from proto_saga_ns.plugin.model.options import SceneOptions
from proto_saga_ns.plugin.model.proto_saga import ProtoSagaModelConfig

Measure = Literal["test views", "training masks", "phrases"]

COLUMNS: dict[Measure, tuple[str, ...]] = {
    "test views": ("mIoU", "precision", "recall", "PSNR"),
    "training masks": ("mIoU", "precision", "recall"),
    "phrases": ("mIoU", "mBIoU", "mIoU by label", "mBIoU by label"),
}
CONSENSUS = AssociationOptions(strategy="consensus")


@dataclass(frozen=True)
class Row:
    """One method.

    Attributes:
        name: in the table.
        association: None for a line that is only quoted.
        scene: what classifies novel views.
        training: options of ns-train besides the usual ones.
        masks: options of its data parser.
        note: what differs from the published method.
        published: in the order of the columns; as many as there are.
    """

    name: str
    association: AssociationOptions | None = None
    scene: SceneOptions = field(default_factory=SceneOptions)
    training: tuple[str, ...] = ()
    masks: tuple[str, ...] = ()
    note: str = ""
    published: tuple[float, ...] = ()


@dataclass(frozen=True)
class Table:
    """One table of the paper, or one curve of its Figure 5.

    Attributes:
        title: what is shown, on which data set.
        layout: the data set's.
        measure: what is compared with the truth.
        rows: in the paper's order.
    """

    title: str
    layout: Layout
    measure: Measure
    rows: tuple[Row, ...]


_GROUPING = Row(
    "Gaussian Grouping",
    AssociationOptions(strategy="memory-bank", mask_ids="trust", min_views=0),
    training=(
        *("--pipeline.model.classifiers", "shared", "--pipeline.model.lambda-neighbours", "2"),
        *("--pipeline.model.lambda-ce", f"{1 / math.log(256):.2f}"),
    ),
    masks=("--mask-source", "mastsam", "--mastsam.matcher", "sift"),
    note="one classifier for all views on tracked masks, with the 3D regularisation and weights of the published "
    "configuration. Unlike there, masks are tracked by MastSAM with SIFT instead of DEVA, the classifier is a cosine "
    "softmax without bias, and unlabelled pixels are no class.",
)
_PAPER_MASKS = (
    Row("ours, depth only", replace(PAPER, criteria="depth"), published=(42.8, 16.8, 46.8)),
    Row("ours, probability only", replace(PAPER, criteria="probability"), published=(45.9, 12.7, 50.2)),
    Row("ours, both", PAPER, published=(43.8, 19.6, 48.5)),
)
_OWN = (
    Row("ours by Gaga's rules (paper-as-run)", PAPER_AS_RUN),
    Row("ours, splinters dropped", BANK),
    Row("consensus (beyond the paper, the default)", CONSENSUS),
)
_DELTAS = (0.1, 0.2, 0.3)
_DELTAS_ON_REPLICA = ((52.0, 49.3, 58.0), (51.7, 49.1, 57.2), (51.6, 49.5, 57.1))
_DELTAS_ON_LERF_MASK = ((78.1, 77.8), (80.9, 77.1), (74.3, 74.0))
_LAMBDAS = (0.01, 0.05, 0.1, 0.5, 1.0)
_TAUS = (1.0, 5.0, 10.0, 20.0, 50.0)


def _unless_default(name: str, value: float) -> tuple[str, ...]:
    """Nothing for the default: the row then shares the training of the other tables."""
    default = getattr(ProtoSagaModelConfig(), name)
    return () if value == default else (f"--pipeline.model.{name.replace('_', '-')}", f"{value:g}")


def _curve(name: str, values: Sequence[float]) -> tuple[Row, ...]:
    return tuple(Row(f"{value:g}", PAPER, training=_unless_default(name, value)) for value in values)


def _by_delta(published: Sequence[tuple[float, ...]]) -> tuple[Row, ...]:
    deltas = zip(_DELTAS, published, strict=True)
    return tuple(
        Row(f"delta {delta}", replace(PAPER, delta_d=delta, delta_s=delta), published=row) for delta, row in deltas
    )


TABLES: dict[str, Table] = {
    "1": Table(
        "Segmentation of test views (Replica)",
        "replica",
        "test views",
        (
            replace(_GROUPING, published=(22.1, 25.0, 20.4, 38.8)),
            Row("Unified-Lift", published=(47.1, 31.3, 49.7, 39.9)),
            Row("Unified-Lift, masks of a video tracker", published=(30.4, 32.1, 30.9, 39.9)),
            Row("Gaga's association", GAGA, published=(46.4, 42.9, 51.8, 39.9)),
            Row("ours", PAPER, published=(51.7, 49.1, 57.2, 39.9)),
            *_OWN,
        ),
    ),
    "2": Table(
        "What phrases choose (LERF-Mask)",
        "lerf-mask",
        "phrases",
        (
            replace(_GROUPING, published=(72.8, 67.6)),
            Row("OmniSeg3D", published=(79.5, 74.3)),
            Row("Unified-Lift", published=(77.9, 74.3)),
            Row("Unified-Lift, masks of a video tracker", published=(80.6, 76.8)),
            Row("Gaga's association", GAGA, published=(78.5, 74.2)),
            Row("ours", PAPER, published=(80.9, 77.1)),
            *_OWN,
        ),
    ),
    "3": Table("Associated masks of training views (Replica)", "replica", "training masks", (*_PAPER_MASKS, *_OWN)),
    "4": Table(
        "What classifies novel views (Replica)",
        "replica",
        "test views",
        (
            Row("trained classifier", PAPER, SceneOptions("trained"), published=(47.0, 41.8, 53.2)),
            Row("K-Means", PAPER, SceneOptions("kmeans"), published=(51.4, 48.0, 55.8)),
            Row("prototypes", PAPER, published=(51.7, 49.1, 57.2)),
        ),
    ),
    "5": Table(
        "Associated masks of training views, with Gaga's (Replica)",
        "replica",
        "training masks",
        (
            replace(_GROUPING, published=(21.8, 24.6, 20.0)),
            Row("Gaga's association", GAGA, published=(43.3, 16.0, 47.3)),
            *_PAPER_MASKS,
            *_OWN,
        ),
    ),
    "6": Table("delta_s = delta_d (Replica)", "replica", "test views", _by_delta(_DELTAS_ON_REPLICA)),
    "6-lerf-mask": Table("delta_s = delta_d (LERF-Mask)", "lerf-mask", "phrases", _by_delta(_DELTAS_ON_LERF_MASK)),
    "7": Table(
        "Segmentation of test views (ScanNet)",
        "scannet",
        "test views",
        (
            replace(_GROUPING, published=(34.2, 18.7, 32.6)),
            Row("Gaga's association", GAGA, published=(45.1, 22.9, 51.0)),
            Row("ours", PAPER, published=(49.8, 26.0, 53.7)),
            *_OWN,
        ),
    ),
    "figure-5-lambda": Table("lambda_CE (Replica)", "replica", "test views", _curve("lambda_ce", _LAMBDAS)),
    "figure-5-tau": Table("tau (Replica)", "replica", "test views", _curve("tau", _TAUS)),
    "figure-5-lambda-lerf-mask": Table("lambda_CE (LERF-Mask)", "lerf-mask", "phrases", _curve("lambda_ce", _LAMBDAS)),
    "figure-5-tau-lerf-mask": Table("tau (LERF-Mask)", "lerf-mask", "phrases", _curve("tau", _TAUS)),
}
"""By number. Of Figure 5 the paper prints no values; those of the curves are ours."""


@dataclass(frozen=True)
class Way:
    """One method of MastSAM's tables.

    Attributes:
        name: in the table.
        published: in the order of the columns, in percent.
        runs: False for a line that is only quoted.
        track: whether masks are followed, or stay as they come.
        matcher: of the tracker.
        prompts: what makes the masks of a frame.
        initialise: unmasked region initialisation (Sec. IV D).
        note: what differs from the published method.
    """

    name: str
    published: tuple[float | None, ...] = ()
    runs: bool = True
    track: bool = True
    matcher: str = "mast3r"
    prompts: Literal["none", "sam"] = "sam"
    initialise: bool = True
    note: str = ""


@dataclass(frozen=True)
class VideoTable:
    """One table of MastSAM.

    Attributes:
        title: what is shown, on which data set.
        ways: in the paper's order.
    """

    title: str
    ways: tuple[Way, ...]


VIDEO_COLUMNS = ("IoU", "F1", "precision", "recall", "consistency")
TRACK_COLUMNS = ("IoU of tracks", "F1 of tracks", "precision of tracks", "recall of tracks")
"""Not in the paper: of one track for the whole sequence, in place of the best mask of each frame."""
_SIFT = "matches by SIFT in place of MASt3R, and points vote for the masks of each frame instead of prompting new ones."
_FULL = Way("MastSAM", (45.53, 52.28, 52.26, 59.88, 92.32))
_FULL_WITH_SIFT = Way("MastSAM with SIFT", matcher="sift", prompts="none", note=_SIFT)

VIDEO_TABLES: dict[str, VideoTable] = {
    "I": VideoTable(
        "Masks of videos (DAVIS)",
        (
            Way("BYOCL", (39.06, 52.7, 46.21, 66.71, 78.73), runs=False),
            _FULL,
            _FULL_WITH_SIFT,
            Way("masks of each frame (SAM)", (67.87, 78.6, 98.91, 69.65, None), track=False, matcher="sift"),
        ),
    ),
    "II": VideoTable(
        "Unmasked region initialisation (DAVIS)",
        (
            replace(
                _FULL, name="MastSAM without initialisation", published=(36.78, 42.11, 56.82, 37.8), initialise=False
            ),
            _FULL,
            replace(_FULL_WITH_SIFT, name="MastSAM with SIFT, without initialisation", initialise=False),
            _FULL_WITH_SIFT,
        ),
    ),
}
"""Of MastSAM, by number."""
