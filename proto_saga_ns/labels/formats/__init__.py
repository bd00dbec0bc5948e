"""Label maps in the formats of other programs: reading and writing, one file per family.

Every format gives and takes ``Views``: pairs of an image and its label map, one at a time, so that a data set never
has to fit into memory. Images and label maps are matched by file name, the way the format's own program does.
"""

from proto_saga_ns.labels.formats.base import Flatten, Format, Views
from proto_saga_ns.labels.formats.registry import FORMATS

__all__ = ["FORMATS", "Flatten", "Format", "Views"]
