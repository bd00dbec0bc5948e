"""Label maps in the formats of other programs: reading and writing, one file per family.

Every format gives and takes ``Views``: pairs of an image and its label map, one at a time, so that a data set never
has to fit into memory. Images and label maps are matched by file name, the way the format's own program does.
"""

from __future__ import annotations

from proto_saga_ns.labels.formats import arrays, coco, omniseg3d, png_folders, sam_json, sam_pngs
from proto_saga_ns.labels.formats.base import Flatten, Format, Views

__all__ = ["FORMATS", "Flatten", "Format", "Views"]
FORMATS: dict[str, Format] = {
    "label-maps": Format(
        "a folder of 16-bit <image stem>.png", png_folders.read_label_maps, png_folders.write_label_maps
    ),
    "gaga": Format("Gaga's raw_sam_mask/", png_folders.read_gaga, png_folders.write_gaga),
    "gaussian-grouping": Format(
        "Gaussian Grouping's object_mask/", png_folders.read_gaussian_grouping, png_folders.write_gaussian_grouping
    ),
    "omniseg3d": Format("OmniSeg3D's sam/, its patches", omniseg3d.read_patches, omniseg3d.write_patches),
    "omniseg3d-objects": Format(
        "OmniSeg3D's sam/, patches joined to objects", omniseg3d.read_objects, omniseg3d.write_patches
    ),
    "sam-json": Format("SAM's automatic masks, one JSON an image", sam_json.read_sam_json, sam_json.write_sam_json),
    "sam-pngs": Format(
        "SAM's automatic masks, a folder of PNGs an image", sam_pngs.read_sam_pngs, sam_pngs.write_sam_pngs
    ),
    "tiff": Format("a TIFF an image", arrays.read_tiffs, arrays.write_tiffs),
    "npy": Format("an NPY or NPZ an image", arrays.read_arrays, arrays.write_arrays),
    "coco-instances": Format("COCO instances, one JSON", coco.read_instances, coco.write_instances),
    "coco-panoptic": Format("COCO panoptic, a JSON and PNGs", coco.read_panoptic, coco.write_panoptic),
}
