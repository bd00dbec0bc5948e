"""A segmented scene survives a checkpoint, and what cannot be one is refused."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.recognition.granularity import OBJECTS
from proto_saga_ns.recognition.prototypes import MaskTable
from proto_saga_ns.recognition.votes import BESIDE_MASKS
from proto_saga_ns.scene import Display, EmbeddingColors, SegmentedScene
from proto_saga_ns.scene.state import scene_from_state, scene_to_state
from tests.scene.scenes import random_levels, random_scene, random_votes, same_segmentation

displays = st.builds(
    Display,
    selected=st.sampled_from([(), (2,), (2, 4)]),
    hidden=st.sampled_from([(), (0,), (0, 5)]),
    background=st.sampled_from(["dimmed", "black", "white", "transparent"]),
    outline=st.integers(0, 9),
    overlay_opacity=st.floats(0, 1),
    min_confidence=st.floats(0, 1),
    granularity=st.floats(0, 1),
)


def saved_and_loaded(scene: SegmentedScene) -> SegmentedScene:
    file = io.BytesIO()
    torch.save(scene_to_state(scene), file)
    file.seek(0)
    return scene_from_state(torch.load(file, weights_only=True))


@given(
    seed=st.integers(0, 1000),
    gaussians=st.sampled_from([None, 0, 7]),
    owners=st.sampled_from([{}, {3: 2}, {1: 2, 3: 2, 4: 5}]),
    names=st.dictionaries(st.sampled_from([2, 5]), st.text(min_size=1)),
    agreement=st.dictionaries(st.integers(1, 5), st.floats(0, 1)),
    display=displays,
    tau=st.floats(0.1, 100),
    min_alpha=st.floats(0, 1),
)
@settings(max_examples=30)
def test_a_scene_survives_a_checkpoint_in_every_field(seed: int, gaussians: int | None, **changes: Any) -> None:
    options = {"association": {"criteria": "both", "delta": 0.1}, "scene": {"seed": seed, "preset": None}}
    votes = None if gaussians is None else random_votes(seed, gaussians)
    levels = None if gaussians is None else random_levels(seed, gaussians)
    scene = random_scene(seed, gaussians=gaussians, options=options, votes=votes, levels=levels, **changes)
    loaded = saved_and_loaded(scene)
    assert same_segmentation(loaded, scene)
    assert loaded.display == scene.display
    compared = {
        "masks",
        "embedding_colors",
        "gaussians",
        "votes",
        "levels",
        "cuts",
        "owners",
        "names",
        "agreement",
        "display",
        "tau",
        "min_alpha",
        "options",
    }
    assert {field.name for field in fields(SegmentedScene)} == compared, "a new field must be saved and compared"


def test_a_scene_of_before_there_were_levels_loads() -> None:
    state = scene_to_state(random_scene())
    text = json.loads(str(state["json"]))
    del text["display"]["granularity"]
    loaded = scene_from_state({**state, "json": json.dumps(text)})
    assert loaded.levels is None and loaded.display.granularity == OBJECTS


def test_votes_of_before_they_had_a_weight_are_those_of_masks() -> None:
    state = scene_to_state(random_scene(votes=random_votes(0, 60)))
    text = json.loads(str(state["json"]))
    del text["prototype_weight"]
    votes = scene_from_state({**state, "json": json.dumps(text)}).votes
    assert votes is not None and votes.prototype_weight == BESIDE_MASKS


def test_an_empty_scene_survives() -> None:
    scene = SegmentedScene(MaskTable.without_views(torch.zeros(0, 4), ()), EmbeddingColors.fit(torch.zeros(0, 4)))
    assert same_segmentation(saved_and_loaded(scene), scene)


def test_rows_without_view_survive() -> None:
    scene = random_scene()
    masks = scene.masks + MaskTable.without_views(torch.ones(2, 6), (3, 9))
    scene = SegmentedScene(masks, scene.embedding_colors)
    assert same_segmentation(saved_and_loaded(scene), scene)


def with_text(change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    """A state whose text was changed."""
    state: dict[str, Any] = scene_to_state(random_scene())
    text = json.loads(state["json"])
    change(text)
    return {**state, "json": json.dumps(text)}


OLD_NAMES = {"masks.member": "masks.part", "levels.part_of_gaussian": "levels.piece_of_gaussian"}


def test_scenes_of_format_2_are_read() -> None:
    """Where members were called parts, and parts pieces."""
    scene = random_scene(5, gaussians=7, votes=random_votes(5, 7), levels=random_levels(5, 7))
    state = scene_to_state(scene)
    renamed = {OLD_NAMES.get(k, k).replace("levels.parts.", "levels.pieces."): v for k, v in state.items()}
    assert not {"masks.member", "levels.parts.ids"} & {*renamed}
    text = json.loads(str(state["json"])) | {"version": 2}
    old = scene_from_state({**renamed, "json": json.dumps(text)})
    assert same_segmentation(old, scene) and old.levels is not None and scene.levels is not None
    assert torch.equal(old.levels.part_of_gaussian, scene.levels.part_of_gaussian)


@pytest.mark.parametrize("version", [1, 99, "2", None])
def test_a_scene_of_another_version_is_refused(version: object) -> None:
    with pytest.raises(ProtoSagaError, match=f"format {version}.*associate"):
        scene_from_state(with_text(lambda text: text.update(version=version)))


def test_a_scene_of_the_first_version_is_refused() -> None:
    """It had prototypes in place of masks."""
    text = json.dumps({"version": 1, "instances": [], "mask_instances": {}})
    with pytest.raises(ProtoSagaError, match="format 1"):
        scene_from_state({"prototypes": torch.zeros(0, 4), "json": text})


@pytest.mark.parametrize("key", sorted(scene_to_state(random_scene())))
def test_a_scene_that_lacks_something_is_refused(key: str) -> None:
    state = {name: value for name, value in scene_to_state(random_scene()).items() if name != key}
    if key == "gaussians.ids":
        pytest.skip("without both columns it is a scene whose Gaussians were never decided")
    with pytest.raises(ProtoSagaError, match=r"damaged.*associate"):
        scene_from_state(state)


def test_a_scene_from_before_agreement_was_counted_has_none() -> None:
    scene = random_scene(agreement={1: 0.25, 2: 1.0})
    assert saved_and_loaded(scene).instance(1).is_doubtful
    older = scene_from_state(with_text(lambda text: text.pop("agreement")))
    assert [instance.agreement for instance in older.instances] == [None] * len(older.ids)
    assert not any(instance.is_doubtful for instance in older.instances)


@pytest.mark.parametrize("key", sorted({*json.loads(str(scene_to_state(random_scene())["json"]))} - {"agreement"}))
def test_a_text_that_lacks_something_is_refused(key: str) -> None:
    with pytest.raises(ProtoSagaError, match="damaged"):
        scene_from_state(with_text(lambda text: text.pop(key)))


@pytest.mark.parametrize(
    "broken",
    [
        {"json": "{"},
        {"json": "[]"},
        {"json": "null"},
        {"json": b"\xff"},
        {"json": None},
        {"masks.member": torch.zeros(3, dtype=torch.int32)},
        {"masks.features": None},
        {"masks.features": torch.zeros(60)},
        {"masks.features": torch.zeros(60, 7)},
        {"masks.view": torch.full((60,), 7, dtype=torch.int32)},
        {"masks.member": "text"},
        {"masks.member": torch.full((60,), -1, dtype=torch.int32)},
        {"colors.mean": torch.zeros(2)},
        {"colors.mean": 3},
        {"gaussians.confidence": torch.zeros(59)},
        {"gaussians.ids": 3},
    ],
)
@pytest.mark.usefixtures("unchecked_shapes")
def test_a_damaged_scene_is_refused(broken: dict[str, Any]) -> None:
    state = scene_to_state(random_scene())
    assert all(key in state for key in broken)
    with pytest.raises(ProtoSagaError, match="damaged"):
        scene_from_state({**state, **broken})


@pytest.mark.parametrize(
    "change",
    [
        {"owners": [[1, 99]]},
        {"owners": [[1, 2], [2, 3]]},
        {"owners": [1]},
        {"names": [["a", "lamp"]]},
        {"names": 3},
        {"agreement": [[1, "much"]]},
        {"agreement": [1]},
        {"display": None},
        {"display": {"selected": [], "hidden": [], "unknown": 1}},
        {"display": {"selected": [], "hidden": [], "background": "pink"}},
        {"display": {"selected": [], "hidden": [], "overlay_opacity": 7}},
        {"view_names": 3},
        {"view_names": []},
    ],
)
@pytest.mark.usefixtures("unchecked_shapes")
def test_a_damaged_text_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ProtoSagaError, match="damaged"):
        scene_from_state(with_text(lambda text: text.update(change)))
