"""Splats as glTF 2.0 binary (GLB) with KHR_gaussian_splatting, as of its release candidate of 2026.

The Gaussians are points: POSITION, COLOR_0 for programs that know no splats, and of KHR_gaussian_splatting ROTATION
(x y z w), SCALE and OPACITY (neither logarithms nor logits) and SH_DEGREE_l_COEF_n. ``_INSTANCE_ID`` and
``_CONFIDENCE`` are added if the instances are known; floats, since glTF has no other vertex attribute that holds ids
beyond 65,535.

Axes. glTF has y up and z forward, a PLY of 3D Gaussian Splatting y down and z forward. The numbers in the file are
those of the PLY, and the node that bears the mesh is turned by half a turn about z.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.files import atomic_file
from proto_saga_ns.kernels.memory import check_fits
from proto_saga_ns.recognition.gaussian_instances import GaussianInstances
from proto_saga_ns.splats.formats import check_degree
from proto_saga_ns.splats.ply import comments_say_antialiased, render_mode
from proto_saga_ns.splats.splat import Splat, SplatFile, logits, plain_colors
from proto_saga_ns.splats.transform import Similarity, transform_splat

MAGIC = b"glTF"
MAX_DEGREE = 3
EXTENSION = "KHR_gaussian_splatting"
INSTANCE, CONFIDENCE = "_INSTANCE_ID", "_CONFIDENCE"
EXPECTED = f"a GLB of glTF 2.0 with {EXTENSION}"
TO_PLY = Similarity(1.0, np.diag([-1.0, -1.0, 1.0]), np.zeros(3))
"""From glTF's axes to those of a PLY, and back."""
_HALF_TURN_ABOUT_Z = [0, 0, 1, 0]
_JSON, _BINARY = 0x4E4F534A, 0x004E4942
_FLOAT, _ARRAY_BUFFER = 5126, 34962
_TYPES = {
    5120: np.dtype("i1"),
    5121: np.dtype("u1"),
    5122: np.dtype("<i2"),
    5123: np.dtype("<u2"),
    _FLOAT: np.dtype("<f4"),
}
_COMPONENTS = {"SCALAR": 1, "VEC3": 3, "VEC4": 4}


