"""Parts of a scene add up to the scene."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.export.parts import LabelledSplat, as_ranges, check_ids, part_file, removal_file
from proto_saga_ns.labels.colors import instance_colors
from proto_saga_ns.rasterize import spherical_harmonics
from proto_saga_ns.recognition.gaussian_instances import GaussianInstances
from tests.splats.splats import random_instances, random_splat


def labelled(count: int, highest: int = 4, seed: int = 0) -> LabelledSplat:
    return LabelledSplat(random_splat(count, degree=0, seed=seed), random_instances(count, highest, seed))


@given(st.integers(0, 30), st.integers(0, 5), st.integers(0, 100))
def test_instances_and_rest_hold_every_gaussian_once(count: int, highest: int, seed: int) -> None:
    scene = labelled(count, highest, seed)
    parts = [scene.rest(), *(scene.instance(number) for number in range(1, highest + 1))]
    together = torch.cat([part.means for part in parts])
    assert sorted(together.tolist()) == sorted(scene.splat.means.tolist())
    assert [len(part) for part in parts] == [scene.count(number) for number in range(highest + 1)]


def test_the_gaussians_are_looked_at_once_however_many_instances_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = labelled(60, 20)
    seen, looks = scene.instances.seen_ids, []
    monkeypatch.setattr(GaussianInstances, "seen_ids", property(lambda self: looks.append(self) or seen))
    for number in range(21):
        assert torch.equal(scene.instance(number).means, scene.splat.select(seen == number).means)
        assert scene.count(number) == int((seen == number).sum())
    assert len(looks) <= 2


@given(st.sets(st.integers(1, 6)), st.integers(0, 100))
def test_what_is_removed_and_what_is_left_hold_every_gaussian_once(removed: set[int], seed: int) -> None:
    scene = labelled(30, 6, seed)
    left = scene.without(removed)
    taken = [mean for number in removed for mean in scene.splat.select(scene.instances.ids == number).means.tolist()]
    assert sorted(left.means.tolist() + taken) == sorted(scene.splat.means.tolist())


@given(st.integers(1, 5), st.integers(0, 100))
def test_what_is_hardly_seen_of_an_instance_goes_with_it_and_is_not_there_when_it_is_alone(
    number: int, seed: int
) -> None:
    scene = labelled(30, 5, seed)
    hardly = (scene.instances.ids == number) & (scene.instances.confidence == 0)
    places = scene.splat.select(hardly).means.tolist()
    for part, holds in ((scene.instance(number), False), (scene.without([number]), False), (scene.rest(), True)):
        assert all((place in part.means.tolist()) == holds for place in places)


def test_instance_colours_are_those_of_pictures() -> None:
    scene = labelled(20)
    painted = scene.in_instance_colors()
    shown = spherical_harmonics(0, painted.means, painted.harmonics) + 0.5
    expected = instance_colors(scene.instances.ids.numpy())
    np.testing.assert_allclose(255 * shown.numpy(), expected, atol=1e-4)


def test_names_of_files() -> None:
    assert part_file(3) == "instance_0003" and part_file(70_001) == "instance_70001" and part_file(0) == "rest"
    assert removal_file([7, 3, 7]) == "scene_without_0003_0007"
    assert removal_file(range(1, 300)).endswith("_0008_and_291_more")


def test_unknown_instances_are_refused_with_the_known_ones() -> None:
    check_ids([3, 1], [1, 2, 3], "--instances")
    with pytest.raises(ProtoSagaError, match=r"--remove: .* no instance 4, 9\. It has 1-3, 7;"):
        check_ids([9, 4, 1], [7, 1, 2, 3], "--remove")
    with pytest.raises(ProtoSagaError, match="none at all"):
        check_ids([1], [], "--remove")


@given(st.sets(st.integers(0, 50)))
def test_ranges_name_every_id_once(ids: set[int]) -> None:
    words = as_ranges(ids).split(", ") if ids else []
    spans = [[int(end) for end in word.split("-")] for word in words]
    assert [number for span in spans for number in range(span[0], span[-1] + 1)] == sorted(ids)


def test_labels_must_fit() -> None:
    with pytest.raises(ValueError, match="2 instances for 3"):
        LabelledSplat(random_splat(3), random_instances(2))
