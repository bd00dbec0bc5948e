"""Quality report of a folder of label maps: an HTML page that needs no other file, and the same overview as a PNG."""

from proto_saga_ns.labels.overview.page import write_report
from proto_saga_ns.labels.overview.statistics import ReportStatistics, ViewStatistics, view_statistics

__all__ = ["ReportStatistics", "ViewStatistics", "view_statistics", "write_report"]
