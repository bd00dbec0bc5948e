"""Matchers against scenes whose true matches are known, and against the demo's photos and poses."""

import dataclasses
import json
import re
import sys

import cv2
import numpy as np
import pytest
import tyro
from hypothesis import given, settings
from hypothesis import strategies as st

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.mastsam.frames import Frame
from proto_saga_ns.mastsam.geometry import epipolar_distance, filter_matches
from proto_saga_ns.mastsam.matchers import registry, sift
from proto_saga_ns.mastsam.matchers.registry import MATCHERS, MatcherOptions, default_matcher, make_matcher
from proto_saga_ns.mastsam.matchers.resize import fit_patches, fit_whole, is_plain
from proto_saga_ns.mastsam.matchers.sift import SiftMatcher, SiftSettings, find_features, mutual_neighbours
from tests.mastsam.scenes import SIZE, blank, dining, nearest_by_angle, texture

EVERY_SIXTH = range(0, 72, 6)


def warp(image: np.ndarray, homography: np.ndarray) -> np.ndarray:
    """An image under a homography of image coordinates, whose (0, 0) is the corner; OpenCV's is a pixel's centre."""
    half = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
    return cv2.warpPerspective(image, np.linalg.inv(half) @ homography @ half, image.shape[1::-1])


@pytest.mark.parametrize("ratio", [0.7, 0.8])
def test_sift_finds_a_known_homography_to_a_fraction_of_a_pixel(ratio):
    homography = np.array([[1.3, 0.1, -40], [-0.1, 1.2, 5], [1e-4, 2e-4, 1]])
    image = texture()
    matches = SiftMatcher(SiftSettings(ratio=ratio)).match(Frame("a", image), Frame("b", warp(image, homography)))
    offset = cv2.perspectiveTransform(matches.xy_a[:, None], homography)[:, 0] - matches.xy_b
    good = np.linalg.norm(offset, axis=1) < 1
    assert len(matches) > 100 and good.mean() > 0.9
    assert np.abs(offset[good].mean(axis=0)).max() < 0.05  # half a pixel of another convention would show
    assert np.median(matches.confidence[good]) > np.median([*matches.confidence[~good], 0])


def test_points_of_a_mirrored_image_are_mirrored():
    image = texture()
    xy = find_features(image, SiftSettings()).xy
    mirrored = find_features(np.ascontiguousarray(image[:, ::-1]), SiftSettings()).xy * (-1, 1) + (SIZE[1], 0)
    nearest = np.linalg.norm(xy[:, None] - mirrored[None], axis=2).min(axis=1)
    assert (nearest < 0.1).mean() > 0.9


def test_sift_is_symmetric_repeats_nothing_and_stays_inside():
    a, b = dining()[6], dining()[7]
    matches, back = SiftMatcher().match(a, b), SiftMatcher().match(b, a).reversed()
    places, places_back = (np.hstack([found.xy_a, found.xy_b]) for found in (matches, back))
    assert len(np.unique(places, axis=0)) == len(matches) > 50
    assert set(map(tuple, places)) == set(map(tuple, places_back))
    for xy, frame in ((matches.xy_a, a), (matches.xy_b, b)):
        assert (xy >= 0).all() and (xy < frame.size[::-1]).all()
    assert matches.confidence.dtype == np.float32 and ((matches.confidence >= 0) & (matches.confidence <= 1)).all()


def test_sift_fits_the_poses_of_neighbouring_photos():
    frames, matcher, shares = dining(), SiftMatcher(), []
    for index in EVERY_SIXTH:
        a, b = frames[index], frames[nearest_by_angle(frames, index)]
        assert a.camera and b.camera
        matches = matcher.match(a, b)
        shares.append((epipolar_distance(matches, a.camera, b.camera) <= 2).mean())
    assert np.median(shares) > 0.9


