"""The adapter of MASt3R: its arithmetic with a stand-in of the same signatures, and the real class with small random
weights, against MASt3R's own loader and inference, where the extra mastsam is installed.
"""

import argparse
import sys
import types

import numpy as np
import pytest
import safetensors.torch
import torch
from PIL import Image

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.mastsam.frames import Frame
from proto_saga_ns.mastsam.matchers import mast3r
from proto_saga_ns.mastsam.matchers.mast3r import Mast3rMatcher, Mast3rSettings, find_checkout, import_mast3r
from proto_saga_ns.mastsam.matchers.registry import MatcherOptions, make_matcher
from proto_saga_ns.mastsam.matchers.resize import fit_patches
from tests.mastsam.scenes import blank, dining

FAKE_MODEL = """
import torch

class AsymmetricMASt3R(torch.nn.Module):
    '''Describes a pixel by its colour; confident in proportion to its blue.'''

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    @classmethod
    def from_pretrained(cls, name):
        print("chatter")
        if "damaged" in open(name).read():
            raise KeyError("model")
        return cls()

    def forward(self, view1, view2):
        assert not self.training and not torch.is_grad_enabled()
        for view in (view1, view2):
            assert view["img"].shape[:2] == (1, 3) and tuple(view["true_shape"][0]) == view["img"].shape[2:]
            assert -1 <= view["img"].min() < 0 < view["img"].max() <= 1
            assert view["instance"] and view["idx"] is not None
        return tuple(
            {"desc": view["img"].permute(0, 2, 3, 1), "desc_conf": view["img"][:, 2] * 127.5 + 127.5}
            for view in (view1, view2)
        )
"""
FAKE_SEARCH = """
import numpy as np

def fast_reciprocal_NNs(pts1, pts2, subsample_or_initxy1, device, dist, block_size):
    assert dist == "dot" and block_size == 8192 and device == str(pts1.device)
    height, width, _ = pts1.shape
    start = subsample_or_initxy1 // 2
    rows, columns = np.mgrid[start:height:subsample_or_initxy1, start:width:subsample_or_initxy1].reshape(2, -1)
    xy1 = np.column_stack([columns, rows])
    targets = pts2.reshape(-1, pts2.shape[-1])[:, :2].numpy()
    colours = pts1.numpy()[rows, columns, :2]
    nearest = [np.abs(targets - colour).sum(1).argmin() for colour in colours]
    return xy1, np.column_stack([np.mod(nearest, pts2.shape[1]), np.floor_divide(nearest, pts2.shape[1])])
"""


