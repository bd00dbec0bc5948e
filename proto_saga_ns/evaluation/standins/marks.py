"""The mark that every stand-in carries, and how tables find it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from proto_saga_ns.errors import ProtoSagaError

MARK, NOTE = "standin.json", "STANDIN.md"


@dataclass(frozen=True)
class Mark:
    """What a stand-in says about itself.

    Attributes:
        layout: whose layout it has.
        seed: that it was made from.
        segmenter: preset of the simulated segmenter.
        scene: kind of the scene, and what is wrong with poses and images.
    """

    layout: str
    seed: int
    segmenter: str
    scene: str = "room"

    @property
    def label(self) -> str:
        """For the rows of a table: no figure of a stand-in may stand there without it."""
        what = "rendered" if self.scene == "room" else f"rendered {self.scene}"
        return f"STAND-IN ({what}, {self.layout} layout, seed {self.seed}, segmenter {self.segmenter})"


def find_mark(path: Path) -> Mark | None:
    """The mark of the stand-in that a file or folder lies in; None if there is none up to the root.

    Raises:
        ProtoSagaError: a damaged mark.
    """
    where = path.resolve()
    for folder in (where, *where.parents):
        if (folder / MARK).is_file():
            content = read_mark(folder)
            options, preset = content["options"], str(content["segmenter_preset"])
            return Mark(str(options["layout"]), int(options["seed"]), preset, _scene(options))
    return None


def _scene(options: dict[str, Any]) -> str:
    """The kind, and the faults of the capture; marks of before have neither."""
    faults = {
        f"poses wrong by {options.get('pose_noise')} degrees": options.get("pose_noise"),
        "changing exposure": options.get("exposure_changes"),
        f"{options.get('blurred_share', 0):.0%} of the images blurred": options.get("blurred_share"),
    }
    kind, given = str(options.get("kind", "room")), [name for name, there in faults.items() if there]
    return f"{kind} with {', '.join(given)}" if given else kind


def mark_labels(paths: Iterable[Path]) -> list[str]:
    """Labels of the stand-ins that any of these files or folders lie in, each once.

    Raises:
        ProtoSagaError: a damaged mark.
    """
    return sorted({mark.label for path in paths if (mark := find_mark(path)) is not None})


def read_mark(folder: Path) -> dict[str, Any]:
    """All that the mark of a stand-in says.

    Raises:
        ProtoSagaError: missing or damaged.
    """
    path = folder / MARK
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        options, _ = content["options"], content["segmenter_preset"]
        _ = options["layout"], options["seed"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ProtoSagaError(
            f"{path} cannot be read ({error!r}). Expected what proto-saga make-standin writes; make the stand-in again "
            "in another folder."
        ) from error
    return content


def note(mark: dict[str, Any]) -> str:
    """STANDIN.md: the same for people who open the folder."""
    options, rates = mark["options"], mark["segmenter"]
    rows = [f"| {name} | {value} |" for name, value in [*options.items(), ("segmenter", mark["segmenter_preset"])]]
    rows += [f"| segmenter: {name} | {value} |" for name, value in rates.items()]
    names = "\n".join(f"| {number} | {name} |" for number, name in mark["instances"].items())
    return f"""# THIS IS A STAND-IN, NOT A DATA SET
A computer rendered these pictures of a made-up place, and its masks come from the truth, spoilt by chance. Nothing here
was photographed, and nothing here is part of Replica, ScanNet, LERF-Mask or DAVIS, even where files are named and laid
out as theirs. **Figures measured on it say nothing about those data sets: mark them as stand-in wherever they are
shown.** `{MARK}` says the same to programs.

Made by proto_saga_ns {mark["version"]} (`proto-saga make-standin`). The same options give the same files again.

| option | value |
|---|---|
{chr(10).join(rows)}

| instance | name |
|---|---|
{names}
"""
