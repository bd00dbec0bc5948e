"""Laws of what viewer and ns-render show, for every display; then the same in a trained run."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from proto_saga_ns.plugin.model.outputs import (
    CHECKER_GREYS,
    CHECKER_PIXELS,
    DIMMED,
    UNSELECTED,
    backdrop,
    embedding_outputs,
    outlined,
    segmentation_outputs,
    shown_labels,
)
from proto_saga_ns.plugin.model.render import Rendered
from proto_saga_ns.plugin.model.views import object_alone, segment_view
from proto_saga_ns.plugin.run import Run
from proto_saga_ns.plugin.viewer.looking import picture_and_labels
from proto_saga_ns.recognition.gaussian_instances import GaussianInstances
from proto_saga_ns.scene import Display, Instance, SegmentedScene
from tests.scene.scenes import scene_of

IDS = (3, 9, 40)
BACKGROUND = torch.tensor([0.2, 0.4, 0.6])
SIZE = (9, 14)

some_ids = st.frozensets(st.sampled_from((0, *IDS)))
plain_displays = st.builds(
    Display,
    background=st.sampled_from(["dimmed", "black", "white", "transparent"]),
    outline=st.integers(0, 3),
    overlay_opacity=st.floats(0, 1),
    min_confidence=st.floats(0, 1),
)
displays = st.builds(lambda plain, out, chosen: plain.hiding(out).selecting(chosen), plain_displays, some_ids, some_ids)


def a_view(seed: int) -> Rendered:
    """Blocks of the instances, some pixels of none, some that are not clear."""
    generator = torch.Generator().manual_seed(seed)
    blocks = torch.randint(0, 4, (3, 3), generator=generator).repeat_interleave(3, 0).repeat_interleave(5, 1)[:, :14]
    features = torch.eye(4)[blocks] + 0.4 * torch.rand(*SIZE, 4, generator=generator)
    alpha = torch.rand(*SIZE, 1, generator=generator).sqrt()
    return Rendered(alpha * torch.rand(*SIZE, 3, generator=generator), features, alpha)


def a_scene(display: Display) -> SegmentedScene:
    return scene_of(dict(zip(IDS, torch.eye(4), strict=False)), display=display)


def shown(display: Display, seed: int, alone: Rendered | None = None) -> dict[str, Tensor]:
    view = a_view(seed)
    return segmentation_outputs(a_scene(display), view, view if alone is None else alone, BACKGROUND)


seeds = st.integers(0, 100)


@given(seeds, displays)
@settings(max_examples=30)
def test_every_output_is_an_image_that_nerfstudio_shows_as_it_is(seed: int, display: Display) -> None:
    view = a_view(seed)
    outputs = shown(display, seed)
    outputs |= embedding_outputs(a_scene(display).embedding_colors, view.features, view.alpha)
    assert {*outputs} == {"segmentation", "segmentation_overlay", "object", "confidence", "embedding"}
    for name, image in outputs.items():
        assert image.shape == (*SIZE, 1 if name == "confidence" else 3) and image.dtype == torch.float32
        assert image.min() >= 0 and image.max() <= 1 and "depth" not in name


@given(seeds, displays)
@settings(max_examples=30)
def test_labels_are_recognised_visible_and_confident(seed: int, display: Display) -> None:
    view, scene = a_view(seed), a_scene(display)
    labels, confidence = shown_labels(scene, view)
    recognised, probability = scene.segment(view.features, view.alpha[..., 0])
    for label, p, before, q in zip(*(x.flatten().tolist() for x in (labels, confidence, recognised, probability)),
                                   strict=True):  # fmt: skip
        kept = before not in display.hidden and q >= display.min_confidence
        assert (label, p) == ((before, q) if kept else (0, 0))
    assert torch.equal(shown(display, seed)["confidence"][..., 0], confidence)


@given(seeds, displays)
@settings(max_examples=30)
def test_colours_are_those_of_the_ids_and_black_is_none(seed: int, display: Display) -> None:
    display = replace(display, outline=0)
    labels, _ = shown_labels(a_scene(display), a_view(seed))
    image = shown(display, seed)["segmentation"]
    for number in IDS:
        color = torch.tensor(Instance(number).color) / 255
        assert torch.equal(image[labels == number], color.expand(int((labels == number).sum()), 3))
    assert not image[labels == 0].any()


@given(seeds, displays)
@settings(max_examples=30)
def test_the_overlay_is_stronger_where_something_is_selected(seed: int, display: Display) -> None:
    display = replace(display, outline=0)
    view, scene = a_view(seed), a_scene(display)
    labels, _ = shown_labels(scene, view)
    rgb, image, colors = view.over(BACKGROUND), shown(display, seed)["segmentation_overlay"], scene.colorize(labels)
    for number in (0, *IDS):
        strength = display.overlay_opacity * (1 if number in display.selected or not display.selected else UNSELECTED)
        here = labels == number
        expected = rgb[here] if number == 0 else (1 - strength) * rgb[here] + strength * colors[here]
        torch.testing.assert_close(image[here], expected)


@given(seeds, displays)
@settings(max_examples=30)
def test_only_the_selected_have_a_line_around_them(seed: int, display: Display) -> None:
    labels, _ = shown_labels(a_scene(display), a_view(seed))
    selected = torch.isin(labels, torch.tensor(display.selected, dtype=torch.int32))
    with_line, without = shown(display, seed), shown(replace(display, outline=0), seed)
    for name in ("segmentation", "segmentation_overlay"):
        changed = (with_line[name] != without[name]).any(dim=-1)
        for y, x in changed.nonzero().tolist():
            around = slow_window(selected, y, x, display.outline)
            assert around.any() and not around.all(), "lines are near the border of the selection"
            value = with_line[name][y, x].unique()
            assert value.tolist() == [0.0 if selected[y, x] else 1.0], "white outside, black inside"
        for y, x in (~selected).nonzero().tolist():
            if display.outline and slow_window(selected, y, x, display.outline).any():
                assert (with_line[name][y, x] == 1).all(), "no gap in the line"
    for name in ("object", "confidence"):
        assert torch.equal(with_line[name], without[name])


def slow_window(mask: Tensor, y: int, x: int, reach: int) -> Tensor:
    return mask[max(y - reach, 0) : y + reach + 1, max(x - reach, 0) : x + reach + 1]


@pytest.mark.parametrize("value", [False, True])
def test_neither_nothing_nor_everything_has_a_border(value: bool) -> None:
    image = torch.rand(5, 6, 3)
    assert torch.equal(outlined(image, torch.full((5, 6), value), 2), image)


@given(seeds, displays)
@settings(max_examples=30)
def test_the_object_is_shown_as_it_is_and_the_rest_dimmed(seed: int, display: Display) -> None:
    display = replace(display, background="dimmed")
    view = a_view(seed)
    labels, _ = shown_labels(a_scene(display), view)
    is_shown = display.is_shown(labels)
    image, rgb = shown(display, seed)["object"], view.over(BACKGROUND)
    assert torch.equal(image[is_shown], rgb[is_shown])
    assert torch.equal(image[~is_shown], DIMMED * rgb[~is_shown])


@given(seeds, displays.filter(lambda display: display.background != "dimmed"))
@settings(max_examples=30)
def test_the_object_stands_alone_before_its_background(seed: int, display: Display) -> None:
    alone = a_view(seed + 1)
    image = shown(display, seed, alone)["object"]
    behind = {"black": torch.zeros(*SIZE, 3), "white": torch.ones(*SIZE, 3)}.get(display.background, slow_checkers())
    torch.testing.assert_close(image, (alone.rgb + (1 - alone.alpha) * behind).clamp(0, 1))


def slow_checkers() -> Tensor:
    rows = [[CHECKER_GREYS[(y // CHECKER_PIXELS + x // CHECKER_PIXELS) % 2] for x in range(SIZE[1])]
            for y in range(SIZE[0])]  # fmt: skip
    return torch.tensor(rows)[..., None].expand(-1, -1, 3)


def test_a_checkerboard_has_both_greys_and_changes_at_every_border() -> None:
    board = backdrop("transparent", torch.zeros(40, 50, 3))
    assert board.unique().tolist() == pytest.approx([*CHECKER_GREYS])
    assert (board[CHECKER_PIXELS] != board[CHECKER_PIXELS - 1]).all()
    assert (board[:, CHECKER_PIXELS] != board[:, CHECKER_PIXELS - 1]).all()


@torch.no_grad()
def outputs_of(opened: Run, **display: Any) -> dict[str, Tensor]:
    opened.model.scene = replace(opened.scene, display=Display(**display))
    [(_, camera, _), *_] = opened.cameras("test")
    return opened.model.get_outputs(camera.to(opened.model.device))


def an_object(opened: Run) -> int:
    """The instance with most pixels in the first test view but for two: floor and walls."""
    ids, counts = labels_of(opened).unique(return_counts=True)
    return int(ids[counts.argsort(descending=True)[2]])


@torch.no_grad()
def labels_of(opened: Run) -> Tensor:
    [(_, camera, _), *_] = opened.cameras("test")
    return torch.from_numpy(segment_view(opened.model, opened.scene, camera).labels)


def test_what_is_hidden_is_taken_out_and_what_was_behind_it_shows(opened: Run) -> None:
    labels, number = labels_of(opened), an_object(opened)
    inside = labels == number
    before, after = outputs_of(opened), outputs_of(opened, hidden=(number,))
    color = torch.tensor(Instance(number).color) / 255
    assert (before["segmentation"][inside] == color).all()
    assert not (after["segmentation"] == color).all(dim=-1).any(), "it is nowhere any more"
    others = after["segmentation"][inside].any(dim=-1).float().mean()
    assert others > 0.3, "something else is seen in its place"
    change = (after["object"] - before["object"]).abs().mean(dim=-1)
    assert change[inside].mean() > 5 * change[~inside].mean()
    assert change[inside].mean() > 0.05


def test_the_selected_instance_alone(opened: Run) -> None:
    labels, number = labels_of(opened), an_object(opened)
    inside = labels == number
    white, black = (outputs_of(opened, selected=(number,), background=kind)["object"] for kind in ("white", "black"))
    rgb = outputs_of(opened)["rgb"]
    assert (white[~inside] > 0.9).float().mean() > 0.8 and (black[~inside] < 0.1).float().mean() > 0.8
    # Where both agree nothing of the background is seen: that is the instance.
    opaque = (white - black).amax(dim=-1) < 0.2
    assert opaque[inside].float().mean() > 0.5
    assert (black - rgb)[inside & opaque].abs().mean() < 0.1


def test_what_is_hardly_seen_is_not_there_when_its_instance_is_alone_and_goes_with_it(opened: Run) -> None:
    """Alone, as if it belonged to none; taken away, as if it were part of it: in outputs, cut-outs and under clicks."""
    scene, number = opened.scene, an_object(opened)
    [(_, camera, _), *_] = opened.cameras("test")
    assert scene.gaussians is not None
    half = (scene.gaussians.ids == number) & (torch.arange(opened.model.num_points) % 2 == 0)
    confidence = scene.gaussians.confidence.masked_fill(half, 0.0)
    hardly = replace(scene, gaussians=replace(scene.gaussians, confidence=confidence))
    of_none = replace(scene, gaussians=GaussianInstances(scene.gaussians.ids.masked_fill(half, 0), confidence))
    alone = {"selected": (number,), "background": "white"}
    isolated = {"hidden": (0, *(other for other in scene.ids if other != number))}
    for display, same, other in (
        (alone, of_none, scene),
        (isolated, of_none, scene),
        ({"hidden": (number,)}, scene, of_none),
        ({"hidden": (0,)}, of_none, scene),
    ):
        found, wanted, wrong = (pictures(opened, each, display, camera) for each in (hardly, same, other))
        assert all(torch.equal(picture, wanted[name]) for name, picture in found.items())
        assert not torch.equal(found["object"], wrong["object"])


@torch.no_grad()
def pictures(opened: Run, scene: SegmentedScene, display: dict[str, Any], camera: Any) -> dict[str, Tensor]:
    opened.model.scene = scene
    shown = outputs_of(opened, **display)
    view = opened.model.view_of(camera, corrected=False)
    picture, labels = picture_and_labels(opened.model, opened.scene, view)
    return {
        **{name: shown[name] for name in ("object", "segmentation", "confidence")},
        "alone": torch.from_numpy(object_alone(opened.model, camera)),
        "picture to search": torch.as_tensor(picture),
        "labels under clicks": torch.as_tensor(labels),
    }


def test_rgb_depth_and_accumulation_do_not_depend_on_the_display(opened: Run) -> None:
    number = an_object(opened)
    plain = outputs_of(opened)
    for display in (
        {"hidden": (0, number)},
        {"selected": (number,), "background": "black", "outline": 5},
        {"overlay_opacity": 0.1, "min_confidence": 0.9},
    ):
        other = outputs_of(opened, **display)
        assert {*other} == {*plain}
        for name in ("rgb", "depth", "accumulation", "embedding", "background"):
            assert torch.equal(other[name], plain[name])
        assert any(not torch.equal(other[name], plain[name]) for name in ("segmentation_overlay", "object"))


def test_metrics_do_not_depend_on_the_display(opened: Run) -> None:
    number = an_object(opened)
    [(_, _, image), *_] = opened.cameras("test")
    metrics = []
    for display in ({}, {"hidden": (number,), "min_confidence": 0.8}):
        found, _ = opened.model.get_image_metrics_and_images(outputs_of(opened, **display), {"image": image})
        metrics.append(found)
    assert metrics[0] == metrics[1] and metrics[0]["psnr"] > 10


@pytest.mark.parametrize("background", ["dimmed", "black"])
def test_everything_may_be_hidden(opened: Run, background: str) -> None:
    outputs = outputs_of(opened, hidden=(0, *opened.scene.ids), background=background)
    assert not outputs["segmentation"].any() and not outputs["confidence"].any()
    expected = outputs["background"] * DIMMED if background == "dimmed" else torch.zeros_like(outputs["background"])
    torch.testing.assert_close(outputs["object"], expected)
