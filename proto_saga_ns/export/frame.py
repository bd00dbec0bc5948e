"""The frame of exported files, and the words and numbers that tell a reader about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from proto_saga_ns.splats.transform import Similarity

FrameName = Literal["world", "training"]

_MEANING = {
    "world": "The original coordinates of the input data, as nerfstudio calls them: before the data parser centred, "
    "turned and scaled the scene. For data that ns-process-data made from COLMAP they are COLMAP's.",
    "training": "The frame that nerfstudio trains in: centred, turned so that z points up (as its data parser finds "
    "it) and scaled. It is that of ns-viewer and of camera paths for ns-render.",
}
_UNITS = {
    "world": "those of the input data: metres if its poses are in metres, arbitrary for COLMAP",
    "training": "those of nerfstudio's training frame, arbitrary",
}


@dataclass(frozen=True)
class ExportFrame:
    """Where exported coordinates lie.

    Attributes:
        name: world or training.
        world_to_training: of the run.
    """

    name: FrameName
    world_to_training: Similarity

    @property
    def to_training(self) -> Similarity:
        """From exported to training coordinates."""
        return self.world_to_training if self.name == "world" else Similarity.identity()

    @property
    def to_world(self) -> Similarity:
        """From exported to world coordinates."""
        return self.to_training.then(self.world_to_training.inverse())

    @property
    def up(self) -> Float[np.ndarray, " 3"]:
        """The direction, of unit length, that is z in the training frame; nerfstudio's parsers turn it upwards."""
        return self.to_training.rotation[2]

    @property
    def units(self) -> str:
        """Of lengths, in words."""
        return _UNITS[self.name]

    def to_json(self) -> dict[str, Any]:
        """Content of ``transform.json``."""
        ways = {
            "exported_to_training": self.to_training,
            "training_to_exported": self.to_training.inverse(),
            "exported_to_world": self.to_world,
        }
        return {
            "frame": self.name,
            "meaning": _MEANING[self.name],
            "units": self.units,
            "up": self.up.tolist(),
            "how": "p_target = matrix @ (x, y, z, 1), which is scale * rotation @ (x, y, z) + translation; matrices "
            "are lists of rows. Lengths are multiplied by scale.",
            **{name: _similarity_json(way) for name, way in ways.items()},
        }


def _similarity_json(similarity: Similarity) -> dict[str, Any]:
    return {
        "matrix": similarity.matrix().tolist(),
        "scale": similarity.scale,
        "rotation": similarity.rotation.tolist(),
        "translation": similarity.translation.tolist(),
    }
