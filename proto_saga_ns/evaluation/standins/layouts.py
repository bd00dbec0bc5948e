"""Which files a stand-in consists of, in the layout of each data set; paths are relative to its folder.

The data sets as the peers' code lays them out: Replica and ScanNet as Gaga's ``data/replica/__init__.py`` and
``data/scannet/split.py`` leave them after COLMAP, LERF-Mask as Gaussian Grouping's ``docs/dataset.md`` and
``script/eval_lerf_mask.py`` read it, DAVIS as its own archives. Every layout has the truth of the parts besides, in
``parts/``, and the simulated masks where the peer, or ``proto-saga``, looks for masks.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int32, UInt8

from proto_saga_ns.evaluation.standins import encode
from proto_saga_ns.evaluation.standins.cameras import View
from proto_saga_ns.evaluation.standins.options import Layout
from proto_saga_ns.evaluation.standins.render import Picture
from proto_saga_ns.evaluation.standins.world import World
from proto_saga_ns.export.videos.turntable import PinholeLens

Files = dict[str, bytes]

DAVIS_SEQUENCE = "standin"
LERF_MIN_PIXELS = 25
"""A phrase has a mask in the views that show at least this much of what it means."""
PLY_COMMENT = "rendered stand-in of proto_saga_ns, no data set"


@dataclass(frozen=True)
class SceneData:
    """What the files of a whole scene are made of.

    Attributes:
        views: in the order of the walk.
        points: on surfaces that training views see, world frame.
        colors: of the points.
        has_depth: whether there are depth maps.
    """

    world: World
    lens: PinholeLens
    views: tuple[View, ...]
    points: Float[np.ndarray, "N 3"]
    colors: UInt8[np.ndarray, "N 3"]
    has_depth: bool = False


@dataclass(frozen=True)
class ViewData:
    """What the files of a view are made of.

    Attributes:
        index: place of the view in the walk.
        split_index: place among the training views, or among the test views.
        labels: what the segmenter made of it.
    """

    view: View
    index: int
    split_index: int
    picture: Picture
    labels: Int32[np.ndarray, "H W"]
    has_depth: bool = False


def view_files(layout: Layout, world: World, data: ViewData) -> Files:
    """The files of one view."""
    return _LAYOUTS[layout].of_view(world, data)


def scene_files(layout: Layout, scene: SceneData) -> Files:
    """The files that all views share."""
    return _LAYOUTS[layout].of_scene(scene)


def image_path(layout: Layout, view: View, index: int) -> str:
    """Where the image of a view lies.

    Args:
        index: place of the view in the walk.
    """
    return _LAYOUTS[layout].image(view, index)


def _nerfstudio_image(view: View, index: int) -> str:
    del index
    return f"images/{_frame(view)}.png"


def _frame(view: View) -> str:
    return f"frame_{view.frame:05d}"


def _nerfstudio_view(world: World, data: ViewData) -> Files:
    del world
    name, picture = f"{_frame(data.view)}.png", data.picture
    files = {
        f"images/{name}": encode.image_png(picture.rgb),
        f"instances/{name}": encode.ids_png(picture.instances),
        f"parts/{name}": encode.ids_png(picture.parts),
        f"masks/{name}": encode.ids_png(data.labels),
    }
    return files | ({f"depth/{name}": encode.depth_png(picture.depth)} if data.has_depth else {})


def _nerfstudio_scene(scene: SceneData) -> Files:
    lens, frames = scene.lens, []
    for index, view in enumerate(scene.views):
        frame: dict[str, Any] = {"file_path": _nerfstudio_image(view, index), "transform_matrix": view.pose.tolist()}
        frames.append(frame | ({"depth_file_path": f"depth/{_frame(view)}.png"} if scene.has_depth else {}))
    test = [frame["file_path"] for frame, view in zip(frames, scene.views, strict=True) if view.is_test]
    content = {
        "camera_model": "OPENCV",
        **{"w": lens.width, "h": lens.height, "fl_x": lens.focal, "fl_y": lens.focal},
        **{"cx": lens.width / 2, "cy": lens.height / 2, "k1": 0.0, "k2": 0.0, "p1": 0.0, "p2": 0.0},
        "ply_file_path": "points.ply",
        "frames": frames,
        "train_filenames": [frame["file_path"] for frame in frames if frame["file_path"] not in test],
        "val_filenames": test,
        "test_filenames": test,
    }
    ply = encode.points_ply(scene.points, scene.colors, PLY_COMMENT)
    return {"points.ply": ply, "transforms.json": (json.dumps(content, indent=1) + "\n").encode()}


def _split_of(view: View) -> str:
    return "test" if view.is_test else "train"


def _replica_image(view: View, index: int) -> str:
    del index
    return f"images/{_split_of(view)}_rgb_{view.frame:04d}.png"


def _replica_view(world: World, data: ViewData) -> Files:
    del world
    image = _replica_image(data.view, data.index)
    name = image.removeprefix("images/")
    return {
        image: encode.image_png(data.picture.rgb),
        f"semantic_instance/{name.replace('_rgb_', '_semantic_instance_')}": encode.ids_png(data.picture.instances),
        f"parts/{name}": encode.ids_png(data.picture.parts),
        f"raw_sam_mask/{name}": encode.ids_png(data.labels),
    }


def _scannet_image(view: View, index: int) -> str:
    # Without leading zeros: the order of the names is not that of the frames.
    del index
    return f"images/{view.frame}.jpg"


def _scannet_view(world: World, data: ViewData) -> Files:
    del world
    frame, split, image = data.view.frame, _split_of(data.view), encode.image_jpg(data.picture.rgb)
    return {
        _scannet_image(data.view, data.index): image,
        f"{split}/{split}_images/{frame}.jpg": image,
        f"{split}/{split}_ins_full/{frame}.png": encode.ids_png(data.picture.instances),
        f"parts/{frame}.png": encode.ids_png(data.picture.parts),
        f"raw_sam_mask/{frame}.png": encode.ids_png(data.labels),
    }


def _scannet_scene(scene: SceneData) -> Files:
    def listed(is_test: bool) -> bytes:
        return "".join(f"{view.frame}\n" for view in scene.views if view.is_test == is_test).encode()

    lists = {"train_split.txt": listed(False), "test_split.txt": listed(True)}
    return _colmap_files(scene, _scannet_image) | lists


def _lerf_image(view: View, index: int) -> str:
    del view
    return f"images/frame_{index + 1:05d}.jpg"


def _lerf_view(world: World, data: ViewData) -> Files:
    image, content = _lerf_image(data.view, data.index), encode.image_jpg(data.picture.rgb)
    name = image.removeprefix("images/")
    stem = name.removesuffix(".jpg")
    files = {
        image: content,
        f"instances/{stem}.png": encode.ids_png(data.picture.instances),
        f"parts/{stem}.png": encode.ids_png(data.picture.parts),
        f"raw_sam_mask/{stem}.png": encode.ids_png(data.labels),
    }
    if not data.view.is_test:
        return files | {f"images_train/{name}": content}
    masks = _phrase_masks(world, data.picture.instances)
    return files | {f"test_mask/{data.split_index}/{phrase}.png": mask for phrase, mask in masks.items()}


def _phrase_masks(world: World, instances: Int32[np.ndarray, "H W"]) -> Files:
    """Masks by category; look-alikes are meant by one phrase."""
    categories = np.array(["", *(placed.thing.category for placed in world.objects)])
    masks = {
        name: np.isin(instances, np.flatnonzero(categories == name)) for name in set(categories[world.num_shell + 1 :])
    }
    return {name: encode.mask_png(masks[name]) for name in sorted(masks) if masks[name].sum() >= LERF_MIN_PIXELS}


def _davis_image(view: View, index: int) -> str:
    del view
    return f"JPEGImages/480p/{DAVIS_SEQUENCE}/{index:05d}.jpg"


def _davis_view(world: World, data: ViewData) -> Files:
    # As in DAVIS, what is no object (here floor, ceiling and walls) is background.
    objects = np.maximum(data.picture.instances - world.num_shell, 0)
    name = f"480p/{DAVIS_SEQUENCE}/{data.index:05d}.png"
    return {
        _davis_image(data.view, data.index): encode.image_jpg(data.picture.rgb),
        f"Annotations/{name}": encode.palette_png(objects),
        f"Masks/{name}": encode.ids_png(data.labels),
        f"parts/{data.index:05d}.png": encode.ids_png(data.picture.parts),
    }


def _davis_scene(scene: SceneData) -> Files:
    del scene
    return {"ImageSets/2017/val.txt": f"{DAVIS_SEQUENCE}\n".encode()}


def _colmap_files(scene: SceneData, image: Callable[[View, int], str]) -> Files:
    names = [image(view, index).removeprefix("images/") for index, view in enumerate(scene.views)]
    return {
        "sparse/0/cameras.bin": encode.colmap_cameras(scene.lens),
        "sparse/0/images.bin": encode.colmap_images(names, [view.pose for view in scene.views]),
        "sparse/0/points3D.bin": encode.colmap_points(scene.points, scene.colors),
    }


@dataclass(frozen=True)
class _LayoutFiles:
    image: Callable[[View, int], str]
    of_view: Callable[[World, ViewData], Files]
    of_scene: Callable[[SceneData], Files]


_LAYOUTS: dict[Layout, _LayoutFiles] = {
    "nerfstudio": _LayoutFiles(_nerfstudio_image, _nerfstudio_view, _nerfstudio_scene),
    "replica": _LayoutFiles(_replica_image, _replica_view, lambda scene: _colmap_files(scene, _replica_image)),
    "scannet": _LayoutFiles(_scannet_image, _scannet_view, _scannet_scene),
    "lerf-mask": _LayoutFiles(_lerf_image, _lerf_view, lambda scene: _colmap_files(scene, _lerf_image)),
    "davis": _LayoutFiles(_davis_image, _davis_view, _davis_scene),
}
