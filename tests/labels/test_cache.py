"""The mask cache makes each label map once, survives kills, and notices changed images."""

import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.labels import read_label_map, read_rgb
from proto_saga_ns.masks import cache as cache_module
from proto_saga_ns.masks.cache import ensure_masks, find_cached_masks


class CountingSegmenter:
    """Labels by the red channel; remembers how often it ran, and dies on request."""

    name = "counting"

    def __init__(self, settings=None, dies_after=None):
        self.settings = settings or {"size": 1}
        self.calls = 0
        self._dies_after = dies_after

    def __call__(self, image):
        if self.calls == self._dies_after:
            raise KeyboardInterrupt
        self.calls += 1
        return image[..., 0].astype(np.int32)


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "data" / "images").mkdir(parents=True)
    return tmp_path / "data"


def write_images(data, count=5):
    paths = [data / "images" / f"{index}.png" for index in range(count)]
    for index, path in enumerate(paths):
        Image.new("RGB", (4, 3), (index + 1, 0, 0)).save(path)
    return paths


def ids(folder, paths):
    return [int(read_label_map(folder / f"{path.stem}.png").max()) for path in paths]


def test_label_maps_are_made_once(data):
    paths, segmenter = write_images(data), CountingSegmenter()
    assert find_cached_masks(paths, segmenter, data) is None
    folder = ensure_masks(paths, segmenter, data)
    assert folder.parent == data / ".proto_saga" / "masks"
    assert ids(folder, paths) == [1, 2, 3, 4, 5]
    assert ensure_masks(paths, segmenter, data) == folder == find_cached_masks(paths, segmenter, data)
    assert segmenter.calls == 5


def test_manifest_tells_settings_versions_and_images(data):
    paths = write_images(data)
    manifest = json.loads((ensure_masks(paths, CountingSegmenter(), data) / "manifest.json").read_text())
    assert manifest["backend"] == "counting" and manifest["settings"] == {"size": 1}
    assert set(manifest["images"]) == {path.name for path in paths} and "proto_saga_ns" in manifest["versions"]


def test_a_killed_run_is_resumed_where_it_stopped(data):
    paths = write_images(data)
    with pytest.raises(KeyboardInterrupt):
        ensure_masks(paths, CountingSegmenter(dies_after=2), data)
    assert find_cached_masks(paths, CountingSegmenter(), data) is None
    second = CountingSegmenter()
    assert ids(ensure_masks(paths, second, data), paths) == [1, 2, 3, 4, 5]
    assert second.calls == 3


def test_sigkill_leaves_whole_label_maps_only(data):
    paths = write_images(data)
    script = (
        "import os, signal, sys; from pathlib import Path; from proto_saga_ns.masks.cache import ensure_masks\n"
        "class Segmenter:\n"
        "    name, settings = 'counting', {'size': 1}\n"
        "    def __call__(self, image): return image[..., 0].astype('int32')\n"
        "def killed_on_the_third(*arguments, replace=os.replace, done=[]):\n"
        "    done.append(1)\n"
        "    os.kill(os.getpid(), signal.SIGKILL) if len(done) == 3 else replace(*arguments)\n"
        "os.replace = killed_on_the_third\n"
        "ensure_masks(sorted(Path(sys.argv[1]).glob('images/*')), Segmenter(), Path(sys.argv[1]))\n"
    )
    assert subprocess.run([sys.executable, "-c", script, str(data)]).returncode == -signal.SIGKILL
    segmenter = CountingSegmenter()
    folder = ensure_masks(paths, segmenter, data)
    assert segmenter.calls == 3 and ids(folder, paths) == [1, 2, 3, 4, 5]


def test_changed_and_added_images_are_made_again_and_no_others(data):
    paths, segmenter = write_images(data), CountingSegmenter()
    ensure_masks(paths[:4], segmenter, data)
    Image.new("RGB", (4, 3), (99, 0, 0)).save(paths[1])
    todo = []
    folder = ensure_masks(paths, segmenter, data, progress=lambda items, what: todo.extend(items) or todo)
    assert todo == [paths[1], paths[4]]
    assert ids(folder, paths) == [1, 99, 3, 4, 5]