def write_glb(
    path: Path, splat: Splat, antialiased: bool, generator: str, instances: GaussianInstances | None = None
) -> None:
    """Write a splat in its order, atomically.

    Args:
        path: file to write.
        splat: of at least one Gaussian.
        antialiased: whether it is to be shown with antialiasing; stands in the extras, glTF has no place.
        generator: what made it, for people.
        instances: of each Gaussian, if they shall be in the file.

    Raises:
        ProtoSagaError: the file cannot be written, or holds no harmonics of such a degree.
    """
    check_degree(splat.degree, "glb")
    attributes = _attributes(splat, instances)
    document = _document(attributes, antialiased, generator)
    text = json.dumps(document, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    size = document["buffers"][0]["byteLength"]
    with atomic_file(path) as file:
        file.write(struct.pack("<4sII", MAGIC, 2, 12 + 8 + len(text) + 8 + size))
        file.write(struct.pack("<II", len(text), _JSON) + text)
        file.write(struct.pack("<II", size, _BINARY))
        for values in attributes.values():
            file.write(np.ascontiguousarray(values).tobytes())


def _attributes(splat: Splat, instances: GaussianInstances | None) -> dict[str, np.ndarray]:
    """By name, each row a multiple of four bytes."""
    opacities = splat.opacity_logits.sigmoid()
    rgba = torch.cat([_linear(plain_colors(splat.harmonics[:, 0])), opacities[:, None]], dim=1)
    values = {
        "POSITION": splat.means,
        f"{EXTENSION}:ROTATION": splat.unit_quats().roll(-1, dims=1),
        f"{EXTENSION}:SCALE": splat.log_scales.exp(),
        f"{EXTENSION}:OPACITY": opacities[:, None],
        **{name: splat.harmonics[:, index] for index, name in enumerate(_harmonics(splat.degree))},
    }
    if instances is not None:
        values |= {INSTANCE: instances.ids[:, None].float().cpu(), CONFIDENCE: instances.confidence[:, None].cpu()}
    colors = np.rint(255 * rgba.numpy()).astype(np.uint8)
    return {"COLOR_0": colors, **{name: value.numpy().astype("<f4") for name, value in values.items()}}


def _linear(srgb: Float[torch.Tensor, "N 3"]) -> Float[torch.Tensor, "N 3"]:
    """Colours of screens as light, which COLOR_0 holds."""
    srgb = srgb.clamp(0, 1)
    return torch.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def _harmonics(degree: int) -> Iterator[str]:
    return (f"{EXTENSION}:SH_DEGREE_{own}_COEF_{index}" for own in range(degree + 1) for index in range(2 * own + 1))


def _document(attributes: Mapping[str, np.ndarray], antialiased: bool, generator: str) -> dict[str, Any]:
    views, accessors, start = [], [], 0
    names = {count: name for name, count in _COMPONENTS.items()}
    for index, (name, values) in enumerate(attributes.items()):
        views.append({"buffer": 0, "byteOffset": start, "byteLength": values.nbytes, "target": _ARRAY_BUFFER})
        start += values.nbytes
        is_float = values.dtype.kind == "f"
        accessor = {"bufferView": index, "componentType": _FLOAT if is_float else 5121, "count": len(values)}
        accessor |= {"type": names[values.shape[1]], **({} if is_float else {"normalized": True})}
        if name == "POSITION":
            accessor |= {"min": values.min(axis=0).tolist(), "max": values.max(axis=0).tolist()}
        accessors.append(accessor)
    splatting = {
        **{"kernel": "ellipse", "colorSpace": "srgb_rec709_display"},
        **{"projection": "perspective", "sortingMethod": "cameraDistance"},
    }
    primitive = {
        "attributes": {name: index for index, name in enumerate(attributes)},
        "mode": 0,
        "extensions": {EXTENSION: splatting},
        "extras": {"comment": render_mode(antialiased)},
    }
    return {
        "asset": {"version": "2.0", "generator": generator},
        "extensionsUsed": [EXTENSION],
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0, "rotation": _HALF_TURN_ABOUT_Z}],
        "meshes": [{"primitives": [primitive]}],
        "buffers": [{"byteLength": start}],
        "bufferViews": views,
        "accessors": accessors,
    }


def read_glb(path: Path) -> SplatFile:
    """Read the splats of a scene, as one, with the axes of a PLY.

    Raises:
        ProtoSagaError: the file is missing or damaged, or has no splat, or one that an extension compresses.
    """
    try:
        size = path.stat().st_size
        check_fits(3 * size, f"Reading {path} of {size:,} bytes, as a file and as numbers,", "Take a smaller one.")
        document, binary = _chunks(path.read_bytes())
        found = [
            (primitive, transform_splat(_splat(document, binary, primitive), matrix.then(TO_PLY)))
            for primitive, matrix in _primitives(document)
        ]
    except (OSError, ValueError, KeyError, IndexError, TypeError, AttributeError, struct.error) as error:
        what = f"it lacks {error}" if isinstance(error, KeyError) else getattr(error, "strerror", None) or error
        raise ProtoSagaError(f"Cannot read {path}: {what}. Expected {EXPECTED}.") from error
    if not found:
        raise ProtoSagaError(f"{path} has no splat; perhaps it holds meshes alone. Expected {EXPECTED}.")
    degree = max(splat.degree for _, splat in found)
    splats = [splat.padded(degree) for _, splat in found]
    fields = ("means", "quats", "log_scales", "opacity_logits", "harmonics")
    joined = Splat(**{name: torch.cat([getattr(splat, name) for splat in splats]) for name in fields})
    extras = [primitive.get("extras") for primitive, _ in found]
    comments = [str(extra["comment"]) for extra in extras if isinstance(extra, dict) and "comment" in extra]
    return SplatFile(joined, comments_say_antialiased(comments))


