"""Where each data set comes from and on what terms. Nothing is fetched: links and licences change, and so do sizes.

Sizes and terms stand here where they are known; else the project's page has to be asked.
"""

from __future__ import annotations

from dataclasses import dataclass

from proto_saga_ns.evaluation.datasets.findings import Dataset

_ASK = "see the project's page"
_GAGA = "https://github.com/weijielyu/Gaga/blob/main/USAGE.md"


@dataclass(frozen=True)
class Hint:
    """What someone needs to know who does not have a data set yet.

    Attributes:
        title: full name.
        used_for: by the papers.
        pages: addresses, the project's own first.
        steps: how to get from there to a folder that passes the check.
        size: of the download.
        terms: licence.
        access: whether a login or a form is in the way.
        tree: how the pieces lie in the end.
        quirks: what surprises people, and is as published.
    """

    title: str
    used_for: str
    pages: tuple[str, ...]
    steps: tuple[str, ...]
    size: str
    terms: str
    access: str
    tree: str
    quirks: tuple[str, ...]

    def text(self) -> str:
        """For a terminal."""
        lines = [self.title, f"  used for: {self.used_for}", *(f"  from:     {page}" for page in self.pages)]
        lines += [f"  size:     {self.size}", f"  terms:    {self.terms}", f"  access:   {self.access}", "  steps:"]
        lines += [f"    {number}. {step}" for number, step in enumerate(self.steps, 1)]
        lines += ["  folders:", *(f"    {line}" for line in self.tree.splitlines()), "  good to know:"]
        return "\n".join([*lines, *(f"    - {quirk}" for quirk in self.quirks)])


