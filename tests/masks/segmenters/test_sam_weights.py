"""Published weights: downloaded once, verified always, and one clear message when they cannot be had."""

import hashlib
import urllib.error

import pytest

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.masks.segmenters import sam_weights
from proto_saga_ns.masks.segmenters.sam_weights import PUBLISHED, PublishedWeights, ensure_weights, weights_path

CONTENT = b"weights" * 1000


@pytest.fixture
def published(tmp_path, monkeypatch):
    """A file that stands for the published one, and torch hub's folder in an empty place."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    source = tmp_path / "internet" / "sam_vit_b_01ec64.pth"
    source.parent.mkdir()
    source.write_bytes(CONTENT)
    monkeypatch.setitem(PUBLISHED, "vit_b", PublishedWeights(source.as_uri(), hashlib.sha256(CONTENT).hexdigest(), 0.1))
    return source


def test_downloaded_once_to_the_folder_of_torch_hub(published, tmp_path):
    path = ensure_weights("vit_b")
    assert path == tmp_path / "torch" / "hub" / "checkpoints" / "sam_vit_b_01ec64.pth" == weights_path("vit_b")
    assert path.read_bytes() == CONTENT
    published.unlink()
    assert ensure_weights("vit_b") == path
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_damaged_downloads_are_not_kept(published):
    published.write_bytes(CONTENT[:-1])
    with pytest.raises(ProtoSagaError, match=r"damaged.*Nothing was kept"):
        ensure_weights("vit_b")
    assert list(weights_path("vit_b").parent.iterdir()) == []


def test_a_wrong_file_in_the_folder_is_named(published):
    path = weights_path("vit_b")
    path.parent.mkdir(parents=True)
    path.write_bytes(b"something else")
    with pytest.raises(ProtoSagaError, match="not the published file") as caught:
        ensure_weights("vit_b")
    assert str(path) in str(caught.value)
    path.write_bytes(CONTENT)
    assert ensure_weights("vit_b") == path


@pytest.mark.parametrize("error", [urllib.error.URLError("Name or service not known"), TimeoutError("timed out")])
def test_offline_one_message_says_all(monkeypatch, tmp_path, error):
    def fails(*args, **kwargs):
        raise error

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(sam_weights.urllib.request, "urlopen", fails)
    with pytest.raises(ProtoSagaError) as caught:
        ensure_weights("vit_h")
    message = str(caught.value)
    for part in (
        *("https://dl.fbaipublicfiles.com/segment_anything/sam_vit_h_4b8939.pth", str(weights_path("vit_h"))),
        *(PUBLISHED["vit_h"].sha256, "--sam.checkpoint", "--mask-dir", "superpixel", "2.6 GB"),
    ):
        assert part in message
    assert "\n" not in message


def test_checksums_are_whole():
    assert all(len(bytes.fromhex(weights.sha256)) == 32 for weights in PUBLISHED.values())
