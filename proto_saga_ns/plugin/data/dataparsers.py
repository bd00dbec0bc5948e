"""Nerfstudio's posed-image data parsers with the mask options, and the choice of them on the command line."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
import tyro
from jaxtyping import Int
from nerfstudio.cameras.cameras import CAMERA_MODEL_TO_TYPE
from nerfstudio.data.dataparsers.base_dataparser import DataParser, DataParserConfig, DataparserOutputs
from nerfstudio.data.dataparsers.blender_dataparser import Blender, BlenderDataParserConfig
from nerfstudio.data.dataparsers.colmap_dataparser import ColmapDataParser, ColmapDataParserConfig
from nerfstudio.data.dataparsers.nerfstudio_dataparser import Nerfstudio, NerfstudioDataParserConfig
from nerfstudio.utils.rich_utils import CONSOLE
from rich.markup import escape
from torch import Tensor

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.evaluation.datasets.benchmarks import EXPECTED, Benchmark, find_benchmark, is_test_image
from proto_saga_ns.files import what_it_is_instead
from proto_saga_ns.labels.images import check_pose_file, read_pose_file, with_suffix
from proto_saga_ns.plugin.data.checks import (
    check_images,
    check_masks_of_moving_things,
    check_outputs,
    check_spread,
    one_place,
    without_missing_images,
)
from proto_saga_ns.plugin.data.formats import advice, check_names, larger_model, reconstruction
from proto_saga_ns.plugin.data.label_maps import (
    SplitImages,
    ViewLabelMaps,
    existing_label_maps_for,
    label_maps_for,
)
from proto_saga_ns.plugin.data.mask_options import MaskOptions
from proto_saga_ns.plugin.data.point_clouds import WITHOUT_POINTS, check_enough_points, read_seeds
from proto_saga_ns.plugin.data.reading import reading_as_people_have_files
from proto_saga_ns.plugin.data.tracked_masks import pinhole_cameras
from proto_saga_ns.plugin.data.undistortion import with_fisheyes_undone


@dataclass
class MaskedNerfstudioConfig(MaskOptions, NerfstudioDataParserConfig):
    """Nerfstudio's own format (transforms.json), with masks."""

    _target: type = field(default_factory=lambda: MaskedNerfstudio)
    load_3D_points: bool = True
    """Whether to load the 3D points that transforms.json names; else training starts from random points."""


@dataclass
class MaskedColmapConfig(MaskOptions, ColmapDataParserConfig):
    """A COLMAP reconstruction, with masks."""

    _target: type = field(default_factory=lambda: MaskedColmap)
    colmap_path: Path | None = None  # type: ignore[assignment]
    """Path to the COLMAP reconstruction, relative to the data. None takes the first that is there of colmap/sparse/0,
    sparse/0 and sparse."""


@dataclass
class BenchmarkDataConfig(MaskedColmapConfig):
    """A scene of Replica, ScanNet, LERF-Mask, SPIn-NeRF or Mip-NeRF 360, laid out and split as by the peers."""

    _target: type = field(default_factory=lambda: BenchmarkData)
    colmap_path: Path | None = Path("sparse/0")  # type: ignore[assignment]
    """Path to the COLMAP reconstruction, relative to the data."""
    benchmark: Literal["auto", Benchmark] = "auto"
    """whose split it is. auto: lerf-mask if there is a folder images_train, scannet if train_split.txt and
    test_split.txt, replica if images are called train_rgb_* and test_rgb_*, spin-nerf if there is images_4/label"""


@dataclass
class MaskedBlenderConfig(MaskOptions, BlenderDataParserConfig):
    """The format of the synthetic NeRF scenes (transforms_train.json, ...), with masks."""

    _target: type = field(default_factory=lambda: MaskedBlender)


