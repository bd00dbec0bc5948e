"""Tracking of files: killed and run again, changed, out of order, of one frame; memory; files that do not fit."""

from __future__ import annotations

import gc
import json
import weakref
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.labels import MAX_ID, read_label_map, write_label_map
from proto_saga_ns.mastsam import sequence as sequence_module
from proto_saga_ns.mastsam.carried import TrackedFrame
from proto_saga_ns.mastsam.frames import Frame
from proto_saga_ns.mastsam.image_sequence import ImageSequence
from proto_saga_ns.mastsam.sequence import TRACKS, SequenceOptions, Tracking, write_tracks
from proto_saga_ns.progress import Progress, unseen
from tests.mastsam.scenes import camera
from tests.mastsam.worlds import (
    OPTIONS,
    ExactMatcher,
    ExactPrompter,
    World,
    name,
    pairs_of,
    panorama,
    same_up_to_numbers,
    write_world,
)

T = TypeVar("T")

SEQUENCE = SequenceOptions(window=2, min_frames=0, tracker=OPTIONS)


def run(
    sequence: ImageSequence, world: World, work: Path, options: SequenceOptions = SEQUENCE, **more: Any
) -> tuple[list[np.ndarray], list[tuple[int, int]]]:
    """The instances of all frames, and the pairs that had to be matched."""
    matcher = ExactMatcher(world)
    tracking = Tracking(sequence, matcher, options, work, **more)
    tracking.run(unseen)
    return [tracking.instances(index) for index in range(len(world))], matcher.calls


def truth_of(world: World) -> list[np.ndarray]:
    return [world.truth(index) for index in range(len(world))]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class Killed(BaseException):
    """As KeyboardInterrupt: not meant to be caught."""


def killed_after(steps: int) -> Progress:
    left = [steps]

    def progress(items: Iterable[T], what: str, total: int | None = None) -> Iterable[T]:
        for item in items:
            yield item
            left[0] -= 1
            if left[0] <= 0:
                raise Killed

    return progress


def test_label_maps_and_the_table_of_tracks(tmp_path: Path) -> None:
    world = World()
    sequence = write_world(world, tmp_path)
    tracking = Tracking(sequence, ExactMatcher(world), SEQUENCE, tmp_path / "work")
    tracking.run(unseen)
    tracks = write_tracks(tracking, sequence, tmp_path / "out", min_frames=3)
    maps, truth = [read_label_map(tmp_path / "out" / f"{name(index)}.png") for index in range(len(world))], []
    for index in range(len(world)):
        seen = [sum((other == i).any() for other in truth_of(world)) for i in range(world.ids.max() + 1)]
        truth.append(np.where(np.array(seen)[world.truth(index)] >= 3, world.truth(index), 0))
    assert any((true == 0).any() for true in truth)
    assert same_up_to_numbers(maps, truth) and (0, 0) in pairs_of(maps, truth)
    assert [track.id for track in tracks] == list(range(1, max(map(np.max, maps)) + 1))
    for track in tracks:
        shown = [name(index) for index, labels in enumerate(maps) if (labels == track.id).any()]
        assert track.frames == shown and track.pixels == sum(int((labels == track.id).sum()) for labels in maps)
    written = json.loads((tmp_path / "out" / TRACKS).read_text())
    assert written["frames"] == [name(index) for index in range(len(world))]
    assert [record["id"] for record in written["tracks"]] == [track.id for track in tracks]
    assert len({tuple(record["color"]) for record in written["tracks"]}) == len(tracks)


@settings(max_examples=4, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10**6))
def test_a_collection_in_any_order_is_tracked_along_its_matches(seed: int, tmp_path_factory) -> None:
    starts = np.random.default_rng(seed).permutation([0, 5, 10, 15, 20, 25]).tolist()
    world = World(panorama(seed=seed), starts, seed=seed)
    folder = tmp_path_factory.mktemp("world")
    found, calls = run(write_world(world, folder), world, folder / "work", replace(SEQUENCE, order="matches"))
    assert same_up_to_numbers(found, truth_of(world))
    assert len(calls) == len(set(calls)) == 15


