"""GLB: what glTF's own readers find in it, and what of glTF is read."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import trimesh
from scipy.spatial.transform import Rotation

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.splats.glb import CONFIDENCE, EXTENSION, INSTANCE, TO_PLY, read_glb, write_glb
from proto_saga_ns.splats.splat import Splat
from proto_saga_ns.splats.transform import Similarity, transform_splat
from tests.splats.compare import differences
from tests.splats.splats import picture, random_instances, random_splat


def parts(file: Path) -> tuple[dict[str, Any], bytes]:
    """JSON and buffer, by the layout of glTF 2.0."""
    content = file.read_bytes()
    magic, version, length, size, kind = struct.unpack_from("<4sIIII", content)
    assert (magic, version, length, kind) == (b"glTF", 2, len(content), 0x4E4F534A) and size % 4 == 0
    binary_size, binary_kind = struct.unpack_from("<II", content, 20 + size)
    assert binary_kind == 0x004E4942 and 28 + size + binary_size == length
    return json.loads(content[20 : 20 + size]), content[28 + size :]


def rewrite(file: Path, document: dict[str, Any], binary: bytes) -> None:
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<II", len(text), 0x4E4F534A) + text + struct.pack("<II", len(binary), 0x004E4942) + binary
    file.write_bytes(struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks)


@pytest.fixture
def glb(tmp_path: Path) -> tuple[Path, Splat]:
    splat = random_splat(40, degree=1)
    write_glb(tmp_path / "a.glb", splat, False, "a test", random_instances(40, highest=70_000))
    return tmp_path / "a.glb", splat


def test_attributes_are_those_of_the_extension_and_ids_are_exact(glb: tuple[Path, Splat]) -> None:
    file, splat = glb
    document, binary = parts(file)
    (primitive,) = document["meshes"][0]["primitives"]
    assert document["extensionsUsed"] == [EXTENSION] and primitive["mode"] == 0
    assert primitive["extensions"][EXTENSION]["kernel"] == "ellipse"
    assert set(primitive["attributes"]) == {
        *("POSITION", "COLOR_0", INSTANCE, CONFIDENCE),
        *(f"{EXTENSION}:{name}" for name in ("ROTATION", "SCALE", "OPACITY", "SH_DEGREE_0_COEF_0")),
        *(f"{EXTENSION}:SH_DEGREE_1_COEF_{index}" for index in range(3)),
    }

    def values(name: str) -> np.ndarray:
        accessor = document["accessors"][primitive["attributes"][name]]
        view = document["bufferViews"][accessor["bufferView"]]
        assert view["byteOffset"] % 4 == 0 and accessor["componentType"] == 5126 and accessor["count"] == 40
        return np.frombuffer(binary, "<f4", view["byteLength"] // 4, view["byteOffset"]).reshape(40, -1)

    assert np.array_equal(values(INSTANCE)[:, 0].astype(int), random_instances(40, highest=70_000).ids)
    assert np.array_equal(values(f"{EXTENSION}:SH_DEGREE_1_COEF_2"), splat.harmonics[:, 3])
    np.testing.assert_allclose(np.linalg.norm(values(f"{EXTENSION}:ROTATION"), axis=1), 1, atol=1e-6)
    assert np.array_equal(values(f"{EXTENSION}:ROTATION")[:, 3], splat.unit_quats()[:, 0])


def test_another_reader_shows_the_points_upright_and_in_their_colours(glb: tuple[Path, Splat]) -> None:
    file, splat = glb
    (cloud,) = trimesh.load_scene(file).dump()
    turned = TO_PLY.apply(splat.means.double().numpy())
    np.testing.assert_allclose(cloud.vertices, turned, atol=1e-6)
    opacities = splat.opacity_logits.sigmoid().numpy()
    np.testing.assert_allclose(cloud.visual.vertex_colors[:, 3] / 255, opacities, atol=1 / 255)


def test_nodes_within_nodes_move_turn_and_scale_the_splat(glb: tuple[Path, Splat]) -> None:
    file, splat = glb
    document, binary = parts(file)
    outer, inner = (Similarity(scale, Rotation.random(random_state=seed).as_matrix(), np.array([1.0, seed, 3]))
                    for scale, seed in ((2.0, 1), (0.5, 2)))  # fmt: skip
    quat = Rotation.from_matrix(inner.rotation).as_quat().tolist()
    document["nodes"] = [
        {"children": [1], "matrix": outer.matrix().T.ravel().tolist()},
        {"mesh": 0, "rotation": quat, "scale": [0.5] * 3, "translation": inner.translation.tolist()},
        {"mesh": 0},
    ]
    document["scenes"] = [{"nodes": [0, 2]}]
    rewrite(file, document, binary)
    again = read_glb(file).splat
    one, two = transform_splat(splat, inner.then(outer).then(TO_PLY)), transform_splat(splat, TO_PLY)
    found = {tuple(row) for row in again.means.mul(1e3).round().int().tolist()}
    assert len(again) == 80 and found == {
        tuple(row) for part in (one, two) for row in part.means.mul(1e3).round().int().tolist()
    }
    order = [0, 1] if torch.allclose(again.means[:40], one.means, atol=1e-4) else [1, 0]
    for part, expected in zip(order, (one, two), strict=True):
        own = again.select(slice(40 * part, 40 * part + 40))
        assert differences(expected, own).within(mean=1e-4, log_scale=1e-5, harmonics=1e-4, angle=0.01)
        torch.testing.assert_close(picture(own), picture(expected), rtol=1e-3, atol=1e-3)


def test_integers_that_stand_for_numbers_are_read(glb: tuple[Path, Splat]) -> None:
    file, splat = glb
    document, binary = parts(file)
    attributes = document["meshes"][0]["primitives"][0]["attributes"]
    quats = np.rint(32767 * splat.unit_quats().roll(-1, dims=1).numpy()).astype("<i2")
    opacities = np.zeros((40, 4), np.uint8)
    opacities[:, 0] = np.rint(255 * splat.opacity_logits.sigmoid().numpy())
    for name, values, kind, stride in (("ROTATION", quats, 5122, None), ("OPACITY", opacities, 5121, 4)):
        view = {"buffer": 0, "byteOffset": len(binary), "byteLength": values.nbytes}
        document["bufferViews"].append(view if stride is None else {**view, "byteStride": stride})
        accessor = document["accessors"][attributes[f"{EXTENSION}:{name}"]]
        accessor |= {"bufferView": len(document["bufferViews"]) - 1, "componentType": kind, "normalized": True}
        binary += values.tobytes()
    rewrite(file, document, binary)
    assert differences(splat, read_glb(file).splat).within(mean=0, angle=0.01, opacity=0.002, harmonics=0)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d["nodes"][0].update(scale=[1, 2, 3]), "no similarity"),
        (lambda d: d["nodes"][0].update(children=[0]), "no tree"),
        (lambda d: d["accessors"][2].update(count=10**9), "ends behind its buffer"),
        (lambda d: d["accessors"][2].update(sparse={}), "sparse"),
        (lambda d: d["meshes"][0]["primitives"][0]["attributes"].pop(f"{EXTENSION}:SCALE"), "lacks.*SCALE"),
        (
            lambda d: d["meshes"][0]["primitives"][0]["extensions"][EXTENSION].update(extensions={"KHR_x_spz": {}}),
            "compressed by KHR_x_spz",
        ),
    ],
)
def test_what_is_not_read_of_gltf_is_refused(glb: tuple[Path, Splat], change: Any, words: str) -> None:
    document, binary = parts(glb[0])
    change(document)
    rewrite(glb[0], document, binary)
    with pytest.raises(ProtoSagaError, match=words):
        read_glb(glb[0])
