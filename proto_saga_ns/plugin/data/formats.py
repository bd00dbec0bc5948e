"""Which format the poses of a folder have, and the name of the data parser that reads it."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from proto_saga_ns.errors import ProtoSagaError

RECONSTRUCTIONS = (Path("colmap/sparse/0"), Path("sparse/0"), Path("sparse"))
"""Where COLMAP's reconstruction lies in the folder of the data, in the order in which it is looked for."""
CAMERA_FILES = ("cameras.bin", "cameras.txt")
WORDS_OF_IMAGE = 10
"""In a line of images.txt: number, quaternion, translation, camera, name."""
LOOKED_FOR = f"{' or '.join(map(str, RECONSTRUCTIONS))} with {' or '.join(CAMERA_FILES)}"


def find_reconstruction(data: Path) -> Path | None:
    """The folder of COLMAP's reconstruction, relative to that of the data; None if there is none."""
    return next((folder for folder in RECONSTRUCTIONS if _is_reconstruction(data / folder)), None)


def reconstruction(data: Path, chosen: Path | None, parser: str = "colmap") -> Path:
    """The folder of COLMAP's reconstruction, relative to that of the data.

    Args:
        chosen: by the user; None takes the first of ``RECONSTRUCTIONS``.
        parser: name of the data parser that asks.

    Raises:
        ProtoSagaError: there is none; or none where the user says.
    """
    found = find_reconstruction(data)
    if chosen is None:
        if found is None:
            raise ProtoSagaError(f"No poses: {data} has no {LOOKED_FOR}. {advice(data, parser)}")
        return found
    if not _is_reconstruction(data / chosen):
        remedy = advice(data, parser) if found is None else f"There is one in {found}: --colmap-path {found}."
        raise ProtoSagaError(f"--colmap-path {chosen}: {data / chosen} has no {' or '.join(CAMERA_FILES)}. {remedy}")
    return chosen


def larger_model(data: Path, chosen: Path) -> tuple[Path, int, int] | None:
    """The model beside the chosen one that has the most images, if it has more: COLMAP makes several where it must.

    Returns:
        Its folder, relative to the data; how many images it has; how many the chosen one.
    """
    own = count_images(data / chosen)
    others = (folder for folder in sorted((data / chosen).parent.glob("*")) if folder.name.isdecimal())
    counts = {folder: count_images(folder) for folder in others if _is_reconstruction(folder)}
    best = max(counts, key=lambda folder: counts[folder], default=None)
    if best is None or counts[best] <= own or not chosen.name.isdecimal():
        return None
    return best.relative_to(data), counts[best], own


def count_images(model: Path) -> int:
    """How many images a reconstruction has poses of; 0 if that cannot be read."""
    binary, text = model / "images.bin", model / "images.txt"
    if text.is_file():
        return sum(1 for _ in _image_lines(text))
    try:
        with binary.open("rb") as file:
            return int.from_bytes(file.read(8), "little")
    except OSError:
        return 0


def check_names(model: Path) -> None:
    """Raise a ``ProtoSagaError`` for a name with a space in a model of text, which nerfstudio cuts off there."""
    file = model / "images.txt"
    if (model / "images.bin").is_file() or not file.is_file():
        return
    for words in _image_lines(file):
        if len(words) > WORDS_OF_IMAGE:
            name = " ".join(words[WORDS_OF_IMAGE - 1 :])
            raise ProtoSagaError(
                f"The image {name!r} in {file} has a space in its name, where nerfstudio cuts it off. Convert the "
                f"model to binary (colmap model_converter --output_type BIN --input_path {model} --output_path {model})"
                ", or rename the images."
            )


def _image_lines(file: Path) -> Iterator[list[str]]:
    with file.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            words = line.split()
            if words and not words[0].startswith("#"):
                yield words
                next(lines, "")  # its points, an empty line perhaps


def fitting_parser(data: Path) -> str | None:
    """Name of the data parser for what lies in a folder; None if nothing is known.

    transforms.json goes before COLMAP's folder, and that before transforms_train.json.
    """
    if data.suffix == ".json" or (data / "transforms.json").is_file():
        return "nerfstudio-data"
    if find_reconstruction(data) is not None:
        return "colmap"
    return "blender-data" if (data / "transforms_train.json").is_file() else None


def advice(data: Path, chosen: str) -> str:
    """What to do where the files of the chosen data parser are missing: another parser, or making poses."""
    fits = fitting_parser(data)
    if fits is None or fits == chosen:
        return "Expected images with poses: ns-process-data makes them from photos."
    poses = {"nerfstudio-data": "transforms.json", "blender-data": "transforms_train.json"}
    there = poses.get(fits, f"COLMAP's {find_reconstruction(data)}")
    return f"There is {there} in it, which the data parser {fits} reads{_as_command(sys.argv, chosen, fits)}."


def _as_command(words: Sequence[str], chosen: str, fits: str) -> str:
    """What was typed, with another data parser; nothing if it was not ns-train, which names one at its end."""
    if Path(words[0]).name != "ns-train":
        return ""
    typed = words[1:] if chosen in words else [*words[1:], chosen]
    return f": {shlex.join(['ns-train', *(fits if word == chosen else word for word in typed)])}"


def _is_reconstruction(folder: Path) -> bool:
    return any((folder / name).is_file() for name in CAMERA_FILES)
