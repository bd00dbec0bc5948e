"""Label maps: integer images, one per view, 0 = unlabelled, 1..L = the masks of that view."""

from proto_saga_ns.labels.flatten import FlattenOptions, MaskPatch, cut_patch, flatten_masks, flatten_patches
from proto_saga_ns.labels.folder import (
    LINES,
    MASK_FOLDERS,
    LabelMapCheck,
    check_label_maps,
    check_no_other_masks,
    find_mask_folder,
    find_masks_of,
    has_mask_of,
    index_masks,
    named_mask_folder,
)
from proto_saga_ns.labels.images import read_rgb
from proto_saga_ns.labels.label_map import (
    MAX_ID,
    compact_labels,
    label_ids,
    read_label_map,
    renumber,
    resize_label_map,
    write_label_map,
)

__all__ = [
    "LINES",
    "MASK_FOLDERS",
    "MAX_ID",
    "FlattenOptions",
    "LabelMapCheck",
    "MaskPatch",
    "check_label_maps",
    "check_no_other_masks",
    "compact_labels",
    "cut_patch",
    "find_mask_folder",
    "find_masks_of",
    "flatten_masks",
    "flatten_patches",
    "has_mask_of",
    "index_masks",
    "label_ids",
    "named_mask_folder",
    "read_label_map",
    "read_rgb",
    "renumber",
    "resize_label_map",
    "write_label_map",
]