HINTS: dict[Dataset, Hint] = {
    "replica": Hint(
        title="Replica, rendered for Semantic-NeRF and split by Gaga: 8 scenes, 180 training and 180 test views each",
        used_for="the main tables of Proto-SaGa (mIoU, precision, recall)",
        pages=("https://github.com/facebookresearch/Replica-Dataset", _GAGA),
        steps=(
            "Download the prepared archive that Gaga's USAGE.md links to, and unpack it.",
            "Or make it: renderings of Semantic-NeRF, then Gaga's data/process.py, which needs COLMAP.",
            "proto-saga data check replica DIR",
        ),
        size=_ASK,
        terms="Replica Research Terms of the original data; " + _ASK,
        access="Gaga's archive lies on a public file host; by hand in a browser",
        tree="""replica/office_0/images/train_rgb_0000.png ... test_rgb_0897.png
replica/office_0/semantic_instance/train_semantic_instance_0000.png ... test_semantic_instance_0897.png
replica/office_0/sparse/0/cameras.bin images.bin points3D.bin
replica/office_1 ... office_4, room_0 ... room_2""",
        quirks=(
            "images/ was undistorted by COLMAP, the ground truth was not: sizes may differ by a few pixels.",
            "vis_sem_instance/ shows the ground truth in colours; it is no ground truth itself.",
            "Views that COLMAP could not place are in no figure of the peers.",
        ),
    ),
    "lerf-mask": Hint(
        title="LERF-Mask of Gaussian Grouping: figurines, ramen and teatime with masks of phrases in 2 to 4 test views",
        used_for="Table 2 of Proto-SaGa (mIoU, boundary IoU of objects that phrases mean)",
        pages=(
            "https://github.com/lkeab/gaussian-grouping/blob/main/docs/dataset.md",
            "https://huggingface.co/mqye/Gaussian-Grouping/tree/main/data/lerf_mask",
        ),
        steps=(
            "Download the folder data/lerf_mask from huggingface.co.",
            "proto-saga data check lerf-mask DIR",
        ),
        size=_ASK,
        terms=_ASK + " (and LERF's, whose pictures they are)",
        access="open, as far as we know",
        tree="""lerf_mask/figurines/images/frame_00001.jpg ...
lerf_mask/figurines/images_train/frame_00001.jpg ...
lerf_mask/figurines/sparse/0/cameras.bin images.bin points3D.bin
lerf_mask/figurines/test_mask/0/green apple.png ...
lerf_mask/ramen, lerf_mask/teatime""",
        quirks=(
            "Test view 1 of teatime has no masks; none were ever published.",
            "Test views lie in images/ too. They are those whose names are not in images_train/, counted from 0.",
            "object_mask/ holds masks that Gaussian Grouping tracked over the views; black in test views.",
        ),
    ),
    "scannet": Hint(
        title="ScanNet, 7 scenes as split by Gaga: 300 or more training and about 100 test views each",
        used_for="Table 7 of Proto-SaGa (mIoU, precision, recall)",
        pages=("http://www.scan-net.org/", _GAGA),
        steps=(
            "Ask for access on ScanNet's page: a form to sign.",
            "Download the prepared archive that Gaga's USAGE.md links to, and unpack it.",
            "Or make it from the scans with Gaga's data/process.py, which needs COLMAP.",
            "proto-saga data check scannet DIR",
        ),
        size=_ASK,
        terms="ScanNet Terms of Use; also for prepared copies",
        access="a signed form",
        tree="""scannet/scene0010_00/train_split.txt test_split.txt
scannet/scene0010_00/images/25.jpg ...
scannet/scene0010_00/sparse/0/cameras.bin images.bin points3D.bin
scannet/scene0010_00/train/train_images/25.jpg train/train_ins_full/25.png ...
scannet/scene0010_00/test/test_images/30.jpg test/test_ins_full/30.png ...
scannet/scene0012_00, 0033_00, 0038_00, 0088_00, 0113_00, 0192_00""",
        quirks=(
            "images/ was undistorted by COLMAP, the ground truth was not: sizes may differ by a few pixels.",
            "Names have no leading zeros, so their order is not that of the frames.",
            "0 in the ground truth is what nobody annotated; the protocol counts it as an object.",
            "COLMAP may place only a few of these images; then nothing else compares.",
        ),
    ),
    "mipnerf360": Hint(
        title="Mip-NeRF 360: 7 scenes, and 2 in an archive of their own; no ground truth of objects",
        used_for="pictures in Proto-SaGa and Gaga",
        pages=("https://jonbarron.info/mipnerf360/",),
        steps=(
            "Download 360_v2.zip (and 360_extra_scenes.zip for flowers and treehill) and unpack it.",
            "proto-saga data check mipnerf360 DIR",
        ),
        size="360_v2.zip about 12 GB; the other: " + _ASK,
        terms=_ASK,
        access="open",
        tree="""mipnerf360/garden/images/DSC07956.JPG ...
mipnerf360/garden/images_2, images_4, images_8
mipnerf360/garden/sparse/0/cameras.bin images.bin points3D.bin
mipnerf360/bicycle, bonsai, counter, kitchen, room, stump (flowers, treehill)""",
        quirks=(
            "No ground truth: nothing to compare with but pseudo labels of your own.",
            "Published figures use images_4 outdoors and images_2 indoors, and hold out every eighth view.",
        ),
    ),
    "davis": Hint(
        title="DAVIS 2017, 480p: 90 sequences with annotations of every frame (DAVIS 2016: 50)",
        used_for="Tables I and II of MastSAM (best mask)",
        pages=("https://davischallenge.org/davis2017/code.html",),
        steps=(
            "Download TrainVal at 480p and unpack it.",
            "proto-saga data check davis DAVIS",
        ),
        size="about 0.8 GB",
        terms="BSD for the code that belongs to it; for the videos " + _ASK,
        access="open",
        tree="""DAVIS/JPEGImages/480p/bear/00000.jpg ...
DAVIS/Annotations/480p/bear/00000.png ...
DAVIS/ImageSets/2017/train.txt val.txt""",
        quirks=(
            "Annotations are palette PNGs: the number of the colour is the object, not the colour.",
            "Of test-dev and test-challenge only the first frames are annotated.",
        ),
    ),
    "mose": Hint(
        title="MOSE: 1,507 training and 311 validation videos (version 2: 3,666 and 433)",
        used_for="Tables I and II of MastSAM (best mask)",
        pages=("https://henghuiding.github.io/MOSE/", "https://mose.video"),
        steps=(
            "Download train.tar.gz (and valid.tar.gz) and unpack them side by side.",
            "proto-saga data check mose DIR",
        ),
        size=_ASK,
        terms="CC BY-NC-SA 4.0: non-commercial",
        access="linked from the project's page",
        tree="""MOSE/train/JPEGImages/<video>/00000.jpg ...
MOSE/train/Annotations/<video>/00000.png ...
MOSE/valid/JPEGImages, MOSE/valid/Annotations""",
        quirks=("Of valid only the first frames are annotated, so its figures come from the benchmark's server.",),
    ),
    "nvos": Hint(
        title="NVOS: masks of eight objects in scenes of LLFF, each in one view, and scribbles in another",
        used_for="protocols of interactive methods (evaluate --protocol reference-mask); in no paper of this project",
        pages=("https://jason718.github.io/nvos/", "https://github.com/nex-mpi/nex-code/"),
        steps=(
            "Download nvos-data.zip from NVOS's page and unpack it.",
            "Download the undistorted images of LLFF from NeX's page, with COLMAP's models.",
            "proto-saga data check nvos DIR/llff",
            "Train on every scene with the data parser colmap; horns serves two objects.",
        ),
        size="about 0.1 GB, and 3.5 GB of images",
        terms=_ASK,
        access="open",
        tree="""llff/masks/horns_left/<view>_mask.png, <view>.JPG
llff/reference_image/horns_left/<view>.JPG
llff/scribbles/horns_left/pos_0_horns.png neg_0_horns.png
llff/*/fern, flower, fortress, horns_center, leaves, orchids, trex""",
        quirks=(
            "Masks are of NeX's undistorted images. Some peers take LLFF's own, with a little distortion.",
            "Scribbles have a quarter of the size of the images.",
            "The reference view has no mask: scribbles, or clicks of one's own, choose the object.",
        ),
    ),
    "spin-nerf": Hint(
        title="SPIn-NeRF: masks of an object in ten known scenes, and ten scenes with photos with and without one",
        used_for="protocols reference-mask and removal; in no paper of this project",
        pages=("https://spinnerf3d.github.io", "https://github.com/SamsungLabs/SPIn-NeRF"),
        steps=(
            "For masks: download Multiview-Segmentation-Data.zip; its README links to the images of each scene.",
            "For removal: download spinnerf-dataset.zip. It has images and poses.",
            "proto-saga data check spin-nerf DIR",
        ),
        size="about 0.1 GB of masks (images besides); about 6 GB for removal",
        terms=_ASK,
        access="open",
        tree="""MVSeg/fern (llff)/image000.png image000_pseudo.png image000_cutout.png ...
MVSeg/fortress (llff), horns (llff), leaves (llff), orchids (llff), room (llff)
MVSeg/fork (nerf_supervision), pinecone (nerf_real_360), Truck (Tanks & Temples), lego_real_night_radial
removal/10/images, images_4/<view>.png, images_4/label, images_4/test_label, sparse/0""",
        quirks=(
            "In fern, fortress, leaves and orchids image007.png is the mask of the eighth image in name order.",
            "In Truck and lego some names have 0_ or 1_ before that of the image.",
            "orchids has no mask of image014. Truck's masks are a pixel wider than its images.",
            "_pseudo and _cutout are for looking at.",
            "The images of fork were not to be had at the last report (2026).",
            "In the scenes for removal, views without a label show the scene without the object.",
        ),
    ),
}
