"""proto-saga export on a trained run: files that add up to the scene, in the coordinates of the data."""

from __future__ import annotations

import base64
import json
import re
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

import proto_saga_ns.cli.work.export
import proto_saga_ns.cli.work.web_page
from proto_saga_ns.cli.export import Export
from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.export.web.pack import PageGaussians
from proto_saga_ns.labels import read_label_map
from proto_saga_ns.plugin.model.render import CameraView
from proto_saga_ns.plugin.model.views import TrainingViews
from proto_saga_ns.plugin.run import Run, load_run
from proto_saga_ns.rasterize import rasterization
from proto_saga_ns.recognition.gaussian_instances import GaussianInstances
from proto_saga_ns.splats.formats import SUFFIXES
from proto_saga_ns.splats.ply import read_labelled_ply, read_ply, says_antialiased
from proto_saga_ns.splats.read import read_splat
from proto_saga_ns.splats.splat import Splat, plain_colors
from proto_saga_ns.splats.transform import Similarity, transform_splat
from tests.cli.test_masks import assert_error
from tests.commands import run
from tests.conftest import TrainedRun
from tests.export.web.scenes import unpacked
from tests.scene.scenes import with_levels
from tests.scenes import ROOM
from tests.splats.splats import picture


@pytest.fixture(scope="module")
def exported(trained_run: TrainedRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All that one command can write; to be left as it is."""
    output = tmp_path_factory.mktemp("export") / "new" / "folder"
    what = ("instances", "rest", "labelled", "colors", "boxes")
    options = ("--what", *what, "--remove", 3, 1, "--label-maps", "--coco")
    process = run("proto-saga", "export", "--load-config", trained_run.config, "--output-dir", output, *options)
    assert process.returncode == 0, process.stdout + process.stderr
    return output


@pytest.fixture(scope="module")
def loaded(trained_run: TrainedRun) -> Run:
    """The run, opened once."""
    return load_run(trained_run.config)


class Exporter:
    """The command without opening the run again; its settings may be changed before."""

    def __init__(self, run: Run, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.run, self.config, self.change = run, config, monkeypatch
        monkeypatch.setattr(proto_saga_ns.cli.work.export, "load_run", lambda *_: run)

    def label(self, ids: torch.Tensor) -> None:
        """Give the Gaussians these instances."""
        instances = GaussianInstances(ids.int(), (ids > 0) * 0.5)
        self.change.setattr(proto_saga_ns.cli.work.export, "_gaussian_instances", lambda *_: instances)

    def __call__(self, output: Path, **options: Any) -> None:
        Export(self.config, output, **options).run()


@pytest.fixture
def export(loaded: Run, trained_run: TrainedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Exporter:
    """Exports from a folder that holds the files beside the checkpoint, to be changed at will."""
    folder = tmp_path / "run"
    folder.mkdir()
    for name in ("config.yml", "dataparser_transforms.json"):
        shutil.copy(trained_run.folder / name, folder)
    return Exporter(loaded, folder / "config.yml", monkeypatch)


def trained_splat(trained: TrainedRun) -> Splat:
    """The Gaussians of the checkpoint, training frame."""
    state = torch.load(trained.checkpoint, map_location="cpu", weights_only=True)["pipeline"]
    prefix = "_model.gauss_params."
    return Splat.from_parameters({key[len(prefix) :]: state[key] for key in state if key.startswith(prefix)})


def table(folder: Path) -> dict:
    return json.loads((folder / "instances.json").read_text())


def rows(splat: Splat) -> list[list[float]]:
    return sorted(torch.cat([splat.means, splat.harmonics[:, 0]], dim=1).tolist())


def test_instance_files_and_rest_hold_every_gaussian_once(exported: Path, trained_run: TrainedRun) -> None:
    content = table(exported)
    parts = [*content["instances"], content["rest"]]
    splats = [read_ply(exported / part["file"]) for part in parts if part["file"]]
    assert [len(splat) for splat in splats] == [part["n_exported"] for part in parts if part["file"]]
    assert all(part["n_exported"] == 0 for part in parts if not part["file"])
    whole = read_ply(exported / "labelled.ply")
    assert sorted(row for splat in splats for row in rows(splat)) == rows(whole)
    assert len(whole) == len(trained_splat(trained_run))


def test_the_exported_scene_is_that_of_the_model_in_other_coordinates(exported: Path, trained_run: TrainedRun) -> None:
    whole, labels = read_labelled_ply(exported / "labelled.ply")
    content = json.loads((exported / "transform.json").read_text())
    to_training = Similarity.from_matrix(np.array(content["exported_to_training"]["matrix"])[:3])
    assert abs(to_training.scale - 1) > 0.1
    again, trained = transform_splat(whole, to_training), trained_splat(trained_run)
    assert float(picture(trained)[..., 3].max()) > 0.9
    torch.testing.assert_close(picture(again), picture(trained), rtol=1e-3, atol=1e-3)
    ids = {instance["id"] for instance in table(exported)["instances"]}
    assert set(labels.ids.tolist()) <= ids | {0} and len(set(labels.ids.tolist())) > 3


def test_coordinates_are_those_of_the_data(exported: Path) -> None:
    means = read_ply(exported / "labelled.ply").means.numpy()
    low, high = np.quantile(means, 0.05, axis=0), np.quantile(means, 0.95, axis=0)
    size = np.array(ROOM[1]) - np.array(ROOM[0])
    assert (low > np.array(ROOM[0]) - 0.1 * size).all() and (high < np.array(ROOM[1]) + 0.1 * size).all()
    assert ((high - low) > 0.3 * size).all()


def test_the_training_frame_holds_the_parameters_of_the_checkpoint(
    export: Exporter, trained_run: TrainedRun, tmp_path: Path
) -> None:
    export(tmp_path / "out", frame="training", what=("labelled",))
    written, trained = read_ply(tmp_path / "out" / "labelled.ply"), trained_splat(trained_run)
    assert torch.equal(written.means, trained.means) and torch.equal(written.log_scales, trained.log_scales)
    torch.testing.assert_close(written.quats, trained.unit_quats())
    torch.testing.assert_close(written.harmonics, trained.harmonics)
    content = json.loads((tmp_path / "out" / "transform.json").read_text())
    assert content["exported_to_training"]["matrix"] == np.eye(4).tolist()


def test_removal_leaves_the_others(exported: Path) -> None:
    left = read_ply(exported / "scene_without_0001_0003.ply")
    whole, labels = read_labelled_ply(exported / "labelled.ply")
    assert rows(left) == rows(whole.select((labels.ids != 1) & (labels.ids != 3)))


def test_boxes_surround_most_of_what_they_name(exported: Path) -> None:
    content = json.loads((exported / "boxes.json").read_text())
    with_gaussians = {part["id"]: part for part in table(exported)["instances"] if part["file"]}
    assert [box["id"] for box in content["boxes"]] == sorted(with_gaussians)
    np.testing.assert_allclose(content["up"], [0, 0, 1], atol=1e-3)
    for box in content["boxes"]:
        part = with_gaussians[box["id"]]
        assert part["box"]["aligned"] == box["aligned"] and box["name"] == part["name"]
        means = read_ply(exported / part["file"]).means.numpy()
        upright = box["upright"]
        local = (means - upright["center"]) @ np.array(upright["rotation"])
        inside = (np.abs(local) <= np.array(upright["size"]) / 2 + 1e-3).all(axis=1)
        assert inside.mean() > 0.5 * box["share"]


def test_label_maps_and_coco_hold_the_same(exported: Path, trained_run: TrainedRun) -> None:
    from pycocotools import mask

    content = json.loads((exported / "coco.json").read_text())
    ids = {instance["id"] for instance in table(exported)["instances"]}
    assert {image["file_name"] for image in content["images"]} == {p.name for p in trained_run.scene.image_paths}
    for image in content["images"]:
        labels = read_label_map(exported / "label_maps" / f"{Path(image['file_name']).stem}.png")
        assert len(np.unique(labels)) > 2 and set(np.unique(labels)) <= ids | {0}
        painted = np.zeros_like(labels)
        for record in content["annotations"]:
            if record["image_id"] == image["id"]:
                painted[mask.decode(record["segmentation"]).astype(bool)] = record["label"]
        assert np.array_equal(painted, labels)


def test_a_choice_is_what_is_written(
    export: Exporter, exported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out"
    output.mkdir()
    (output / "instance_0099.ply").write_text("old")
    export(output, instances=(2, 2), what=("instances",))
    names = {path.name for path in output.iterdir()}
    assert names == {"instance_0002.ply", "instance_0099.ply", "instances.json", "transform.json"}
    assert (output / "instance_0002.ply").read_bytes() == (exported / "instance_0002.ply").read_bytes()
    files = {part["id"]: part["file"] for part in table(output)["instances"] if part["file"]}
    assert files == {2: "instance_0002.ply"}
    assert "earlier export: instance_0099.ply" in " ".join(capsys.readouterr().out.split())


def test_ids_that_do_not_fit_are_refused(export: Exporter, tmp_path: Path) -> None:
    for ids in (torch.ones(3), torch.full((export.run.model.num_points,), 999)):
        export.label(ids)
        with pytest.raises(ProtoSagaError, match="do not fit"):
            export(tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_gaussians_of_no_instance_are_the_rest(export: Exporter, tmp_path: Path) -> None:
    count = export.run.model.num_points
    export.label(torch.arange(count) >= 7)
    export(tmp_path / "out")
    assert len(read_ply(tmp_path / "out" / "rest.ply")) == 7 == table(tmp_path / "out")["rest"]["n_exported"]
    assert len(read_ply(tmp_path / "out" / "instance_0001.ply")) == count - 7


def test_removing_everything_is_refused(export: Exporter, tmp_path: Path) -> None:
    export.label(torch.full((export.run.model.num_points,), 2))
    with pytest.raises(ProtoSagaError, match="nothing is left"):
        export(tmp_path / "out", remove=(2,), what=())
    assert not list((tmp_path / "out").glob("*.ply"))


def test_unknown_instances_name_the_known_ones(export: Exporter, tmp_path: Path) -> None:
    for options in ({"instances": (2, 4321)}, {"remove": (4321,)}):
        with pytest.raises(ProtoSagaError, match=r"no instance 4321\. It has 1-"):
            export(tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_a_run_without_segmentation(export: Exporter, tmp_path: Path) -> None:
    export.change.setattr(export.run.model, "scene", None)
    with pytest.raises(ProtoSagaError, match="proto-saga associate"):
        export(tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("content", ["{", '{"transform": [[1]]}', '{"transform": [[1, 2], [3, 4]], "scale": 1}'])
@pytest.mark.usefixtures("unchecked_shapes")
def test_damaged_coordinates_are_refused(export: Exporter, tmp_path: Path, content: str) -> None:
    (export.config.parent / "dataparser_transforms.json").write_text(content)
    with pytest.raises(ProtoSagaError, match=r"dataparser_transforms\.json"):
        export(tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written(export: Exporter, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ProtoSagaError, match=str(tmp_path / "file")):
        export(tmp_path / "file" / "out")


def test_views_of_one_name_are_refused_before_anything_is_written(export: Exporter, tmp_path: Path) -> None:
    camera = next(export.run.cameras("test"))
    export.change.setattr(type(export.run), "cameras", lambda *_: iter([camera, camera]))
    with pytest.raises(ProtoSagaError, match="--split"):
        export(tmp_path / "out", coco=True)
    assert not (tmp_path / "out").exists()


def test_what_a_reader_should_know_is_said(
    export: Exporter, exported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One Gaussian is NaN, all belong to instance 2, the coordinates' file is gone, the scene was antialiased."""
    (export.config.parent / "dataparser_transforms.json").unlink()
    model = export.run.model
    means = model.gauss_params["means"].detach().clone()
    means[0, 1] = torch.nan
    export.label(torch.full((len(means),), 2))
    export.change.setattr(model.gauss_params["means"], "data", means)
    export.change.setattr(model.config, "rasterize_mode", "antialiased")
    export(tmp_path / "out")
    said = " ".join(capsys.readouterr().out.split())
    for words in ("1 Gaussians are NaN", "of instance 1, 3", "json is missing", "antialiased", "no rest.ply"):
        assert words in said
    first = table(tmp_path / "out")["instances"][0]
    assert (first["id"], first["file"], first["n_exported"], first["box"]) == (1, None, 0, None)
    assert not (tmp_path / "out" / "instance_0001.ply").exists()
    assert says_antialiased(tmp_path / "out" / "labelled.ply") and not says_antialiased(exported / "labelled.ply")
    written = read_ply(tmp_path / "out" / "labelled.ply").means
    torch.testing.assert_close(written, read_ply(exported / "labelled.ply").means[1:])


def test_every_format_holds_the_same_scene_and_instances_json_names_the_files(
    exported: Path, export: Exporter, tmp_path: Path
) -> None:
    formats = ("spz", "ply", "compressed-ply", "splat", "sog", "glb", "spz")
    export(tmp_path / "out", format=formats, what=("instances", "rest", "labelled", "colors"), remove=(1,))
    content, before = table(tmp_path / "out"), table(exported)
    entries = [entry for entry in (*content["instances"], content["rest"]) if entry["file"]]
    assert [entry["n_exported"] for entry in entries] == [
        entry["n_exported"] for entry in (*before["instances"], before["rest"]) if entry["file"]
    ]
    for entry in entries:
        stem = Path(entry["file"]).stem
        assert entry["files"] == {kind: f"{stem}{SUFFIXES[kind]}" for kind in dict.fromkeys(formats)}
        assert entry["file"] == f"{stem}.spz"
        for file in entry["files"].values():
            splat = read_splat(tmp_path / "out" / file).splat
            assert len(splat) == entry["n_exported"]
            expected = read_ply(exported / f"{stem}.ply").means
            torch.testing.assert_close(splat.means.mean(dim=0), expected.mean(dim=0), rtol=0, atol=0.01)
    stems = {"spz": "scene", "compressed-ply": "scene", "splat": "scene", "sog": "scene", "ply": "labelled"}
    for kind, suffix in SUFFIXES.items():
        for name in (stems.get(kind, "labelled"), "instance_colors", "scene_without_0001"):
            assert len(read_splat(tmp_path / "out" / f"{name}{suffix}").splat) > 10
    written, kept = ((folder / "labelled.ply").read_bytes() for folder in (tmp_path / "out", exported))
    assert written == kept


def test_a_format_that_cannot_hold_the_scene_writes_nothing(export: Exporter, tmp_path: Path) -> None:
    with pytest.raises(ProtoSagaError, match="--format: no format"):
        export(tmp_path / "out", format=())
    rest = export.run.model.gauss_params["features_rest"]
    more = torch.nn.Parameter(torch.zeros(len(rest), 24, 3))
    export.change.setitem(export.run.model.gauss_params._parameters, "features_rest", more)
    with pytest.raises(ProtoSagaError, match=r"--format sog .* degree 4"):
        export(tmp_path / "out", format=("ply", "sog"))
    assert not (tmp_path / "out").exists()


class GaussianArrays(NamedTuple):
    """To be rendered in their plain colours."""

    means: torch.Tensor
    quats: torch.Tensor
    log_scales: torch.Tensor
    opacities: torch.Tensor
    colors: torch.Tensor

    @classmethod
    def of(cls, page: PageGaussians) -> GaussianArrays:
        return cls(*(torch.from_numpy(np.asarray(column, np.float32)) for column in list(vars(page).values())[:5]))

    def some(self, chosen: torch.Tensor) -> GaussianArrays:
        return GaussianArrays(*(column[chosen] for column in self))

    def picture(self, view: CameraView) -> torch.Tensor:
        camera = {"viewmats": view.viewmats, "Ks": view.intrinsics, "width": view.width, "height": view.height}
        shape = (self.means, self.quats, self.log_scales.exp(), self.opacities)
        return rasterization(*shape, colors=self.colors, **camera)[0]


def page_of(folder: Path) -> dict[str, Any]:
    """What the page says of the scene."""
    text = (folder / "scene.html").read_text(encoding="utf-8")
    found = re.search(r'id="scene-data" type="application/json">(.*?)</script>', text, re.DOTALL)
    assert found is not None
    return json.loads(found[1])


def test_a_page_has_all_that_is_drawn(export: Exporter, exported: Path, tmp_path: Path) -> None:
    export(tmp_path / "out", what=("web",))
    assert {file.name for file in (tmp_path / "out").iterdir()} == {"scene.html", "instances.json", "transform.json"}
    page = page_of(tmp_path / "out")
    whole, labels = read_labelled_ply(exported / "labelled.ply")
    drawn = whole.opacity_logits.sigmoid() >= 1 / 255
    assert page["count"] == page["total"] == int(drawn.sum())
    objects = next(level for level in page["levels"] if level["name"] == "object")
    known = {instance["id"]: instance for instance in table(exported)["instances"]}
    assert {thing["id"]: thing["name"] for thing in objects["things"]} == {n: i["name"] for n, i in known.items()}
    for thing in objects["things"]:
        assert thing["count"] == int((labels.ids[drawn] == thing["id"]).sum())
        assert thing["color"] == known[thing["id"]]["color"]


def test_levels_of_a_page_are_nested(export: Exporter, tmp_path: Path) -> None:
    export.change.setattr(export.run.model, "scene", with_levels(export.run.scene))
    export(tmp_path / "out", what=("web",), granularity="group")
    page = page_of(tmp_path / "out")
    assert [level["name"] for level in page["levels"]] == ["group", "object", "part"]
    units = {level["name"]: [set(thing["units"]) for thing in level["things"]] for level in page["levels"]}
    for things in units.values():
        together = set().union(*things)
        assert sum(map(len, things)) == len(together) and together >= {*page["rows"]["ids"]} - {0}
    for coarse, fine in zip([*units], [*units][1:], strict=False):
        assert all(any(small <= large for large in units[coarse]) for small in units[fine])
    assert page["level"] == "group"


def test_a_small_page_looks_more_like_the_scene_than_a_random_choice(export: Exporter, tmp_path: Path) -> None:
    model, count = export.run.model, export.run.model.num_points // 2
    export(tmp_path / "out", what=("web",), max_gaussians=count)
    page = page_of(tmp_path / "out")
    assert page["count"] == count < page["total"]
    text = (tmp_path / "out" / "scene.html").read_text(encoding="utf-8")
    kept = unpacked(base64.b64decode(re.search(r'type="text/plain">(.*?)<', text)[1]), count)  # type: ignore[index]
    splat = Splat.from_parameters(dict(model.gauss_params.items()))
    chosen = torch.randperm(len(splat), generator=torch.Generator().manual_seed(0))[:count]
    colors = plain_colors(splat.harmonics[:, 0])
    whole = GaussianArrays(splat.means, splat.unit_quats(), splat.log_scales, splat.opacity_logits.sigmoid(), colors)
    view = TrainingViews(model, export.run.pipeline.datamanager).geometry(0)
    picture = whole.picture(view)
    errors = [
        float((some.picture(view) - picture).square().mean()) for some in (GaussianArrays.of(kept), whole.some(chosen))
    ]
    assert errors[0] < 0.4 * errors[1]


def test_too_many_gaussians_for_a_page_are_refused(export: Exporter, tmp_path: Path) -> None:
    export.change.setattr(proto_saga_ns.cli.work.web_page, "MAX_GAUSSIANS", 10)
    with pytest.raises(ProtoSagaError, match=r"--max-gaussians 10 keeps"):
        export(tmp_path / "out", what=("web",))
    assert not (tmp_path / "out" / "scene.html").exists() and not (tmp_path / "out" / "instances.json").exists()
    with pytest.raises(ProtoSagaError, match="--max-gaussians is 0"):
        export(tmp_path / "out", what=("web",), max_gaussians=0)


def test_help_reads_well() -> None:
    process = run("proto-saga", "export", "--help")
    assert process.returncode == 0 and "instance_id" in process.stdout
    assert_error(run("proto-saga", "export", "--load-config", "nowhere.yml", "--output-dir", "out"), "nowhere.yml")
