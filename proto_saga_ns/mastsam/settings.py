"""All options of MastSAM, for the command line and the data parsers alike."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from proto_saga_ns.masks.segmenters.sam import SamSettings
from proto_saga_ns.mastsam.matchers.mast3r import find_checkout, import_mast3r
from proto_saga_ns.mastsam.matchers.registry import MatcherOptions, default_matcher, make_matcher
from proto_saga_ns.mastsam.matches import Matcher
from proto_saga_ns.mastsam.prompts import Prompter, SamPrompter, SamPromptSettings
from proto_saga_ns.mastsam.sequence import SequenceOptions


@dataclass(frozen=True)
class MastsamSettings:
    """How masks are followed from view to view."""

    matcher: str = "auto"
    """mast3r (non-commercial), sift, poses+depth, or any model of vismatch; auto: mast3r if it is there, else sift"""
    prompts: Literal["none", "sam"] = "none"
    """sam: tracked points prompt Segment Anything (--sam.model, --sam.checkpoint) for the mask of each instance, as in
    the paper. none: they vote for the masks that each view has already"""
    tracking: SequenceOptions = field(default_factory=SequenceOptions)
    """order of the views, and how instances are followed"""
    matching: MatcherOptions = field(default_factory=MatcherOptions)
    """options of the matchers"""

    def make_matcher(self) -> tuple[Matcher, str | None]:
        """The matcher, and, if it was chosen automatically, a sentence that says why.

        Raises:
            ProtoSagaError: there is none of that name, its code is missing, or an option is out of range.
        """
        name, reason = default_matcher() if self.matcher == "auto" else (self.matcher, None)
        matcher = make_matcher(name, self.matching)
        if name == "mast3r" and find_checkout(self.matching.mast3r_path) is None:
            import_mast3r(self.matching.mast3r_path)  # Says what is missing, before masks are made.
        return matcher, reason

    def make_prompter(self, sam: SamSettings) -> Prompter | None:
        """The segmenter that takes prompts, if one is asked for."""
        if self.prompts == "none":
            return None
        return SamPrompter(SamPromptSettings(sam.model, sam.checkpoint, sam.points_per_batch))
