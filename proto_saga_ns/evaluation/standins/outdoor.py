"""A place outside from a seed: objects on a meadow, trees and sheds farther away, hills, and a sky without a surface.

As in data sets whose truth is made in 3D, the sky has no id: it is 0 in the truth, and has neither points nor depth.
The ground and the hills are instances.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from proto_saga_ns.evaluation.standins import furniture, outdoor_things, small_things
from proto_saga_ns.evaluation.standins.cameras import Path, look_at, walk_stream
from proto_saga_ns.evaluation.standins.furniture import Rng
from proto_saga_ns.evaluation.standins.things import Placed, Thing
from proto_saga_ns.evaluation.standins.world import Light, World

_STREAM = 8
_NUM_SHELL = 2
"""Instances 1 and 2 are the ground and the hills."""
_HILLS = 60.0
_FAR_SHARE = 0.25
"""Of the objects, those beyond the cameras."""
_FAR = (6.0, 24.0)
"""Metres from the cameras' circle to what is far."""
_APART = 0.12
_LAPS = 2
_LOOK_ALIKES = 0.4
"""Share of the objects near by that have the shape and paint of another."""
_NEAR: tuple[Callable[[Rng], Thing], ...] = (
    *(outdoor_things.bush, outdoor_things.stone, outdoor_things.bench, outdoor_things.bin_with_lid),
    *(
        outdoor_things.barrel,
        outdoor_things.post_box,
        outdoor_things.cone,
        outdoor_things.tub,
        outdoor_things.picnic_table,
    ),
    *(furniture.chair, furniture.crate, furniture.ball, furniture.stool, furniture.plant),
)
_DISTANT = (outdoor_things.tree, outdoor_things.tree, outdoor_things.fir, outdoor_things.shed, outdoor_things.lamp_post)


def make_outdoor(seed: int, count: int) -> tuple[World, Path]:
    """The place of a seed, and the walk around it.

    Args:
        count: of instances, the ground and the hills among them.
    """
    rng = np.random.default_rng([seed, _STREAM])
    far = int(_FAR_SHARE * count)
    near = count - far - _NUM_SHELL
    radius = 0.62 * float(np.sqrt(near)) + 0.3
    circle = radius + 2.0
    land = [
        Placed(thing, (0.0, 0.0, 0.0))
        for thing in (outdoor_things.ground(rng, 2 * _HILLS), outdoor_things.hills(rng, _HILLS))
    ]
    spots = _Spots(rng)
    placed = _near(rng, spots, radius, near)
    for _ in range(far):
        # In front of the hills, seldom close to the cameras.
        thing = _DISTANT[int(rng.integers(len(_DISTANT)))](rng)
        reach = max(thing.size[:2]) / 2
        inner = circle + _FAR[0] + reach
        placed.append(spots.place(thing, lambda inner=inner: inner + (_FAR[1] - _FAR[0]) * rng.random() ** 1.5))
    sun = rng.uniform(0, 2 * np.pi)
    light = Light(
        ((float(220 * np.cos(sun)), float(220 * np.sin(sun)), 240.0),),
        False,
        0.9999,
        ((0.82, 0.88, 0.92), (0.36, 0.56, 0.86)),
    )
    return World((2 * _HILLS, 2 * _HILLS, 10.0), (*land, *placed), _NUM_SHELL, light), _Orbit(seed, circle)


def _near(rng: Rng, spots: _Spots, radius: float, count: int) -> list[Placed]:
    """Objects in the middle, some with small things on them."""
    placed: list[Placed] = []
    made: list[Thing] = []
    while len(placed) < count:
        if made and rng.random() < _LOOK_ALIKES:
            thing = made[int(rng.integers(len(made)))]
        else:
            thing = _NEAR[int(rng.integers(len(_NEAR)))](rng)
            made.append(thing)
        stands = spots.place(thing, lambda: radius * np.sqrt(rng.random()))
        placed += [stands, *_on(rng, stands)][: count - len(placed)]
    return placed


def _on(rng: Rng, stands: Placed) -> list[Placed]:
    heights = {"picnic table": 0.76, "bench": 0.45, "crate": 0.37, "barrel": 0.8}
    height = heights.get(stands.thing.category)
    if height is None or rng.random() < 0.3:
        return []
    pot, bowl = small_things.vase(rng), small_things.bowl(rng)
    if stands.thing.category in ("crate", "barrel"):
        return [stands.local((0.0, 0.0, height), pot)]
    if stands.thing.category == "bench":
        return [stands.local((0.3, 0.0, height), furniture.crate(rng))]
    return [stands.local((x, 0.05, height), thing) for x, thing in ((-0.55, pot), (0.0, bowl), (0.5, pot))]


class _Spots:
    """Places on the ground where nothing stands yet."""

    def __init__(self, rng: Rng) -> None:
        self._rng = rng
        self._taken: list[tuple[float, float, float]] = []

    def place(self, thing: Thing, distance: Callable[[], float]) -> Placed:
        """Put a thing where it touches no other.

        Args:
            distance: draws how far from the middle.
        """
        size = float(np.hypot(*thing.size[:2])) / 2
        widen = 1.0
        while True:
            angle, away = self._rng.uniform(0, 2 * np.pi), widen * distance()
            x, y = float(away * np.cos(angle)), float(away * np.sin(angle))
            if all(np.hypot(x - a, y - b) > size + other + _APART for a, b, other in self._taken):
                self._taken.append((x, y, size))
                return Placed(thing, (x, y, 0.0), float(self._rng.uniform(-np.pi, np.pi)))
            widen *= 1.004


class _Orbit:
    """Two laps around the middle, the second from higher up."""

    def __init__(self, seed: int, radius: float) -> None:
        rng = walk_stream(seed)
        self._start, self._turn = rng.uniform(0, 2 * np.pi), float(rng.choice([-1, 1]))
        self._phases = rng.uniform(0, 2 * np.pi, 4)
        self._radius = radius

    def __call__(self, time: float) -> Float[np.ndarray, "4 4"]:
        angle = self._start + self._turn * 2 * np.pi * _LAPS * time
        wave = np.sin(2 * np.pi * np.array([3, 5, 7, 11]) * time + self._phases)
        outwards = np.array([np.cos(angle), np.sin(angle)])
        across = np.array([-outwards[1], outwards[0]])
        height = 1.5 + 0.9 / (1 + np.exp(-30 * (time - 0.5))) + 0.25 * wave[1]
        position = np.append((self._radius + 0.35 * wave[0]) * outwards, height)
        return look_at(position, np.append(0.15 * self._radius * wave[2] * across, 0.5 + 0.3 * wave[3]))
