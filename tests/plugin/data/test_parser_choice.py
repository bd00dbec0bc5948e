"""Data parsers for data that another program has trained on."""

from __future__ import annotations

from pathlib import Path

import pytest
from nerfstudio.data.dataparsers.blender_dataparser import BlenderDataParserConfig
from nerfstudio.data.dataparsers.colmap_dataparser import ColmapDataParserConfig
from nerfstudio.data.dataparsers.nerfstudio_dataparser import NerfstudioDataParserConfig
from nerfstudio.data.dataparsers.scannet_dataparser import ScanNetDataParserConfig

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.plugin.adopt.parsers import find_parser, parse_choice, with_masks
from proto_saga_ns.plugin.data.dataparsers import MaskedBlenderConfig, MaskedColmapConfig, MaskedNerfstudioConfig


@pytest.mark.parametrize(
    ("files", "kind"),
    [
        (["transforms.json", "sparse/0/cameras.bin"], MaskedNerfstudioConfig),
        (["transforms_train.json"], MaskedBlenderConfig),
        (["sparse/0/cameras.bin"], MaskedColmapConfig),
        (["colmap/sparse/0/cameras.txt"], MaskedColmapConfig),
    ],
)
def test_files_tell_how_to_read_them(tmp_path: Path, files: list[str], kind: type) -> None:
    for file in files:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()
    found = find_parser(tmp_path)
    assert type(found) is kind
    if isinstance(found, MaskedColmapConfig):
        assert str(found.colmap_path) == str(Path(files[0]).parent)


def test_a_folder_without_poses_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ProtoSagaError, match="holds no poses"):
        find_parser(tmp_path)


@pytest.mark.parametrize(
    ("run", "ours"),
    [
        (NerfstudioDataParserConfig(orientation_method="none", auto_scale_poses=False), MaskedNerfstudioConfig),
        (ColmapDataParserConfig(colmap_path=Path("sparse"), eval_interval=5), MaskedColmapConfig),
        (BlenderDataParserConfig(scale_factor=2.0), MaskedBlenderConfig),
    ],
)
def test_a_run_reads_its_data_as_before_and_takes_masks(run: object, ours: type) -> None:
    found = with_masks(run, None)  # type: ignore[arg-type]
    assert type(found) is ours and found.mask_source == "auto"  # type: ignore[attr-defined]
    assert {name: getattr(found, name) for name in vars(run) if name != "_target"} == {
        name: value for name, value in vars(run).items() if name != "_target"
    }


def test_only_the_mask_options_of_a_choice_count() -> None:
    run = NerfstudioDataParserConfig(orientation_method="none", load_3D_points=True)
    chosen = with_masks(run, parse_choice("nerfstudio-data --mask-source superpixel --superpixel.max-regions 7"))
    assert isinstance(chosen, MaskedNerfstudioConfig)
    assert (chosen.mask_source, chosen.superpixel.max_regions) == ("superpixel", 7)
    assert chosen.orientation_method == "none"
    for other in ("nerfstudio-data --orientation-method pca", "colmap --mask-source superpixel"):
        with pytest.raises(ProtoSagaError, match="only the mask options"):
            with_masks(run, parse_choice(other))


def test_a_format_without_masks_is_refused() -> None:
    with pytest.raises(ProtoSagaError, match="ScanNetDataParserConfig, which takes no masks"):
        with_masks(ScanNetDataParserConfig(), None)