@pytest.mark.parametrize("order", ["auto", "sequence", "matches"])
def test_one_frame_only(order: Any, tmp_path: Path) -> None:
    world = World(starts=(0,))
    found, calls = run(write_world(world, tmp_path), world, tmp_path / "work", replace(SEQUENCE, order=order))
    assert same_up_to_numbers(found, truth_of(world)) and calls == []
    posed = replace(write_world(world, tmp_path), cameras=[camera()])
    assert same_up_to_numbers(run(posed, world, tmp_path / "posed")[0], truth_of(world))


@pytest.mark.parametrize("back", [4, 11])
@pytest.mark.parametrize("initialise", [True, False])
def test_what_is_hidden_for_longer_than_the_window_comes_back_with_its_id(
    back: int, initialise: bool, tmp_path: Path
) -> None:
    world = World(starts=(0,) * 12, hidden={index: [3, 4] for index in range(1, back)})
    options = replace(SEQUENCE, tracker=replace(OPTIONS, initialise=initialise))
    sequence = write_world(world, tmp_path)
    for prompter in (None, ExactPrompter(world)):
        found, _ = run(sequence, world, tmp_path / f"work{prompter is None}", options, prompter=prompter)
        assert same_up_to_numbers(found, truth_of(world))


def test_a_frame_without_matches_is_bridged_from_file_to_file(tmp_path: Path) -> None:
    world = World(black=[3])
    found, truth = run(write_world(world, tmp_path), world, tmp_path / "work")[0], truth_of(world)
    del found[3], truth[3]
    assert same_up_to_numbers(found, truth)


def test_without_initialisation_no_later_frame_founds_any_not_even_one_that_hangs_on_nothing(tmp_path: Path) -> None:
    world = World(starts=(0, 1, 2, 3, 4, 5), black=[2, 4])
    for order in ("sequence", "matches"):
        options = replace(SEQUENCE, order=order, tracker=replace(OPTIONS, initialise=False))
        found, _ = run(write_world(world, tmp_path), world, tmp_path / order, options)
        assert not found[2].any() and not found[4].any()
        assert same_up_to_numbers(found[:1], truth_of(world)[:1])
        # The frame that comes first numbers its masks, and there are no other numbers.
        assert max(map(np.max, found)) <= max(world.masks(index).max() for index in (0, 1, 3, 5))


@pytest.mark.parametrize("order", ["sequence", "matches"])
@pytest.mark.parametrize("steps", [1, 3, 5])
def test_killed_and_run_again_is_as_never_killed_and_does_no_work_twice(order: Any, steps: int, tmp_path: Path) -> None:
    world, options = World(), replace(SEQUENCE, order=order)
    sequence = write_world(world, tmp_path)
    whole, calls = run(sequence, world, tmp_path / "whole", options)
    first, second = ExactMatcher(world), ExactMatcher(world)
    with pytest.raises(Killed):
        Tracking(sequence, first, options, tmp_path / "killed").run(killed_after(steps))
    before = contents(tmp_path / "killed")
    Tracking(sequence, second, options, tmp_path / "killed").run(unseen)
    after = contents(tmp_path / "killed")
    assert sorted(first.calls + second.calls) == sorted(calls) and len(second.calls) <= len(calls)
    assert before.items() <= after.items() and before
    assert after == contents(tmp_path / "whole")
    again, calls = run(sequence, world, tmp_path / "killed", options)
    assert calls == [] and contents(tmp_path / "killed") == after
    for one, other in zip(whole, again, strict=True):
        np.testing.assert_array_equal(one, other)