def _chunks(content: bytes) -> tuple[dict[str, Any], bytes]:
    """The JSON of a GLB and its buffer."""
    magic, version, length = struct.unpack_from("<4sII", content)
    if magic != MAGIC or version != 2:
        raise ValueError(f"it is no GLB of version 2 (it has {version})")
    if length > len(content):
        raise ValueError(f"it is cut off: {len(content):,} of {length:,} bytes are there")
    size, kind = struct.unpack_from("<II", content, 12)
    start = 20 + size
    if kind != _JSON or start + 8 > len(content):
        raise ValueError("it has no buffer")
    binary_size, _ = struct.unpack_from("<II", content, start)
    return json.loads(content[20:start]), content[start + 8 : start + 8 + binary_size]


def _primitives(document: dict[str, Any]) -> Iterator[tuple[dict[str, Any], Similarity]]:
    """The splats of a scene, each with what leads from its coordinates to those of the scene."""
    nodes, scenes = document.get("nodes", []), document.get("scenes", [])
    roots = scenes[document.get("scene", 0)]["nodes"] if scenes else range(len(nodes))
    open_nodes = [(index, np.eye(4)) for index in roots]
    visited = 0
    while open_nodes:
        visited += 1
        if visited > len(nodes):
            raise ValueError("its nodes are no tree")
        index, parent = open_nodes.pop()
        node = nodes[index]
        matrix = parent @ _matrix(node)
        open_nodes += [(child, matrix) for child in node.get("children", [])]
        primitives = document["meshes"][node["mesh"]]["primitives"] if "mesh" in node else []
        for primitive in primitives:
            extension = primitive.get("extensions", {}).get(EXTENSION)
            if extension is None:
                continue
            if extension.get("extensions"):
                names = ", ".join(extension["extensions"])
                raise ValueError(f"its splat is compressed by {names}, which is not read; save it without")
            yield primitive, Similarity.from_matrix(matrix)


def _matrix(node: Mapping[str, Any]) -> Float[np.ndarray, "4 4"]:
    if "matrix" in node:
        return np.array(node["matrix"], np.float64).reshape(4, 4).T
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_quat(node.get("rotation", (0, 0, 0, 1))).as_matrix() @ np.diag(
        node.get("scale", (1, 1, 1))
    )
    matrix[:3, 3] = node.get("translation", (0, 0, 0))
    return matrix


def _splat(document: dict[str, Any], binary: bytes, primitive: dict[str, Any]) -> Splat:
    attributes = primitive["attributes"]

    def values(name: str) -> torch.Tensor:
        return torch.from_numpy(_accessor(document, binary, attributes[name]))

    degree = max(
        own for own in range(MAX_DEGREE + 1) if own == 0 or f"{EXTENSION}:SH_DEGREE_{own}_COEF_0" in attributes
    )
    return Splat(
        means=values("POSITION"),
        quats=values(f"{EXTENSION}:ROTATION").roll(1, dims=1),
        log_scales=values(f"{EXTENSION}:SCALE").log(),
        opacity_logits=logits(values(f"{EXTENSION}:OPACITY")[:, 0]),
        harmonics=torch.stack([values(name) for name in _harmonics(degree)], dim=1),
    )


def _accessor(document: dict[str, Any], binary: bytes, index: int) -> Float[np.ndarray, "N C"]:
    accessor = document["accessors"][index]
    if "sparse" in accessor or "bufferView" not in accessor:
        raise ValueError("an attribute of it is sparse, which is not read")
    view = document["bufferViews"][accessor["bufferView"]]
    kind, columns, count = np.dtype(_TYPES[accessor["componentType"]]), _COMPONENTS[accessor["type"]], accessor["count"]
    start = view.get("byteOffset", 0) + accessor.get("byteOffset", 0)
    row = columns * kind.itemsize
    stride = view.get("byteStride", row)
    if min(start, count - 1) < 0 or start + (count - 1) * stride + row > len(binary):
        raise ValueError(f"an attribute of it ends behind its buffer of {len(binary):,} bytes")
    values = np.ndarray((count, columns), kind, binary, start, (stride, kind.itemsize)).astype(np.float32)
    if accessor.get("normalized") and kind.kind != "f":
        values = np.maximum(values / np.iinfo(kind).max, -1)
    return values
