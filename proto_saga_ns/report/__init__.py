"""The report on a run: facts about its instances, pictures of them, and one HTML page that needs no other file."""

from proto_saga_ns.report.figures import Confidences, Overlaps, Share, TrueInstance, what_happened
from proto_saga_ns.report.page import Page, render_page

__all__ = ["Confidences", "Overlaps", "Page", "Share", "TrueInstance", "render_page", "what_happened"]
