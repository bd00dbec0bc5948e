"""Images with their label maps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from nerfstudio.data.dataparsers.base_dataparser import DataparserOutputs
from nerfstudio.data.datasets.base_dataset import InputDataset
from PIL import Image

from proto_saga_ns.data.label_maps import ViewLabelMaps
from proto_saga_ns.labels.images import decode_image, read_bytes


class LabelMapDataset(InputDataset):
    """Nerfstudio's dataset; once it has label maps, every item has a ``label_map`` (H, W) of its image's
    size.

    Attributes:
        label_maps: None until somebody who needs them puts them here.
    """

    label_maps: ViewLabelMaps | None = None

    @property
    def dataparser_outputs(self) -> DataparserOutputs:
        """What the data parser read."""
        return self._dataparser_outputs

    def get_numpy_image(self, image_idx: int) -> UInt8[np.ndarray, "H W C"]:
        """RGB, or RGBA where there is transparency, whatever the file's mode is.

        Raises:
            ProtoSagaError: the file cannot be read, or has no colours.
        """
        path = Path(self._dataparser_outputs.image_filenames[image_idx])
        image = decode_image(read_bytes(path), path)
        if self.scale_factor != 1.0:
            size = (int(image.width * self.scale_factor), int(image.height * self.scale_factor))
            image = image.resize(size, Image.Resampling.BILINEAR)
        return np.array(image)

    def get_metadata(self, data: dict[str, Any]) -> dict[str, Any]:
        if self.label_maps is None:
            return {}
        height, width = data["image"].shape[:2]
        return {"label_map": self.label_maps.read(data["image_idx"], height, width)}
