"""The test views of a stand-in once more, without one of its objects: the truth for taking it out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.evaluation.standins import encode
from proto_saga_ns.evaluation.standins.cameras import lens_of, walk
from proto_saga_ns.evaluation.standins.capture import blurred_frames, photograph
from proto_saga_ns.evaluation.standins.kinds import make_world
from proto_saga_ns.evaluation.standins.layouts import image_path
from proto_saga_ns.evaluation.standins.options import StandinOptions
from proto_saga_ns.evaluation.standins.render import Renderer
from proto_saga_ns.evaluation.standins.world import World
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
    world, path = make_world(options)
    if instance not in world.names:
        known = ", ".join(f"{number} {name}" for number, name in world.names.items())
        raise ProtoSagaError(f"--without {instance}: the stand-in has no such object. It has {known}.")
    if target.is_dir():
        return target
    views = list(enumerate(walk(path, options.views, options.test_views)))
    blurred = blurred_frames([view.frame for _, view in views], options.blurred_share, options.seed)
    lens = lens_of(options.width, options.height)
    # Of the whole scene nothing but the ids is needed.
    whole, rest = Renderer(world, 1), Renderer(without(world, instance), options.samples)
    with appearing_folder(target) as staging:
        for kind in ("images", "masks"):
            (staging / kind).mkdir()
        for index, view in progress([pair for pair in views if pair[1].is_test], f"Rendering without {instance}"):
            name = Path(image_path(options.layout, view, index)).stem
            seen = np.asarray(whole.render(lens, view.pose).instances == instance)
            picture = rest.render(lens, view.pose).rgb
            photo = photograph(picture, options, view.frame, is_blurred=view.frame in blurred)
            (staging / "images" / f"{name}.png").write_bytes(encode.image_png(photo))
            (staging / "masks" / f"{name}.png").write_bytes(encode.mask_png(seen))
    return target


def without(world: World, instance: int) -> World:
    """The same scene, but one of its objects is far away."""
    objects = list(world.objects)
    objects[instance - 1] = replace(objects[instance - 1], position=_AWAY)
    return replace(world, objects=tuple(objects))