def test_nothing_is_left_of_unrelated_images():
    frames, matcher = dining(), SiftMatcher()
    photo, other = frames[0], Frame("noise", texture(frames[0].size), frames[1].camera)
    assert len(filter_matches(matcher.match(photo, other), photo, other)) <= 3
    without_poses = Frame("photo", photo.image)
    assert len(filter_matches(matcher.match(without_poses, other), without_poses, other)) == 0
    for black in (blank(), blank(size=(1, 1))):
        assert len(matcher.match(photo, black)) == len(matcher.match(black, black)) == 0


def test_each_frame_is_looked_at_once_and_few_are_kept(monkeypatch):
    looked = []
    original = sift.find_features
    monkeypatch.setattr(sift, "find_features", lambda *given: looked.append(1) or original(*given))
    monkeypatch.setattr(sift, "_FRAMES_KEPT", 3)
    frames = [Frame(f"{seed}", texture((40, 40), seed)) for seed in range(6)]
    matcher = SiftMatcher()
    for start in range(4):
        for other in range(start + 1, start + 3):
            matcher.match(frames[start], frames[other])
    assert len(looked) == 6 and len(matcher._features) == 3
    matcher.match(frames[5], Frame("5", texture((40, 40), 77)))  # another image of the same name
    assert len(looked) == 7


@given(seed=st.integers(0, 10_000), sizes=st.tuples(st.integers(0, 30), st.integers(0, 30)))
@settings(max_examples=50)
def test_mutual_neighbours_are_those_of_all_distances(seed, sizes):
    rng = np.random.default_rng(seed)
    a, b = (rng.normal(size=(size, 5)) for size in sizes)
    a, b = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (a, b))
    index_a, index_b, ratio = mutual_neighbours(a @ b.T)
    distance = np.linalg.norm(a[:, None] - b[None], axis=2)
    expected = [
        (i, j)
        for i in range(len(a))
        for j in range(len(b))
        if distance[i].argmin() == j and distance[:, j].argmin() == i
    ]
    assert list(zip(index_a, index_b, strict=True)) == expected
    for i, j, found in zip(index_a, index_b, ratio, strict=True):
        seconds = [np.sort(line)[1] for line in (distance[i], distance[:, j]) if len(line) > 1]
        slow = 1.0 if len(seconds) < 2 else max(distance[i, j] / second for second in seconds)
        assert found == pytest.approx(slow, abs=1e-5)


sizes = st.tuples(st.integers(20, 2000), st.integers(20, 2000)).filter(lambda size: max(size) <= 16 * min(size))


@given(size=sizes, long_edge=st.sampled_from([256, 512, 500]), whole_squares=st.booleans())
@settings(max_examples=200)
def test_windows_are_whole_patches_in_the_middle_and_points_come_back(size, long_edge, whole_squares):
    fit = fit_patches(size, long_edge, whole_squares=whole_squares)
    for edge in (0, 1):
        before = fit.corner[edge]
        after = fit.scaled[edge] - before - fit.window[edge]
        assert fit.window[edge] % 16 == 0 and fit.window[edge] > 0 and before >= 0 and after >= 0
        assert abs(before - after) <= 1
    assert max(fit.scaled) == long_edge
    square = fit.scaled[0] == fit.scaled[1]
    assert (fit.window[0] < fit.window[1]) if square and not whole_squares else True
    corners = np.array([(0.0, 0.0), (fit.window[1], fit.window[0]), (3.25, 7.5)])
    xy = fit.to_image(corners)
    assert (xy >= 0).all() and (xy < size[::-1]).all()
    np.testing.assert_allclose(fit.to_window(xy), corners, atol=1e-3 * long_edge / 16)


@given(size=sizes, long_edge=st.integers(16, 900))
@settings(max_examples=100)
def test_whole_images_only_shrink(size, long_edge):
    fit = fit_whole(size, long_edge)
    assert fit.window == fit.scaled and fit.corner == (0, 0) and max(fit.scaled) == min(long_edge, max(size))
    np.testing.assert_allclose(fit.to_image(np.array([fit.window[::-1]]) / 2.0)[0], np.divide(size[::-1], 2), rtol=1e-6)


