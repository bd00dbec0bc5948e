"""The world and the walk of each kind of stand-in."""

from __future__ import annotations

from proto_saga_ns.evaluation.standins.cameras import Path, RoomPath
from proto_saga_ns.evaluation.standins.house import make_house
from proto_saga_ns.evaluation.standins.options import StandinOptions
from proto_saga_ns.evaluation.standins.outdoor import make_outdoor
from proto_saga_ns.evaluation.standins.room import make_room
from proto_saga_ns.evaluation.standins.shelves import make_shelves
from proto_saga_ns.evaluation.standins.world import World


def make_world(options: StandinOptions) -> tuple[World, Path]:
    """What the options ask for, and the walk through it."""
    if options.kind == "house":
        return make_house(options.seed, options.room_count, options.object_count)
    if options.kind == "outdoor":
        return make_outdoor(options.seed, options.object_count)
    if options.kind == "shelves":
        return make_shelves(options.seed, options.object_count)
    room = make_room(options.seed)
    return room, RoomPath(options.seed, room.size)
