"""Data sets as folders: what belongs where, what is missing, and where to get it. Reads names and headers, no pixels.

The layouts follow the published code of the peers that use them (Gaga, Gaussian Grouping, DAVIS, MOSE); none of the
data sets themselves was at hand.
"""

from proto_saga_ns.datasets.layouts import check
from proto_saga_ns.datasets.names import DATASETS, Dataset
from proto_saga_ns.datasets.report import Finding, Report, SceneReport

__all__ = ["DATASETS", "Dataset", "Finding", "Report", "SceneReport", "check"]
