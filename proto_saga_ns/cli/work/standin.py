"""A stand-in is written, and what was written is said."""

from __future__ import annotations

from pathlib import Path

from proto_saga_ns.cli.work.printing import say
from proto_saga_ns.evaluation.standins.options import SegmenterOptions, StandinOptions
from proto_saga_ns.evaluation.standins.without import write_without
from proto_saga_ns.evaluation.standins.write import write_standin
from proto_saga_ns.progress import progress_bar


def make_standin(
    output: Path, room: StandinOptions, segmenter: SegmenterOptions, name: str, without: int | None
) -> None:
    """Render a room into a folder, unless this very one is there, and perhaps its test views without one object.

    Args:
        segmenter: what the simulated one does.
        name: of these options, for the mark of the stand-in.
        without: id of that object.
    """
    is_new = write_standin(output, room, segmenter, name, progress_bar)
    what = "A rendered stand-in, no data set," if is_new else "This very stand-in"
    say(
        f"{what} is {'' if is_new else 'already '}in {output}: {room.views} training and {room.test_views} test views, "
        f"{room.layout} layout, seed {room.seed}"
    )
    if without is not None:
        say(f"Its test views without object {without} are in {write_without(output, room, without, progress_bar)}")
