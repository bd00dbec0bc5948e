"""Images with their label maps."""

from __future__ import annotations

from typing import Any

from nerfstudio.data.dataparsers.base_dataparser import DataparserOutputs
from nerfstudio.data.datasets.base_dataset import InputDataset

from proto_saga_ns.data.label_maps import ViewLabelMaps


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

    def get_metadata(self, data: dict[str, Any]) -> dict[str, Any]:
        if self.label_maps is None:
            return {}
        height, width = data["image"].shape[:2]
        return {"label_map": self.label_maps.read(data["image_idx"], height, width)}
