"""The images, label maps and poses that are tracked, read one at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int32

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.labels import read_label_map, read_rgb, resize_label_map
from proto_saga_ns.labels.folder import check_size, image_size
from proto_saga_ns.labels.view_names import unique_names, view_name
from proto_saga_ns.mastsam.frames import Camera, Frame
from proto_saga_ns.mastsam.posed_frames import DEPTH_UNIT, read_depth


@dataclass(frozen=True)
class ImageSequence:
    """What is tracked; the lists are parallel.

    Attributes:
        images: of one size, with names that differ.
        masks: the label map of each image, of any source, as large as the image or as its full-size original; None
            for those without one, which stay without instances unless a segmenter takes prompts.
        cameras: None if the poses are not known, or the lenses are no pinholes.
        depths: the depth map of each image, for matchers that ask for it; None if there are none.
        depth_unit: units of the world in a unit of the depth files.
    """

    images: Sequence[Path]
    masks: Sequence[Path | None]
    cameras: Sequence[Camera] | None = None
    depths: Sequence[Path] | None = None
    depth_unit: float = DEPTH_UNIT

    def frame(self, index: int) -> Frame:
        """Read an image, and its depth map if there is one.

        Raises:
            ProtoSagaError: a file is missing or unreadable.
        """
        path = self.images[index]
        image = read_rgb(path)
        height, width = image.shape[:2]
        depth = None if self.depths is None else read_depth(self.depths[index], height, width) * self.depth_unit
        return Frame(view_name(path), image, None if self.cameras is None else self.cameras[index], depth)

    def own_masks(self, frame: Frame, index: int) -> Int32[np.ndarray, "H W"]:
        """The label map of a frame, at its size; all unlabelled if it has none."""
        path = self.masks[index]
        return np.zeros(frame.size, np.int32) if path is None else resize_label_map(read_label_map(path), *frame.size)

    def check(self) -> None:
        """Look at the headers of all files.

        Raises:
            ProtoSagaError: naming the first file that is unreadable, of another size, or has the name of another; no
                image, or no label map at all.
        """
        if not self.images:
            raise ProtoSagaError("There are no images to track.")
        unique_names(self.images)
        first = self.images[0]
        size = image_size(first)
        for image, masks in zip(self.images, self.masks, strict=True):
            if (other := image_size(image)) != size:
                raise ProtoSagaError(
                    f"{image} is {other[0]}x{other[1]}, but {first}, the first image, is {size[0]}x{size[1]}. "
                    "Tracking needs images of one size: resize it, or take it out."
                )
            if masks is not None:
                check_size(masks, image_size(masks), image)
        if not any(self.masks):
            raise ProtoSagaError(f"None of the {len(self.images)} images has a label map, {first} first. Make masks.")