@pytest.mark.parametrize("size", [(480, 640), (1000, 500), (301, 222), (90, 90)])
def test_a_spot_of_the_window_comes_back_to_where_it_is_in_the_image(size):
    fit = fit_patches(size, 192)
    rows, columns = np.mgrid[: size[0], : size[1]] + 0.5
    spot = np.array([size[1] * 0.55, size[0] * 0.45])
    bell = np.exp(-((columns - spot[0]) ** 2 + (rows - spot[1]) ** 2) / (2 * (0.04 * max(size)) ** 2))
    seen = fit.apply(np.repeat((255 * bell).astype(np.uint8)[..., None], 3, axis=2))[..., 0].astype(float)
    rows, columns = np.mgrid[: fit.window[0], : fit.window[1]] + 0.5
    centre = np.array([[(columns * seen).sum(), (rows * seen).sum()]]) / seen.sum()
    assert seen.shape == fit.window
    np.testing.assert_allclose(fit.to_image(centre)[0], spot, atol=0.02 * max(1, max(size) / 192))


def test_images_too_narrow_for_a_patch():
    with pytest.raises(ProtoSagaError, match=r"1000 x 20 pixels is too narrow.*--matcher sift"):
        fit_patches((20, 1000), 512)


def test_plain_images():
    assert is_plain(np.full((3, 4, 3), 7, np.uint8)) and is_plain(np.zeros((0, 4, 3), np.uint8))
    assert not is_plain(texture((5, 5)))


@pytest.mark.parametrize("name", MATCHERS)
def test_matchers_are_made_by_name_and_tell_their_settings(name):
    matcher = make_matcher(name)
    assert matcher.name == name
    assert json.loads(json.dumps(matcher.settings)) == matcher.settings
    option = {"mast3r": {"mast3r_subsample": 4}, "sift": {"sift_ratio": 0.6}, "poses+depth": {"depth_stride": 3}}[name]
    assert make_matcher(name, MatcherOptions(**option)).settings != matcher.settings


def test_every_option_reaches_its_matcher():
    changed = MatcherOptions(
        **{
            name: (value + 1 if type(value) in (int, float) and name != "sift_ratio" else value)
            for name, value in vars(MatcherOptions()).items()
        }
    )
    for name, prefix in (("mast3r", "mast3r"), ("sift", "sift"), ("poses+depth", "depth")):
        for key, value in make_matcher(name, changed).settings.items():
            if hasattr(changed, f"{prefix}_{key}") and key != "weights":
                assert value == getattr(changed, f"{prefix}_{key}"), key


@pytest.mark.parametrize(
    ("name", "bad"),
    [("sift", {"sift_ratio": 0.0}), ("poses+depth", {"depth_stride": 0}), ("mast3r", {"mast3r_subsample": 0})],
)
def test_options_out_of_range_are_a_users_error(name, bad):
    with pytest.raises(ProtoSagaError, match=rf"Bad option of --matcher {re.escape(name)}: .*must be"):
        make_matcher(name, MatcherOptions(**bad))


def test_names_that_need_the_extra_say_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "vismatch", None)
    with pytest.raises(ProtoSagaError, match=r"no matcher loftr here.*pip install \"proto_saga_ns\[mastsam\]\""):
        make_matcher("loftr")


def test_the_default_says_loudly_that_sift_is_weaker(monkeypatch):
    monkeypatch.setattr(registry, "find_checkout", lambda: None)
    name, why = default_matcher()
    assert name == "sift" and "NOT INSTALLED" in why and "weaker" in why and "non-commercial" in why
    monkeypatch.setattr(registry, "find_checkout", lambda: "here")
    assert default_matcher()[0] == "mast3r"


def test_options_become_help():
    text = " ".join(tyro.extras.get_parser(MatcherOptions).format_help().replace("│", " ").split())
    for field in dataclasses.fields(MatcherOptions):
        assert f"--{field.name.replace('_', '-')}" in text
    assert "a match must be this much closer than the second best one" in text