class MaskAware(DataParser):
    """Goes before a parser of nerfstudio: checks what it reads, and knows the label maps of its views.

    Label maps are not made while parsing: viewing and rendering parse the data too, and need none. Nor do they need
    the points that training starts from, so a bad point cloud is an error for those who ask (``check_seeds``).
    """

    splits_share_stems = False
    """whether images of different splits have the same names"""
    name = "nerfstudio-data"
    """on the command line"""
    unanswered = "Give the choice as an option."
    """what to do about nerfstudio's questions where no terminal is"""
    _seeds_error: ProtoSagaError | None = None

    config: Any

    def pose_file(self, split: str) -> Path:
        """The JSON file that has the poses of a split."""
        raise NotImplementedError

    def check_poses(self, split: str) -> None:
        """Raise a ``ProtoSagaError`` if the poses of a split are missing or would fail late."""
        file = self.pose_file(split)
        if not file.is_file():
            raise ProtoSagaError(f"No poses: {file} does not exist. {advice(self.config.data, self.name)}")
        scaled = check_pose_file(file)
        if scaled and split == "train":
            CONSOLE.print(
                f"[bold yellow]{len(scaled)} poses of {escape(str(file))} have axes that are not of length 1 (first "
                f"{escape(scaled[0])}): the cameras are taken without this scale."
            )

    def first_image(self, split: str) -> str:
        """An image that the poses of a split name, as an example in a message; empty if they are not of JSON."""
        frame = read_pose_file(self.pose_file(split))["frames"][0]
        return f", such as {with_suffix(self.data_dir / frame['file_path'])}"

    def label_maps(self, outputs: DataparserOutputs, split: str) -> ViewLabelMaps | None:
        """The label maps of a split: found or made for training, for the others only those that are there.

        Raises:
            ProtoSagaError: the training views have none, or they are bad.
        """
        tracks = self.config.mask_source == "mastsam" and split == "train"
        images = SplitImages(
            data_dir=self.data_dir,
            paths=outputs.image_filenames,
            taken=frozenset(path.parent for path in outputs.mask_filenames or ()),
            shares_stems=self.splits_share_stems,
            is_train=split == "train",
            cameras=pinhole_cameras(outputs.cameras, outputs.image_filenames) if tracks else None,
        )
        return (label_maps_for if images.is_train else existing_label_maps_for)(images, self.config)

    def check_seeds(self) -> None:
        """Raise the ``ProtoSagaError`` of a point cloud that could not be read while parsing."""
        if self._seeds_error is not None:
            raise self._seeds_error

    def _seeds(self, read: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
        """What a reader of points finds; nothing, if it raises a ``ProtoSagaError``."""
        try:
            return read()
        except ProtoSagaError as error:
            self._seeds_error = error
            return {}

    @property
    def data_dir(self) -> Path:
        """The folder of the data; nerfstudio's parser also takes the path of the JSON file in it."""
        data = self.config.data
        return data.parent if data.suffix == ".json" else data

    def _generate_dataparser_outputs(self, split: str = "train", **kwargs: Any) -> DataparserOutputs:
        data = self.config.data
        if not data.exists():
            raise ProtoSagaError(f"The data {data} does not exist. Give an existing folder with --data.")
        if data.is_file() and data.suffix != ".json":
            raise ProtoSagaError(f"The data {data} is a file. {what_it_is_instead(data)} Give a folder with --data.")
        self.check_poses(split)
        try:
            with reading_as_people_have_files(self.unanswered):
                outputs = super()._generate_dataparser_outputs(split, **kwargs)
        except ZeroDivisionError as error:  # nerfstudio divides by the distance of the cameras
            raise ProtoSagaError(one_place(data)) from error
        except NotImplementedError as error:  # by COLMAP's parser alone
            raise ProtoSagaError(
                f"The lens of {data}: {error} Undistort the images with COLMAP and give what it writes with --data: "
                "colmap image_undistorter --image_path IMAGES --input_path MODEL --output_path NEW_DATA."
            ) from error
        except (AssertionError, KeyError, IndexError, ValueError, RuntimeError, OSError) as error:
            reason = str(error) or f"{error!r}, perhaps because none of its images exists{self.first_image(split)}."
            raise ProtoSagaError(
                f"The {split} views of {data} cannot be read: {reason} Check the files, or choose another "
                "data parser (nerfstudio-data, colmap, blender-data)."
            ) from error
        if split != "train" and not outputs.image_filenames:
            CONSOLE.print(f"[bold yellow]{data} has too few views to keep some for testing: training views stand in.")
            return self._generate_dataparser_outputs("train", **kwargs)
        check_outputs(outputs, data)
        if split == "train" and len(outputs.image_filenames) < 2:
            raise ProtoSagaError(one_place(data))
        if getattr(self.config, "auto_scale_poses", False):
            check_spread(outputs, data)
        outputs.cameras = with_fisheyes_undone(outputs.cameras)
        check_images(outputs)
        check_masks_of_moving_things(outputs)
        return without_missing_images(outputs)


class MaskedNerfstudio(MaskAware, Nerfstudio):
    """Nerfstudio's parser with label maps."""

    unanswered = (
        "transforms.json names no point cloud (ply_file_path), although there is a folder colmap/. Train from random "
        "points (--load-3D-points False after nerfstudio-data), or on COLMAP's poses and points (data parser colmap)."
    )

    def pose_file(self, split: str) -> Path:
        data = self.config.data
        return data if data.suffix == ".json" else data / "transforms.json"

    def check_poses(self, split: str) -> None:
        super().check_poses(split)
        file = self.pose_file(split)
        model = read_pose_file(file).get("camera_model")
        if model is not None and model not in CAMERA_MODEL_TO_TYPE:
            raise ProtoSagaError(
                f"The camera_model of {file} is {model!r}. nerfstudio knows {', '.join(CAMERA_MODEL_TO_TYPE)}: write "
                "the one whose numbers the file has (a camera without distortion is PINHOLE)."
            )

    def _get_fname(self, filepath: Path, data_dir: Path, downsample_folder_prefix: str = "images_") -> Path:
        filepath = filepath.with_name(with_suffix(data_dir / filepath).name)
        # Nerfstudio opens the first image to choose a downscale factor; let the first that exists be it.
        is_undecided = self.downscale_factor is None and self.config.downscale_factor is None
        if is_undecided and not (data_dir / filepath).exists():
            return data_dir / filepath
        return super()._get_fname(filepath, data_dir, downsample_folder_prefix)

    def _load_3D_points(self, ply_file_path: Path, transform_matrix: Tensor, scale_factor: float) -> dict[str, Tensor]:
        return self._seeds(lambda: read_seeds(ply_file_path, transform_matrix, scale_factor))


class MaskedColmap(MaskAware, ColmapDataParser):
    """COLMAP parser with label maps, which finds the reconstruction."""

    name = "colmap"
    unanswered = (
        "Give the factor after the name of the data parser: --downscale-factor 1 trains on the images as they are, "
        "which takes more memory and time."
    )

    def first_image(self, split: str) -> str:
        return ""

    def check_poses(self, split: str) -> None:
        chosen, data = self.config.colmap_path, self.config.data
        found = reconstruction(data, chosen, self.name)
        check_names(data / found)
        if chosen is None:
            CONSOLE.log(f"Poses from COLMAP's reconstruction in {found}")
            larger = larger_model(data, found)
            if larger is not None:
                other, more, fewer = larger
                CONSOLE.print(
                    f"[bold yellow]COLMAP made several models that do not fit together: {found} has {fewer} images, "
                    f"{other} has {more}. To train on the latter: colmap --colmap-path {other}"
                )
            self.config = replace(self.config, colmap_path=found)

    def _load_3D_points(self, colmap_path: Path, transform_matrix: Tensor, scale_factor: float) -> dict[str, Tensor]:
        load = super()._load_3D_points

        def read() -> dict[str, Tensor]:
            try:
                seeds = load(colmap_path, transform_matrix, scale_factor)
            except (OSError, ValueError, IndexError, struct.error) as error:
                raise ProtoSagaError(
                    f"The 3D points in {colmap_path} cannot be read: {error}. Make the reconstruction again, or train "
                    f"without: {WITHOUT_POINTS}."
                ) from error
            except RuntimeError:  # nerfstudio multiplies an empty list
                seeds = {"points3D_xyz": torch.empty(0, 3)}
            check_enough_points(len(seeds["points3D_xyz"]), colmap_path)
            return seeds

        return self._seeds(read)


class BenchmarkData(MaskedColmap):
    """COLMAP parser that splits images as a benchmark does; --eval-mode means nothing to it."""

    name = "benchmark-data"
    config: BenchmarkDataConfig

    def _get_image_indices(self, image_filenames: list[Path], split: str) -> Int[np.ndarray, " V"]:
        folder, chosen = self.config.data, self.config.benchmark
        benchmark = find_benchmark(folder, image_filenames) if chosen == "auto" else chosen
        is_test = is_test_image(benchmark, folder, image_filenames)
        wanted = split != "train"
        found = [index for index, test in enumerate(is_test) if test is wanted]
        if not found:
            raise ProtoSagaError(
                f"{folder} has no {split} view by the split of {benchmark}. Expected {EXPECTED[benchmark]}."
            )
        CONSOLE.log(f"{benchmark}: {len(found)} {split} views, {is_test.count(None)} images in no split")
        return np.array(found)


class MaskedBlender(MaskAware, Blender):
    """Blender parser with label maps."""

    splits_share_stems = True
    name = "blender-data"

    def _load_3D_points(self, ply_file_path: Path) -> dict[str, Tensor]:
        return self._seeds(lambda: read_seeds(ply_file_path, torch.eye(4), self.config.scale_factor))

    def pose_file(self, split: str) -> Path:
        return self.config.data / f"transforms_{split}.json"


if TYPE_CHECKING:
    AnnotatedMaskedDataParser = DataParserConfig
else:
    # The same names and flags as nerfstudio's own choice of data parsers.
    AnnotatedMaskedDataParser = tyro.conf.OmitSubcommandPrefixes[
        tyro.extras.subcommand_type_from_defaults(
            {
                "nerfstudio-data": MaskedNerfstudioConfig(),
                "colmap": MaskedColmapConfig(),
                "blender-data": MaskedBlenderConfig(),
                "benchmark-data": BenchmarkDataConfig(),
            },
            prefix_names=False,
        )
    ]
