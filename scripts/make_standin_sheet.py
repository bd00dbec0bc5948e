"""Draw views of a stand-in with their truth and the simulated masks: docs/images/standin*.png.

proto-saga make-standin --output-dir ROOM --seed 2
python scripts/make_standin_sheet.py ROOM docs/images/standin.png
proto-saga make-standin --output-dir HOUSE --seed 3 --kind house --segmenter correlated
python scripts/make_standin_sheet.py HOUSE docs/images/standin_house.png
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw

from proto_saga_ns.evaluation.standins.marks import read_mark
from proto_saga_ns.labels import read_label_map, read_rgb
from proto_saga_ns.labels.colors import colorize

TITLE_HEIGHT = 18


def main() -> None:
    """Read the folder, write the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="a stand-in in nerfstudio's layout")
    parser.add_argument("output", type=Path)
    parser.add_argument("--views", type=int, default=4)
    arguments = parser.parse_args()
    names = [
        Path(name).stem for name in json.loads((arguments.folder / "transforms.json").read_text())["train_filenames"]
    ]
    options, segmenter = (read_mark(arguments.folder)[key] for key in ("options", "segmenter_preset"))
    # The walk has two laps but in a house; the first alone shows no place twice.
    laps = 1 if options["kind"] == "house" else 2
    chosen = [names[index * len(names) // (laps * arguments.views)] for index in range(arguments.views)]
    rows = {
        f"image (rendered stand-in: {options['kind']}, no data set)": [
            read_rgb(arguments.folder / "images" / f"{n}.png") for n in chosen
        ],
        **{
            title: [colorize(read_label_map(arguments.folder / folder / f"{name}.png")) for name in chosen]
            for folder, title in (
                ("instances", "true instances: one colour means one instance in all views"),
                ("masks", f"simulated segmenter, {segmenter}: colours mean nothing across views, black is unlabelled"),
            )
        },
    }
    sheet = np.concatenate([titled(title, np.concatenate(row, axis=1)) for title, row in rows.items()])
    # A palette of 256 colours makes the file a third as large.
    Image.fromarray(sheet).quantize(256, dither=Image.Dither.NONE).save(arguments.output, optimize=True)


def titled(title: str, picture: UInt8[np.ndarray, "H W 3"]) -> UInt8[np.ndarray, "H2 W 3"]:
    """A picture with a line of text above it."""
    height, width = picture.shape[:2]
    image = Image.new("RGB", (width, height + TITLE_HEIGHT), "white")
    image.paste(Image.fromarray(picture), (0, TITLE_HEIGHT))
    ImageDraw.Draw(image).text((4, 3), title, fill="black")
    return np.asarray(image)


if __name__ == "__main__":
    main()
