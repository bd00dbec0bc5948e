"""Print the instance palette of ``proto_saga_ns/labels/colors.py``.

Starts from Okabe-Ito's colours and black (label 0) and adds, one by one, the colour that is farthest from all
before it: distance in Lab, the least of normal, deuteranope and protanope sight.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, UInt8
from skimage.color import rgb2lab

COUNT = 64
GRID_STEP = 10
LIGHTNESS = (30.0, 92.0)
"""Range of added colours: darker ones drown in label 0, lighter ones in white paper."""

OKABE_ITO = ("#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7")

# Machado, Oliveira and Fernandes 2009, severity 1.0; they act on linear RGB.
PROTANOPE = (
    (0.152286, 1.052583, -0.204868),
    (0.114503, 0.786281, 0.099216),
    (-0.003882, -0.048116, 1.051998),
)
DEUTERANOPE = (
    (0.367322, 0.860646, -0.227968),
    (0.280085, 0.672501, 0.047413),
    (-0.011820, 0.042940, 0.968881),
)
SIGHTS = (np.eye(3), np.array(DEUTERANOPE), np.array(PROTANOPE))


def to_lab(rgb: UInt8[np.ndarray, "N 3"]) -> Float[np.ndarray, "S N 3"]:
    """Lab coordinates as each kind of sight perceives them."""
    values = rgb / 255
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    seen = np.stack([linear @ sight.T for sight in SIGHTS]).clip(0, 1)
    encoded = np.where(seen <= 0.0031308, 12.92 * seen, 1.055 * seen ** (1 / 2.4) - 0.055)
    return rgb2lab(encoded)


def distances(lab: Float[np.ndarray, "S N 3"], other: Float[np.ndarray, "S 3"]) -> Float[np.ndarray, " N"]:
    """Distance to one colour for the sight that tells them apart least."""
    return np.linalg.norm(lab - other[:, None], axis=-1).min(axis=0)


def make_palette() -> UInt8[np.ndarray, "64 3"]:
    """Okabe-Ito without its black, then farthest points."""
    axis = np.arange(0, 256, GRID_STEP, dtype=np.uint8)
    grid = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)
    lightness = to_lab(grid)[0, :, 0]
    grid = grid[(lightness >= LIGHTNESS[0]) & (lightness <= LIGHTNESS[1])]
    grid_lab = to_lab(grid)
    palette = [np.array(list(bytes.fromhex(color[1:])), np.uint8) for color in OKABE_ITO]
    nearest = np.full(len(grid), np.inf)
    for color in [np.zeros(3, np.uint8), *palette]:
        nearest = np.minimum(nearest, distances(grid_lab, to_lab(color[None])[:, 0]))
    while len(palette) < COUNT:
        farthest = int(nearest.argmax())
        palette.append(grid[farthest])
        nearest = np.minimum(nearest, distances(grid_lab, grid_lab[:, farthest]))
    return np.stack(palette)


def smallest_distance(palette: UInt8[np.ndarray, "N 3"]) -> float:
    """Distance of the two colours that are hardest to tell apart."""
    lab = to_lab(palette)
    return min(distances(lab[:, :i], lab[:, i]).min() for i in range(1, len(palette)))


def main() -> None:
    """Print the constants and, for several numbers of instances, the smallest distance."""
    palette = make_palette()
    names = [bytes(color).hex() for color in palette]
    for start in range(0, COUNT, 8):
        print(f'    "{" ".join(names[start : start + 8])} "')
    for count in (7, 8, 20, 32, 64):
        print(f"# {count} colours: {smallest_distance(palette[:count]):.1f}")


if __name__ == "__main__":
    main()
