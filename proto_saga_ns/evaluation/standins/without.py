"""The test views of a stand-in once more, without one of its objects: the truth for taking it out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.evaluation.standins import encode
from proto_saga_ns.evaluation.standins.cameras import lens_of, walk
from proto_saga_ns.evaluation.standins.layouts import image_path
from proto_saga_ns.evaluation.standins.options import StandinOptions
from proto_saga_ns.evaluation.standins.render import Renderer
from proto_saga_ns.evaluation.standins.room import Room, make_room
from proto_saga_ns.evaluation.standins.write import appearing_folder
from proto_saga_ns.progress import Progress, unseen

_AWAY = (0.0, 0.0, -1e4)
"""Metres below the floor: nobody sees it there, and no other object gets its id or its paint."""


def write_without(folder: Path, options: StandinOptions, instance: int, progress: Progress = unseen) -> Path:
    """Write ``without_<id>/images`` and ``without_<id>/masks`` (255 where the object was seen) into a stand-in.

    What stood on the object stays where it was. Shadows that it threw are gone.

    Args:
        folder: holds the stand-in of these options.
        instance: id in the ground truth (``instances`` in standin.json).

    Returns:
        The new folder; it is left as it is if it is there already.

    Raises:
        ProtoSagaError: there is no such object, or the folder cannot be written.
    """
    target = folder / f"without_{instance}"
    room = make_room(options.seed)
    if instance not in room.names:
        known = ", ".join(f"{number} {name}" for number, name in room.names.items())
        raise ProtoSagaError(f"--without {instance}: the stand-in has no such object. It has {known}.")
    if target.is_dir():
        return target
    views = list(enumerate(walk(options.seed, room.size, options.views, options.test_views)))
    lens = lens_of(options.width, options.height)
    # Of the whole room nothing but the ids is needed.
    whole, rest = Renderer(room, 1), Renderer(without(room, instance), options.samples)
    with appearing_folder(target) as staging:
        for kind in ("images", "masks"):
            (staging / kind).mkdir()
        for index, view in progress([pair for pair in views if pair[1].is_test], f"Rendering without {instance}"):
            name = Path(image_path(options.layout, view, index)).stem
            seen = np.asarray(whole.render(lens, view.pose).instances == instance)
            picture = rest.render(lens, view.pose)
            (staging / "images" / f"{name}.png").write_bytes(encode.image_png(picture.rgb))
            (staging / "masks" / f"{name}.png").write_bytes(encode.mask_png(seen))
    return target


def without(room: Room, instance: int) -> Room:
    """The same room, but one of its objects is far away."""
    objects = list(room.objects)
    objects[instance - 1] = replace(objects[instance - 1], position=_AWAY)
    return replace(room, objects=tuple(objects))