def placed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the frames that are placed from now on."""
    names: list[str] = []
    original = sequence_module.place_frame

    def spy(frame: Frame, *rest: Any) -> TrackedFrame:
        names.append(frame.name)
        return original(frame, *rest)

    monkeypatch.setattr(sequence_module, "place_frame", spy)
    return names


def test_a_change_does_that_frame_again_and_what_follows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world, work = World(starts=(0, 4, 8, 12, 16)), tmp_path / "work"
    sequence = write_world(world, tmp_path)
    run(sequence, world, work)
    names = placed(monkeypatch)

    def redone() -> tuple[list[str], list[tuple[int, int]]]:
        names.clear()
        calls = run(sequence, world, work)[1]
        return sorted(set(names)), calls

    assert redone() == ([], [])
    mask = sequence.masks[3]
    assert mask is not None
    write_label_map(mask, 2 * world.masks(3))
    assert redone() == ([name(3), name(4)], [])
    Image.fromarray(255 - world.image(2)).save(sequence.images[2])
    again, calls = redone()
    assert again == [name(2), name(3), name(4)]
    assert set(calls) >= {(0, 2), (1, 2), (2, 3), (2, 4)} and all(2 in pair for pair in calls)
    (work / "instances" / f"{name(1)}.npz").write_bytes(b"")
    # What comes after it was made of the same.
    assert redone() == ([name(1)], [])


def test_what_changes_the_tracks_counts_and_what_does_not_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, work = World(starts=(0, 0, 0)), tmp_path / "work"
    cameras = [camera(), camera(), camera()]
    sequence = replace(write_world(world, tmp_path), cameras=cameras)
    options = replace(SEQUENCE, order="sequence")
    run(sequence, world, work, options)
    names = placed(monkeypatch)
    run(sequence, world, work, replace(options, min_frames=3))
    assert names == []
    moved = replace(sequence, cameras=[*cameras[:2], camera(turn=(0, 0.5, 0))])
    found, calls = run(moved, world, work, options)
    # No match fits these poses.
    assert set(names) == {name(2)} and set(calls) == {(0, 2), (1, 2)}
    assert not np.isin(found[2], found[1]).any()
    run(sequence, world, work, replace(options, tracker=replace(OPTIONS, min_points=3)))
    assert set(names) == {name(0), name(1), name(2)}


def test_a_sequence_that_grew_goes_on_from_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    sequence = write_world(world, tmp_path)
    begun = ImageSequence(sequence.images[:4], sequence.masks[:4])
    run(begun, replace(world, starts=world.starts[:4]), tmp_path / "work")
    names = placed(monkeypatch)
    found, calls = run(sequence, world, tmp_path / "work")
    assert set(names) == {name(4), name(5)} and all(max(pair) > 3 for pair in calls)
    assert same_up_to_numbers(found, truth_of(world))


def test_the_frames_in_memory_do_not_grow_with_the_sequence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alive: weakref.WeakSet[TrackedFrame] = weakref.WeakSet()
    # Compared by value they would not hash.
    monkeypatch.setattr(TrackedFrame, "__hash__", object.__hash__)
    monkeypatch.setattr(TrackedFrame, "__eq__", object.__eq__)
    original = TrackedFrame.__init__

    def counted(self: TrackedFrame, *arguments: Any) -> None:
        original(self, *arguments)
        alive.add(self)

    monkeypatch.setattr(TrackedFrame, "__init__", counted)
    most = {}
    for count in (10, 24):
        world = World(panorama(200), [(4 * index) % 120 for index in range(count)], width=32)
        sequence, held = write_world(world, tmp_path / str(count)), []

        def progress(items: Iterable[T], what: str, total: int | None = None, held: list[int] = held) -> Iterable[T]:
            for item in items:
                yield item
                held.append(len(alive))

        tracking = Tracking(sequence, ExactMatcher(world), SEQUENCE, tmp_path / str(count) / "work")
        tracking.run(progress)
        most[count] = max(held)
        del tracking
        gc.collect()
    assert most[24] <= SEQUENCE.window + (24).bit_length() + 4, "the window, and the logarithm of the length"
    assert most[10] <= most[24] + 1


def test_more_tracks_than_a_label_map_has_ids(tmp_path: Path) -> None:
    count, side = MAX_ID + 70, 260

    class Many:
        def instances(self, index: int) -> np.ndarray:
            ids = np.zeros(side * side, np.int32)
            ids[:count] = np.arange(1, count + 1) + 10**6
            ids[100 * index : 100] = 0
            return ids.reshape(side, side)

    sequence, many = ImageSequence([Path("a.png"), Path("b.png")], [None, None]), Many()
    with pytest.raises(ProtoSagaError, match=rf"{count} tracks, but a label map has 65535.*--min-frames"):
        write_tracks(many, sequence, tmp_path, 1)  # pyright: ignore[reportArgumentType]
    assert not list(tmp_path.iterdir())
    tracks = write_tracks(many, sequence, tmp_path, 2)  # pyright: ignore[reportArgumentType]
    assert len(tracks) == count - 100
    labels = read_label_map(tmp_path / "b.png")
    np.testing.assert_array_equal(np.unique(labels), np.arange(count - 99))


def test_no_tracks_at_all(tmp_path: Path) -> None:
    world = World(starts=(0, 4))
    sequence = write_world(world, tmp_path)
    tracking = Tracking(sequence, ExactMatcher(world), SEQUENCE, tmp_path / "work")
    tracking.run(unseen)
    assert write_tracks(tracking, sequence, tmp_path / "out", min_frames=9) == []
    assert not read_label_map(tmp_path / "out" / f"{name(1)}.png").any()


def test_options_are_checked_and_short_sequences_need_fewer_frames() -> None:
    assert [SequenceOptions().required_frames(count) for count in (1, 24, 60, 1000)] == [0, 2, 5, 5]
    assert SequenceOptions(min_frames=7).required_frames(3) == 7
    with pytest.raises(ValueError, match="at least 1"):
        SequenceOptions(window=0)


def test_files_that_do_not_fit_are_named_before_anything_is_done(tmp_path: Path) -> None:
    world = World(starts=(0, 4, 8))
    sequence = write_world(world, tmp_path)
    images, masks = list(sequence.images), list(sequence.masks)
    larger = tmp_path / "larger.png"
    Image.new("RGB", (70, 48)).save(larger)
    write_label_map(tmp_path / "larger_mask.png", np.ones((48, 70), np.int32))
    damaged = tmp_path / "damaged.jpg"
    damaged.write_bytes(b"no image")
    (tmp_path / "other").mkdir()
    twin = tmp_path / "other" / images[0].name
    twin.write_bytes(images[0].read_bytes())
    for bad, message in [
        (([*images[:2], larger], masks), r"larger\.png is 70x48, but .*f000\.png, the first image, is 64x48"),
        ((images, [*masks[:2], tmp_path / "larger_mask.png"]), r"larger_mask\.png"),
        (([*images[:2], damaged], masks), r"damaged\.jpg"),
        (([*images[:2], tmp_path / "gone.png"], masks), r"gone\.png"),
        ((images, [*masks[:2], tmp_path / "gone.png"]), r"gone\.png"),
        (([*images[:2], twin], masks), r"share the name 'f000'"),
        (([], []), "no images"),
    ]:
        with pytest.raises(ProtoSagaError, match=message):
            Tracking(ImageSequence(*bad), ExactMatcher(world), SEQUENCE, tmp_path / "work")
    with pytest.raises(ProtoSagaError, match="--order poses needs poses"):
        Tracking(sequence, ExactMatcher(world), replace(SEQUENCE, order="poses"), tmp_path / "work")
    with pytest.raises(ProtoSagaError, match=r"None of the 3 images has a label map, .*f000\.png"):
        blind = ImageSequence(images, [None] * 3)
        Tracking(blind, ExactMatcher(world), SEQUENCE, tmp_path / "work", ExactPrompter(world))
    assert not (tmp_path / "work").exists()


def test_prompts_track_from_one_label_map_to_the_end(tmp_path: Path) -> None:
    world = World(starts=(0,) * 8, hidden={index: [3] for index in (1, 2, 3, 4)})
    sequence = write_world(world, tmp_path)
    first_only = replace(sequence, masks=[sequence.masks[0], *[None] * 7])
    found, _ = run(first_only, world, tmp_path / "work", prompter=ExactPrompter(world))
    assert same_up_to_numbers(found, truth_of(world))


def test_frames_bring_their_depth_maps_along(tmp_path: Path) -> None:
    sequence = write_world(World(starts=(0, 4)), tmp_path)
    depths = [tmp_path / f"{index}.npy" for index in range(2)]
    for index, path in enumerate(depths):
        np.save(path, np.full((48, 64), 1000.0 * (index + 1)))
    frame = replace(sequence, depths=depths).frame(1)
    assert frame.depth is not None and frame.depth.shape == frame.size and (frame.depth == 2.0).all()
    assert sequence.frame(1).depth is None
    np.save(depths[0], np.zeros((48, 64, 3)))
    with pytest.raises(ProtoSagaError, match=r"0\.npy has the shape"):
        replace(sequence, depths=depths).frame(0)
