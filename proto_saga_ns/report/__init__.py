"""The report on a run: facts about its instances, pictures of them, and one HTML page that needs no other file."""

from proto_saga_ns.report.figures import Confidences, Content, Label, Overlaps, TrueInstance
from proto_saga_ns.report.page import Page, render_page
from proto_saga_ns.report.sentences import what_happened

__all__ = ["Confidences", "Content", "Label", "Overlaps", "Page", "TrueInstance", "render_page", "what_happened"]