def test_foreign_and_half_written_files_are_not_trusted(data):
    paths, segmenter = write_images(data), CountingSegmenter()
    folder = ensure_masks(paths, segmenter, data)
    Image.new("L", (4, 3), 77).save(folder / "0.png")
    (folder / "1.png").write_bytes((folder / "1.png").read_bytes()[:20])
    (folder / "2.png").write_bytes((folder / "2.png").read_bytes()[:-5])
    assert ids(ensure_masks(paths, segmenter, data), paths) == [1, 2, 3, 4, 5]
    assert segmenter.calls == 8


def test_other_settings_use_another_folder(data):
    paths = write_images(data)
    folders = {ensure_masks(paths, CountingSegmenter({"size": size}), data) for size in (1, 2)}
    assert len(folders) == 2


def test_one_cache_serves_all_downscale_factors(data):
    paths, segmenter = write_images(data), CountingSegmenter()
    small = [data / "images_2" / path.name for path in paths]
    small[0].parent.mkdir()
    for path in small:
        Image.new("RGB", (2, 1), (200, 0, 0)).save(path)
    folder = ensure_masks(small, segmenter, data)
    assert ids(folder, paths) == [1, 2, 3, 4, 5]
    assert find_cached_masks(paths, segmenter, data) == find_cached_masks(small, segmenter, data) == folder


def test_a_subset_of_the_views_leaves_the_others_in_the_manifest(data):
    paths, segmenter = write_images(data), CountingSegmenter()
    manifest = ensure_masks(paths, segmenter, data) / "manifest.json"
    before = manifest.stat().st_mtime_ns
    Image.new("RGB", (4, 3), (99, 0, 0)).save(paths[1])
    ensure_masks(paths[:2], segmenter, data)
    assert len(json.loads(manifest.read_text())["images"]) == 5 and manifest.stat().st_mtime_ns > before


def test_debris_of_killed_writers_is_cleared_when_it_is_old(data):
    paths, segmenter = write_images(data), CountingSegmenter()
    folder = ensure_masks(paths[:4], segmenter, data)
    old, new = folder / ".0.png.1.tmp", folder / ".0.png.2.tmp"
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (0, 0))
    ensure_masks(paths, segmenter, data)
    assert new.exists() and not old.exists()


def test_the_fingerprint_is_of_the_bytes_that_were_segmented(data):
    (path,) = write_images(data, 1)

    class Interrupted(CountingSegmenter):
        def __call__(self, image):
            Image.new("RGB", (4, 3), (99, 0, 0)).save(path)
            return super().__call__(image)

    ensure_masks([path], Interrupted(), data)
    assert find_cached_masks([path], Interrupted(), data) is None


def test_read_only_data_falls_back_to_the_users_cache(data, tmp_path, monkeypatch):
    paths, segmenter = write_images(data), CountingSegmenter()
    # A file where the folder should be stops everybody, the superuser too.
    (data / ".proto_saga").write_text("")
    folder = ensure_masks(paths, segmenter, data)
    assert folder.is_relative_to(tmp_path / "cache" / "proto_saga_ns")
    assert ensure_masks(paths, segmenter, data) == folder
    assert segmenter.calls == 5
    monkeypatch.setenv("XDG_CACHE_HOME", str(data / ".proto_saga"))
    with pytest.raises(ProtoSagaError, match="XDG_CACHE_HOME"):
        ensure_masks(paths, CountingSegmenter({"size": 3}), data)


def test_a_complete_cache_in_read_only_data_is_used(data, monkeypatch):
    paths, segmenter = write_images(data), CountingSegmenter()
    folder = ensure_masks(paths, segmenter, data)
    monkeypatch.setattr(cache_module, "_first_writable", lambda roots: pytest.fail("wrote"))
    assert ensure_masks(paths, segmenter, data) == folder


def test_bad_images_are_named(data):
    paths = write_images(data, 2)
    paths[1].write_bytes(b"no image")
    with pytest.raises(ProtoSagaError, match=r"1\.png"):
        ensure_masks(paths, CountingSegmenter(), data)
    with pytest.raises(ProtoSagaError, match="share the name"):
        ensure_masks([paths[0], paths[0].with_suffix(".jpg")], CountingSegmenter(), data)


def test_transparent_pixels_are_white(tmp_path):
    Image.new("RGBA", (2, 2), (10, 20, 30, 0)).save(tmp_path / "a.png")
    assert (read_rgb(tmp_path / "a.png") == 255).all()
