"""Laws of what viewer and ns-render show."""

from __future__ import annotations

import torch

from proto_saga_ns.model.outputs import DIMMED, embedding_outputs, segmentation_outputs
from proto_saga_ns.scene import EmbeddingColors, Instance, SegmentedScene


def two_instances(selected: tuple[int, ...] = ()) -> SegmentedScene:
    prototypes = torch.eye(4)[:2]
    return SegmentedScene(prototypes, (Instance(3), Instance(9)), EmbeddingColors.fit(torch.randn(50, 4)),
                          selected=selected)  # fmt: skip


def a_view() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """rgb, features and alpha of three pixels: instance 3, instance 9, nothing."""
    features = torch.tensor([[[2.0, 0.1, 0, 0], [0.1, 3.0, 0, 0], [0.01, 0, 0, 0]]])
    return torch.full((1, 3, 3), 0.5), features, torch.tensor([[[1.0], [0.9], [0.2]]])


def test_every_output_is_an_image_that_nerfstudio_shows_as_it_is() -> None:
    rgb, features, alpha = a_view()
    scene = two_instances()
    outputs = segmentation_outputs(scene, rgb, features, alpha, 0.6)
    outputs |= embedding_outputs(scene.embedding_colors, features, alpha)
    for name, image in outputs.items():
        assert image.shape == (1, 3, 1 if name == "confidence" else 3) and image.dtype == torch.float32
        assert image.min() >= 0 and image.max() <= 1 and "depth" not in name


def test_colours_are_those_of_the_ids_and_nothing_covers_what_was_not_recognised() -> None:
    rgb, features, alpha = a_view()
    outputs = segmentation_outputs(two_instances(), rgb, features, alpha, 0.6)
    for pixel, instance in enumerate((Instance(3), Instance(9))):
        color = torch.tensor(instance.color) / 255
        torch.testing.assert_close(outputs["segmentation"][0, pixel], color)
        torch.testing.assert_close(outputs["segmentation_overlay"][0, pixel], 0.4 * rgb[0, pixel] + 0.6 * color)
    assert (outputs["segmentation"][0, 2] == 0).all() and outputs["confidence"][0, 2] == 0
    assert torch.equal(outputs["segmentation_overlay"][0, 2], rgb[0, 2])


def test_object_shows_the_selected_and_dims_the_rest() -> None:
    rgb, features, alpha = a_view()
    shown = segmentation_outputs(two_instances((9,)), rgb, features, alpha, 0.6)["object"]
    assert torch.equal(shown[0, 1], rgb[0, 1])
    torch.testing.assert_close(shown[0, [0, 2]], DIMMED * rgb[0, [0, 2]])
    everything = segmentation_outputs(two_instances(), rgb, features, alpha, 0.6)["object"]
    assert torch.equal(everything, rgb)
