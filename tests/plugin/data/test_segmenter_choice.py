"""The sources sam and sam2 from the options to label maps, and what ``auto`` takes when nothing is given."""

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import tyro
import yaml

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.masks.segmenters import Sam2Settings, SamSettings
from proto_saga_ns.masks.segmenters import sam as sam_module
from proto_saga_ns.masks.segmenters.sam_weights import PUBLISHED, PublishedWeights, weights_path
from proto_saga_ns.plugin.data import segmenter_choice
from proto_saga_ns.plugin.data.dataparsers import AnnotatedMaskedDataParser, MaskedNerfstudioConfig
from tests.masks.segmenters.tiny_models import LENIENT, save_tiny_sam, save_tiny_sam2
from tests.scenes import write_tiny_scene


@pytest.fixture(autouse=True)
def no_weights(tmp_path, monkeypatch):
    """Torch hub's folder in an empty place, and downloads that fail the test."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr("urllib.request.urlopen", lambda *args, **kwargs: pytest.fail("downloads"))


@pytest.fixture
def folder(tmp_path):
    """Posed photos and nothing else."""
    return write_tiny_scene(tmp_path / "scene", size=(48, 36), n_views=4, masks=None).folder


@pytest.fixture
def published(tmp_path, monkeypatch):
    """The weights vit_b, small ones, where they are looked for."""
    pytest.importorskip("segment_anything", reason="the extra sam is not installed")
    path = weights_path("vit_b")
    path.parent.mkdir(parents=True)
    save_tiny_sam(path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.setitem(PUBLISHED, "vit_b", PublishedWeights(PUBLISHED["vit_b"].url, digest, 0.1))
    return path


def parse(config, split="train"):
    parser = config.setup()
    return parser.label_maps(parser.get_dataparser_outputs(split=split), split)


def words(capsys):
    return " ".join(capsys.readouterr().out.split())


def pretend_gpu(monkeypatch):
    """Let ``auto`` see a GPU where there is none; the model stays on the CPU."""
    monkeypatch.setattr(segmenter_choice, "network_device", lambda: torch.device("cuda"))
    monkeypatch.setattr(sam_module, "network_device", lambda: torch.device("cpu"))


def test_sam_from_a_checkpoint_is_cached_and_used_again(folder, tmp_path, capsys):
    pytest.importorskip("segment_anything", reason="the extra sam is not installed")
    checkpoint = save_tiny_sam(tmp_path / "tiny.pth")
    config = MaskedNerfstudioConfig(data=folder, mask_source="sam", sam=SamSettings(checkpoint=checkpoint, **LENIENT))
    maps = parse(config)
    assert f"{folder}/.proto_saga/masks/sam-" in maps.source and all(len(ids) > 0 for ids in maps.ids)
    assert "without a GPU" in words(capsys) or torch.cuda.is_available()
    assert parse(config).source == maps.source
    assert "is ready on" not in words(capsys)
    assert parse(config, "val") is None


def test_sam2_from_a_folder(folder, tmp_path):
    pytest.importorskip("transformers", "4.56", reason="the extra sam is not installed")
    model = str(save_tiny_sam2(tmp_path / "model"))
    maps = parse(MaskedNerfstudioConfig(data=folder, mask_source="sam2", sam2=Sam2Settings(model=model, **LENIENT)))
    assert f"{folder}/.proto_saga/masks/sam2-" in maps.source and all(len(ids) > 0 for ids in maps.ids)


def test_a_named_source_goes_before_a_folder_of_masks(folder, tmp_path):
    pytest.importorskip("segment_anything", reason="the extra sam is not installed")
    settings = SamSettings(checkpoint=save_tiny_sam(tmp_path / "tiny.pth"), **LENIENT)
    (folder / "instances").rename(folder / "masks")
    assert parse(MaskedNerfstudioConfig(data=folder, sam=settings)).source == str(folder / "masks")
    assert "sam-" in parse(MaskedNerfstudioConfig(data=folder, mask_source="sam", sam=settings)).source
    with pytest.raises(ProtoSagaError, match="--mask-source sam makes them anew"):
        parse(MaskedNerfstudioConfig(data=folder, mask_source="sam", mask_dir="masks"))


def test_auto_downloads_nothing_and_says_how_to_get_more(folder, capsys):
    assert "superpixel" in parse(MaskedNerfstudioConfig(data=folder)).source
    text = words(capsys)
    assert "knows no objects" in text and "--mask-source sam, which downloads" in text


def test_auto_without_a_gpu_stays_with_superpixels_and_says_so(folder, published, monkeypatch, capsys):
    monkeypatch.setattr(segmenter_choice, "network_device", lambda: torch.device("cpu"))
    assert "superpixel" in parse(MaskedNerfstudioConfig(data=folder, sam=SamSettings(model="vit_b"))).source
    assert "no GPU" in words(capsys)


def test_auto_takes_sam_if_nothing_is_missing(folder, published, monkeypatch, capsys):
    pretend_gpu(monkeypatch)
    config = MaskedNerfstudioConfig(data=folder, sam=SamSettings(model="vit_b", **LENIENT))
    source = parse(config).source
    text = words(capsys)
    assert "sam-" in source and "making them with Segment Anything" in text and "--mask-source superpixel" in text
    # Elsewhere, without weights, what was made is still there to be used.
    published.unlink()
    assert parse(config).source == source
    assert "that Segment Anything (sam) made before" in words(capsys)


def test_auto_finds_the_masks_of_a_trained_scene_again_when_weights_turn_up(folder, published, monkeypatch, capsys):
    config = MaskedNerfstudioConfig(data=folder, sam=SamSettings(model="vit_b", **LENIENT))
    monkeypatch.setattr(segmenter_choice, "network_device", lambda: torch.device("cpu"))
    source = parse(config).source
    pretend_gpu(monkeypatch)
    assert parse(config).source == source
    assert "Better: --mask-source sam" in words(capsys)


def test_auto_takes_a_checkpoint_that_is_named(folder, tmp_path):
    pytest.importorskip("segment_anything", reason="the extra sam is not installed")
    settings = SamSettings(checkpoint=save_tiny_sam(tmp_path / "tiny.pth"), **LENIENT)
    assert "sam-" in parse(MaskedNerfstudioConfig(data=folder, sam=settings)).source
    with pytest.raises(ProtoSagaError, match="does not exist"):
        parse(MaskedNerfstudioConfig(data=folder, sam=SamSettings(checkpoint=tmp_path / "none.pth")))


def test_auto_without_the_package_says_so(folder, published, monkeypatch, capsys):
    monkeypatch.setattr(segmenter_choice, "_is_installed", lambda package: False)
    assert "superpixel" in parse(MaskedNerfstudioConfig(data=folder, sam=SamSettings(model="vit_b"))).source
    assert 'pip install "proto_saga_ns[sam]"' in words(capsys)


def test_command_line_has_the_options():
    arguments = "nerfstudio-data --mask-source sam --sam.checkpoint a.pth --sam.points-per-side 32 "
    arguments += "--sam.flatten.order both --sam2.model facebook/sam2.1-hiera-tiny"
    parser = tyro.cli(AnnotatedMaskedDataParser, args=arguments.split())
    # Absolute, because the configuration is read again elsewhere.
    assert (parser.mask_source, parser.sam.checkpoint) == ("sam", Path("a.pth").absolute())
    assert (parser.sam.points_per_side, parser.sam.flatten.order) == (32, "both")
    assert parser.sam2.model == "facebook/sam2.1-hiera-tiny"
    assert yaml.load(yaml.dump(parser), Loader=yaml.Loader) == parser


def test_options_import_no_model_package():
    script = (
        "import sys, proto_saga_ns.plugin.data.mask_options\n"
        "assert not {'torch', 'transformers', 'segment_anything', 'skimage', 'scipy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
