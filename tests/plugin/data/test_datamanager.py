"""Batches carry label maps that fit their images, whatever the lens, the cache and the mode."""

import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.plugin.data.datamanager import ProtoSagaDatamanagerConfig
from tests.scenes import COLORS, write_tiny_scene

DISTORTIONS = {
    "pinhole": {},
    "perspective": {"distortion": (-0.25, 0.05, 0.01, -0.01)},
    "fisheye": {"distortion": (0.1, 0.02, 0.0, 0.0), "fisheye": True},
}


def make(folder, test_mode="val", **options):
    options = {"cache_images_type": "uint8", **options}
    return ProtoSagaDatamanagerConfig(data=folder, **options).setup(device="cpu", test_mode=test_mode)


@pytest.fixture(scope="module", params=DISTORTIONS)
def scene(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    return write_tiny_scene(folder, size=(96, 72), **DISTORTIONS[request.param])


@pytest.fixture(scope="module")
def manager(scene):
    return make(scene.folder)


def by_color(image):
    """Instance whose colour, up to brightness, is nearest."""
    palette = np.array([list(bytes.fromhex(COLORS[key])) for key in sorted(COLORS)], float)
    palette /= np.linalg.norm(palette, axis=-1, keepdims=True)
    direction = image / np.linalg.norm(image, axis=-1, keepdims=True)
    return (direction @ palette.T).argmax(-1) + 1


def test_labels_follow_the_colours_of_the_undistorted_image(manager):
    for _ in range(9):
        _, batch = manager.next_train(0)
        labels, instances = batch["label_map"].numpy(), by_color(batch["image"].numpy().astype(float))
        assert labels.shape == instances.shape
        agreeing = sum(np.bincount(instances[labels == label]).max() for label in np.unique(labels) if label)
        assert agreeing / np.count_nonzero(labels) > 0.96


def test_batches_are_nerfstudios_with_a_label_map(manager):
    camera, batch = manager.next_train(0)
    assert camera.metadata["cam_idx"] == batch["image_idx"]
    assert (camera.height.item(), camera.width.item()) == tuple(batch["label_map"].shape)
    assert "label_map" in manager.next_eval_image(0)[1]
    assert all("label_map" in batch for _, batch in manager.fixed_indices_eval_dataloader)


def test_labels_per_view_bound_the_labels(manager):
    counts = manager.labels_per_view
    assert len(counts) == len(manager.train_dataset) == len(manager.train_label_maps) == 9
    for count, labels in zip(counts, manager.train_label_maps, strict=True):
        assert labels.dtype == torch.int32 and 0 < labels.max() <= count


def test_undistorted_cameras_match_the_label_maps(manager):
    cameras = manager.train_cameras_undistorted
    for view, labels in enumerate(manager.train_label_maps):
        assert (cameras.height[view].item(), cameras.width[view].item()) == tuple(labels.shape)


def test_a_trained_scene_gets_its_label_maps_when_asked(scene, manager):
    late = make(scene.folder, test_mode="test")
    assert "label_map" not in late.next_train(0)[1]
    for labels, expected in zip(late.train_label_maps, manager.train_label_maps, strict=True):
        assert torch.equal(labels, expected)


def test_images_of_other_modes_train_on_their_colours(tmp_path):
    """A palette's indices and ink are no colours; transparency stays, for the background to show through."""
    scene = write_tiny_scene(tmp_path)
    palette, alpha = scene.train_paths[:2]
    photos = [np.asarray(Image.open(path)).astype(float) for path in (palette, alpha)]
    Image.open(palette).quantize(256).save(palette)
    Image.open(alpha).convert("L").convert("LA").save(alpha)
    images = [data["image"].numpy() for data in make(scene.folder).cached_train]
    assert images[0].shape[-1] == 3 and np.abs(images[0] - photos[0]).mean() < 5
    assert images[1].shape[-1] == 4 and np.abs(images[1][..., :3] - photos[1].mean(-1, keepdims=True)).mean() < 30


def test_an_image_that_is_cut_off_is_named(tmp_path):
    scene = write_tiny_scene(tmp_path)
    scene.train_paths[0].write_bytes(scene.train_paths[0].read_bytes()[:900])
    with pytest.raises(ProtoSagaError, match=r"view_000\.png"):
        make(scene.folder).next_train(0)


@pytest.mark.parametrize("cache_images", ["cpu", "gpu"])
def test_both_caches_work_without_cuda(scene, cache_images):
    _, batch = make(scene.folder, cache_images=cache_images, cache_images_type="float32").next_train(0)
    assert batch["image"].dtype == torch.float32 and batch["label_map"].device.type == "cpu"


def test_looking_at_a_scene_needs_no_masks_and_makes_none(tmp_path):
    scene = write_tiny_scene(tmp_path, masks=None)
    manager = make(scene.folder, test_mode="test")
    manager.next_train(0)
    manager.next_eval_image(0)
    assert not (scene.folder / ".proto_saga").exists()
    assert min(manager.labels_per_view) > 1
    assert (scene.folder / ".proto_saga").exists()


def test_rendering_a_path_needs_no_images(tmp_path):
    scene = write_tiny_scene(tmp_path)
    shutil.rmtree(scene.folder / "images")
    assert len(make(scene.folder, test_mode="inference").train_dataset) == 9


def test_label_maps_shrink_with_the_images(tmp_path):
    scene = write_tiny_scene(tmp_path)
    _, batch = make(scene.folder, camera_res_scale_factor=0.5).next_train(0)
    assert batch["label_map"].shape == batch["image"].shape[:2] == (24, 32)


def test_a_view_without_a_mask_trains_with_zeros(tmp_path):
    scene = write_tiny_scene(tmp_path)
    (scene.folder / "masks" / scene.train_paths[0].name).unlink()
    manager = make(scene.folder)
    assert manager.labels_per_view[0] == 0 and min(manager.labels_per_view[1:]) > 0
    assert not manager.train_label_maps[0].any() and manager.train_label_maps[1].any()


def test_bad_masks_stop_training_before_it_starts(tmp_path):
    scene = write_tiny_scene(tmp_path)
    Image.new("RGB", (64, 48)).save(scene.folder / "masks" / scene.train_paths[2].name)
    with pytest.raises(ProtoSagaError, match=r"view_002\.png is RGB"):
        make(scene.folder)