@pytest.fixture
def fake_checkout(tmp_path):
    """A folder shaped like MASt3R's repository; what is imported from it is forgotten afterwards."""
    for name, text in {
        "mast3r/__init__.py": "",
        "mast3r/model.py": FAKE_MODEL,
        "mast3r/fast_nn.py": FAKE_SEARCH,
        "dust3r/dust3r/model.py": "",
        "dust3r/croco/models/croco.py": "",
        "weights.pth": "good",
        "bad.pth": "damaged",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    real = _forget_mast3r()
    yield tmp_path
    _forget_mast3r()
    sys.modules.update(real)


def _forget_mast3r() -> dict[str, types.ModuleType]:
    return {name: sys.modules.pop(name) for name in list(sys.modules) if name.split(".")[0] == "mast3r"}


def ramp(size: tuple[int, int], blue: int = 200) -> Frame:
    """Red tells x and green y, as shares of width and height."""
    rows, columns = np.mgrid[: size[0], : size[1]] + 0.5
    image = np.stack([255 * columns / size[1], 255 * rows / size[0], np.full(size, blue)], axis=-1)
    return Frame("ramp", image.astype(np.uint8))


def fake_matcher(checkout, **options) -> Mast3rMatcher:
    return Mast3rMatcher(
        Mast3rSettings(**{"path": checkout, "weights": str(checkout / "weights.pth"), "long_edge": 128, **options})
    )


@pytest.mark.parametrize("sizes", [((120, 200), (240, 400)), ((200, 150), (150, 200)), ((90, 90), (64, 128))])
def test_matches_come_back_through_crop_and_scale(fake_checkout, sizes, capsys):
    a, b = (ramp(size) for size in sizes)
    path_before = sys.path[:]
    matches = fake_matcher(fake_checkout).match(a, b)
    assert sys.path == path_before and "chatter" not in capsys.readouterr().out
    # The same colour is at the same share of width and height, if the window of b shows it at all.
    offset = matches.xy_a / sizes[0][::-1] - matches.xy_b / sizes[1][::-1]
    shown = _shown(matches.xy_a, *sizes)
    assert len(matches) > 50 and shown.mean() > 0.5
    assert np.abs(offset[shown]).max() < 2.5 / 64
    assert np.abs(offset[shown].mean(axis=0)).max() < 0.5 / 64


def _shown(xy_a, size_a, size_b):
    fit = fit_patches(size_b, 128)
    window = fit.to_window(xy_a / size_a[::-1] * size_b[::-1])
    return ((window > 4) & (window < np.array(fit.window[::-1]) - 4)).all(axis=1)


def test_confidence_is_the_smaller_one_and_has_a_threshold(fake_checkout):
    a, b = ramp((96, 128), blue=200), ramp((96, 128), blue=100)
    for pair in ((a, b), (b, a)):
        np.testing.assert_allclose(fake_matcher(fake_checkout).match(*pair).confidence, 100, atol=2)
    assert len(fake_matcher(fake_checkout, confidence=99.0).match(a, b)) > 0
    assert len(fake_matcher(fake_checkout, confidence=101.5).match(a, b)) == 0


def test_matches_at_the_border_are_dropped(fake_checkout):
    frame = ramp((48, 64))
    matches = fake_matcher(fake_checkout, subsample=1, long_edge=64).match(frame, frame)
    for xy in (matches.xy_a, matches.xy_b):
        assert xy.min(axis=0).tolist() == [3.5, 3.5] and xy.max(axis=0).tolist() == [60.5, 44.5]


def test_a_plain_frame_needs_no_model():
    assert len(Mast3rMatcher(Mast3rSettings(weights="/nowhere.pth")).match(blank(), dining()[0])) == 0


def test_settings_tell_weights_by_what_is_in_them(fake_checkout):
    good, bad = (fake_matcher(fake_checkout, weights=str(fake_checkout / name)) for name in ("weights.pth", "bad.pth"))
    assert good.settings != bad.settings
    assert fake_matcher(fake_checkout, path=None).settings == good.settings
    assert Mast3rMatcher(Mast3rSettings(revision="v2")).settings != Mast3rMatcher().settings


def test_missing_code_is_explained(fake_checkout, monkeypatch):
    (fake_checkout / "dust3r/croco/models/croco.py").unlink()
    message = r"is no checkout of MASt3R: dust3r/croco/models/croco.py missing.*--recursive.*non-commercial.*sift"
    with pytest.raises(ProtoSagaError, match=message):
        find_checkout(fake_checkout)
    monkeypatch.setattr(mast3r, "find_spec", lambda name: None)
    assert find_checkout() is None
    message = r"not installed.*pip install \"proto_saga_ns\[mastsam\]\".*--mast3r-path.*CC BY-NC-SA 4.0.*--matcher sift"
    with pytest.raises(ProtoSagaError, match=message):
        make_matcher("mast3r").match(*dining()[:2])


def test_code_that_lacks_a_package_is_explained(fake_checkout):
    (fake_checkout / "mast3r/model.py").write_text("import a_package_that_nobody_has")
    with pytest.raises(ProtoSagaError, match=r"cannot be imported: No module named 'a_package.*pip install"):
        import_mast3r(fake_checkout)


@pytest.mark.parametrize(
    ("weights", "reason"),
    [
        ("nobody/nothing", "not on this machine"),
        ("not/a/name/at/all", "not on this machine"),
        ("none.pth", "there is no such file"),
        ("bad.pth", "KeyError"),
        ("mast3r", r"holds no config\.json and no model\.safetensors"),
    ],
)
def test_missing_weights_are_explained(fake_checkout, monkeypatch, weights, reason):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.chdir(fake_checkout)
    message = rf"The weights {weights} .*{reason}.*hf download naver/MASt3R.*CC BY-NC-SA 4\.0.*--matcher sift"
    with pytest.raises(ProtoSagaError, match=message):
        fake_matcher(fake_checkout, weights=weights).match(*dining()[:2])


def test_too_little_memory_is_explained(fake_checkout, monkeypatch):
    matcher = fake_matcher(fake_checkout)

    def fail(*views):
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(matcher, "_match_windows", fail)
    with pytest.raises(ProtoSagaError, match="larger --mast3r-subsample"):
        matcher.match(*dining()[:2])


inf = float("inf")
THIN = {
    "enc_depth": 2,
    "dec_depth": 10,
    "enc_embed_dim": 32,
    "dec_embed_dim": 32,
    "enc_num_heads": 2,
    "dec_num_heads": 2,
    "pos_embed": "RoPE100",
    "img_size": (64, 64),
    "head_type": "catmlp+dpt",
    "output_mode": "pts3d+desc24",
    "depth_mode": ("exp", -inf, inf),
    "conf_mode": ("exp", 1, inf),
    "two_confs": True,
    "desc_conf_mode": ("exp", 0, inf),
    "patch_embed_cls": "PatchEmbedDust3R",
}


@pytest.fixture(scope="module")
def real_code():
    if find_checkout() is None:
        pytest.skip("the extra mastsam is not installed")
    return import_mast3r()


@pytest.fixture(scope="module")
def tiny_weights(real_code, tmp_path_factory):
    """The real class as it is published, but thin, with random weights."""
    torch.manual_seed(0)
    model = real_code.model_class(**THIN, landscape_only=False)
    folder = tmp_path_factory.mktemp("mast3r")
    model.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("sizes", [((96, 128), (128, 96)), ((100, 100), (90, 123))])
def test_the_real_class_matches_as_with_its_own_loader(real_code, tiny_weights, tmp_path, sizes):
    options = MatcherOptions(mast3r_weights=str(tiny_weights), mast3r_long_edge=128, mast3r_confidence=0.0)
    matcher = make_matcher("mast3r", options)
    assert isinstance(matcher, Mast3rMatcher)
    photos = [dining()[index].image[: size[0], : size[1]] for index, size in zip((3, 4), sizes, strict=True)]
    matches = matcher.match(*(Frame("photo", photo) for photo in photos))
    xy, confidence = _matches_by_their_own_loader(real_code, matcher._model, photos, tmp_path)
    assert len(matches) == len(confidence) > 5
    np.testing.assert_allclose(matches.confidence, confidence, rtol=1e-3)
    for ours, theirs, size in zip((matches.xy_a, matches.xy_b), xy, sizes, strict=True):
        np.testing.assert_allclose(fit_patches(size, 128).to_window(ours), theirs + 0.5, atol=1e-3)


def _matches_by_their_own_loader(code, model, photos, folder):
    from dust3r.inference import inference  # pyright: ignore[reportMissingImports]
    from dust3r.utils.image import load_images  # pyright: ignore[reportMissingImports]

    paths = [str(folder / f"{index}.png") for index in (0, 1)]
    for path, photo in zip(paths, photos, strict=True):
        Image.fromarray(photo).save(path)
    views = load_images(paths, size=128, verbose=False)
    found = inference([tuple(views)], model, "cpu", batch_size=1, verbose=False)
    descriptors = [found[f"pred{i}"]["desc"][0] for i in (1, 2)]
    xy = code.reciprocal_neighbours(*descriptors, subsample_or_initxy1=8, device="cpu", dist="dot", block_size=2**13)
    inside = np.logical_and.reduce(
        [
            ((points >= 3) & (points < np.array(descriptor.shape[1::-1]) - 3)).all(axis=1)
            for points, descriptor in zip(xy, descriptors, strict=True)
        ]
    )
    confidence = np.minimum(
        *(
            found[f"pred{i}"]["desc_conf"][0].numpy()[points[:, 1], points[:, 0]]
            for i, points in zip((1, 2), xy, strict=True)
        )
    )
    return [points[inside] for points in xy], confidence[inside]


def test_a_folder_and_a_file_of_the_same_weights_match_alike(tiny_weights, tmp_path):
    described = ", ".join(f"{key}={value!r}" for key, value in THIN.items())
    arguments = argparse.Namespace(model=f"AsymmetricMASt3R({described})")
    weights = safetensors.torch.load_file(tiny_weights / "model.safetensors")
    torch.save({"args": arguments, "model": weights}, tmp_path / "published.pth")
    options = {"mast3r_long_edge": 96, "mast3r_confidence": 0.0}
    of_folder, of_file = (
        make_matcher("mast3r", MatcherOptions(mast3r_weights=str(path), **options)).match(*dining()[3:5])
        for path in (tiny_weights, tmp_path / "published.pth")
    )
    assert len(of_folder) > 5
    np.testing.assert_array_equal(of_folder.xy_b, of_file.xy_b)


def test_what_is_outside_of_the_window_only_moves_the_matches(tiny_weights):
    """Rows above and below the window are not seen: they only move the matches."""
    photo = dining()[3].image[:96, :128]
    wider = np.pad(photo, ((10, 10), (0, 0), (0, 0)), mode="reflect")
    matcher = make_matcher(
        "mast3r", MatcherOptions(mast3r_weights=str(tiny_weights), mast3r_long_edge=128, mast3r_confidence=0.0)
    )
    window = np.ascontiguousarray(wider[2:114])
    one = matcher.match(Frame("a", window), Frame("b", photo))
    other = matcher.match(Frame("a", wider), Frame("b", photo))
    np.testing.assert_allclose(one.xy_a + np.array((0, 2)), other.xy_a, atol=1e-3)
