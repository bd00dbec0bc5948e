"""The matchers that can be chosen by name. A new one joins with a line in ``MATCHERS``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.mastsam.matchers.depth import DepthMatcher, DepthSettings
from proto_saga_ns.mastsam.matchers.mast3r import PUBLISHED_WEIGHTS, Mast3rMatcher, Mast3rSettings, find_checkout
from proto_saga_ns.mastsam.matchers.sift import SiftMatcher, SiftSettings
from proto_saga_ns.mastsam.matchers.vismatch_models import INSTALL, VismatchMatcher, VismatchSettings, available_models
from proto_saga_ns.mastsam.matches import Matcher


@dataclass(frozen=True)
class MatcherOptions:
    """Options of all matchers; each reads its own."""

    sift_contrast: float = SiftSettings.contrast
    """sift: points with less contrast are dropped; lower finds more points on plain walls"""
    sift_max_points: int = SiftSettings.max_points
    """sift: the points with the most contrast of an image, up to this many"""
    sift_ratio: float = SiftSettings.ratio
    """sift: a match must be this much closer than the second best one; lower is stricter"""
    sift_min_long_edge: int = SiftSettings.min_long_edge
    """sift: smaller images are enlarged to about this length"""
    sift_guided: bool = SiftSettings.guided
    """sift: where poses are known, also look for matches along the epipolar lines alone"""
    depth_stride: int = DepthSettings.stride
    """poses+depth: one match every so many pixels, along both axes"""
    depth_tolerance: float = DepthSettings.tolerance
    """poses+depth: largest difference between the depths of a match, as a share of the depth"""
    mast3r_path: Path | None = None
    """mast3r: folder of a checkout of github.com/naver/mast3r; by default the copy that the extra mastsam brings"""
    mast3r_weights: str = PUBLISHED_WEIGHTS
    """mast3r: a model on huggingface.co, a local folder, or a file .pth (can run any code: only what you trust)"""
    mast3r_revision: str = Mast3rSettings.revision
    """mast3r: branch, tag or commit of the model on huggingface.co"""
    mast3r_long_edge: int = Mast3rSettings.long_edge
    """mast3r: images are made this long, in pixels; the published weights were trained for 512"""
    mast3r_whole_squares: bool = Mast3rSettings.whole_squares
    """mast3r: keep square images whole; else they are cut to 4:3, and nothing is matched above and below"""
    mast3r_subsample: int = Mast3rSettings.subsample
    """mast3r: the search begins at every so many pixels; smaller finds more matches and takes longer"""
    mast3r_confidence: float = Mast3rSettings.confidence
    """mast3r: matches with less confidence than this are dropped"""
    vismatch_long_edge: int = VismatchSettings.long_edge
    """models of vismatch: larger images are made this long, in pixels"""
    vismatch_max_points: int = VismatchSettings.max_points
    """models of vismatch: matches at most, for those that know such a limit"""


def _sift(options: MatcherOptions) -> Matcher:
    return SiftMatcher(
        SiftSettings(
            contrast=options.sift_contrast,
            max_points=options.sift_max_points,
            ratio=options.sift_ratio,
            min_long_edge=options.sift_min_long_edge,
            guided=options.sift_guided,
        )
    )


def _depth(options: MatcherOptions) -> Matcher:
    return DepthMatcher(DepthSettings(options.depth_stride, options.depth_tolerance))


def _mast3r(options: MatcherOptions) -> Matcher:
    return Mast3rMatcher(
        Mast3rSettings(
            path=options.mast3r_path,
            weights=options.mast3r_weights,
            revision=options.mast3r_revision,
            long_edge=options.mast3r_long_edge,
            whole_squares=options.mast3r_whole_squares,
            subsample=options.mast3r_subsample,
            confidence=options.mast3r_confidence,
        )
    )


MATCHERS: dict[str, Callable[[MatcherOptions], Matcher]] = {"mast3r": _mast3r, "sift": _sift, "poses+depth": _depth}
"""Options to matcher, by name. Cheap: models are loaded at the first pair. Beside these, every model of vismatch."""


def make_matcher(name: str, options: MatcherOptions | None = None) -> Matcher:
    """The matcher of that name, one of ``MATCHERS`` or a model of vismatch.

    Raises:
        ProtoSagaError: there is none of that name, it would need a package that is not installed, or an option is
            out of range.
    """
    options = options or MatcherOptions()
    try:
        if name in MATCHERS:
            return MATCHERS[name](options)
        _check_is_model(name)
        return VismatchMatcher(VismatchSettings(name, options.vismatch_long_edge, options.vismatch_max_points))
    except ValueError as error:
        raise ProtoSagaError(f"Bad option of --matcher {name}: {error}.") from error


def default_matcher() -> tuple[str, str]:
    """(name, why): MASt3R where its code is installed, else SIFT. The reason is a sentence for people."""
    if find_checkout() is not None:
        return "mast3r", "MASt3R is installed (for non-commercial use only, CC BY-NC-SA 4.0)."
    return "sift", (
        "MASt3R IS NOT INSTALLED: matching with SIFT, a weaker stand-in. Expect fewer matches on plain surfaces and "
        f"between views that are far apart, and more objects that fall into several. Install MASt3R with: {INSTALL} "
        "(for non-commercial use only, CC BY-NC-SA 4.0). --matcher sift says that SIFT is meant."
    )


def _check_is_model(name: str) -> None:
    known = ", ".join(MATCHERS)
    try:
        models = available_models()
    except ProtoSagaError as error:
        raise ProtoSagaError(f"There is no matcher {name} here, only {known}. {error}") from error
    if name not in models:
        raise ProtoSagaError(f"There is no matcher {name}. Known are {known}, and of vismatch: {', '.join(models)}.")
