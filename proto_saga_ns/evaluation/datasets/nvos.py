"""NVOS (Neural Volumetric Object Selection): eight objects in scenes of LLFF; folders as ``object_masks.py`` says."""

from __future__ import annotations

from pathlib import Path

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.evaluation.datasets.findings import (
    PHOTOS,
    PNG,
    Finding,
    Report,
    SceneReport,
    about,
    by_severity,
    check_readable,
    files_in,
    folders_in,
)
from proto_saga_ns.evaluation.datasets.object_masks import MASK, NVOS_FOLDERS

OBJECTS = ("fern", "flower", "fortress", "horns_center", "horns_left", "leaves", "orchids", "trex")
_ARCHIVE = "Unpack nvos-data.zip again, from jason718.github.io/nvos."


def check_nvos(folder: Path) -> Report:
    """What is there of each object, and what is missing.

    Args:
        folder: with masks/, reference_image/ and scribbles/.

    Raises:
        ProtoSagaError: it has none of them.
    """
    names = sorted({path.name for kind in NVOS_FOLDERS for path in folders_in(folder / kind)})
    if not names or (not (folder / "scribbles").is_dir() and not (folder / "reference_image").is_dir()):
        raise ProtoSagaError(
            f"{folder} is no nvos: it has no masks/, reference_image/ and scribbles/ with a folder for each object. "
            "Give the folder llff of the archive; proto-saga data hints nvos says where it comes from."
        )
    missing = [folder / "masks" / name for name in OBJECTS if name not in names]
    what = f"{len(missing)} of {len(OBJECTS)} published objects are missing"
    findings = about("warning", missing, what, "Means over other objects do not compare with published ones.")
    return Report("nvos", folder, tuple(_check_object(folder, name) for name in names), by_severity(findings))


def _check_object(folder: Path, name: str) -> SceneReport:
    truth, reference, strokes = (folder / kind / name for kind in NVOS_FOLDERS)
    masks = [path for stem, path in files_in(truth, PNG).items() if stem.endswith(MASK)]
    references = list(files_in(reference, PHOTOS).values())
    scribbles = {kind: [*strokes.glob(f"{kind}_*.png")] for kind in ("pos", "neg")}
    findings = [
        *_one(masks, truth, f"masks (<view>{MASK}.png)"),
        *_one(references, reference, "reference images"),
        *(finding for kind, files in scribbles.items() for finding in _one(files, strokes, f"scribbles {kind}_*.png")),
        *check_readable([*masks, *references, *scribbles["pos"], *scribbles["neg"]], _ARCHIVE),
    ]
    stems = {path.stem for path in references}
    same = [path for path in masks if path.stem.removesuffix(MASK) in stems]
    findings += about("error", same, "the mask is one of the reference view", _ARCHIVE)
    return SceneReport(name, truth, 0, len(masks), len(masks), by_severity(findings))


def _one(files: list[Path], folder: Path, what: str) -> list[Finding]:
    return [] if len(files) == 1 else [Finding("error", folder, f"{len(files)} {what}; expected one", _ARCHIVE)]
