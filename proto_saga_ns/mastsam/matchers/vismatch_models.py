"""Any model of the package ``vismatch`` by its name (extra ``mastsam``), such as loftr or superpoint-lightglue.

vismatch asks huggingface.co for a model whenever one is made, which its authors also use to count downloads.
Many of its models have licences of their own.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
from jaxtyping import UInt8

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.kernels.device import network_device
from proto_saga_ns.mastsam.frames import Frame
from proto_saga_ns.mastsam.matchers.resize import fit_whole, is_plain
from proto_saga_ns.mastsam.matches import Matches

INSTALL = 'pip install "proto_saga_ns[mastsam]"'
OTHER_WAYS = "Another way to matches: --matcher sift, a weaker stand-in that needs no weights."
"""The end of every message that says that a model is missing."""

# Raised when the same settings begin to give other matches.
_ALGORITHM = 1


@dataclass(frozen=True)
class VismatchSettings:
    """Which model, and at what size."""

    model: str
    """name of a model, one of ``available_models()``"""
    long_edge: int = 832
    """larger images are made this long, in pixels; smaller ones stay as they are"""
    max_points: int = 2048
    """matches at most, for the models that know such a limit"""

    def __post_init__(self) -> None:
        if self.long_edge < 16 or self.max_points < 1:
            raise ValueError("long_edge must be at least 16, and max_points at least 1")


def available_models() -> list[str]:
    """The names of all models of vismatch.

    Raises:
        ProtoSagaError: vismatch is not installed, or broken.
    """
    return list(_import_vismatch().available_models)


class VismatchMatcher:
    """Loads the model when first needed. The confidence is the model's own, or 1 where it gives none."""

    def __init__(self, settings: VismatchSettings) -> None:
        self._settings = settings
        self._model: Any = None

    @property
    def name(self) -> str:
        return self._settings.model

    @property
    def settings(self) -> Mapping[str, Any]:
        """The model's weights count by its name and the version of vismatch."""
        return {**asdict(self._settings), "vismatch": version("vismatch"), "algorithm": _ALGORITHM}

    def match(self, a: Frame, b: Frame) -> Matches:
        if is_plain(a.image) or is_plain(b.image):
            return Matches.none()
        if self._model is None:
            self._model = _load(self._settings)
        fits = [fit_whole(frame.size, self._settings.long_edge) for frame in (a, b)]
        with redirect_stdout(sys.stderr):
            found = self._model(*(_tensor(fit.apply(frame.image)) for fit, frame in zip(fits, (a, b), strict=True)))
        # Most of these models count from the centre of the first pixel.
        xy = [np.asarray(found[f"matched_kpts{i}"], np.float64).reshape(-1, 2) + 0.5 for i in (0, 1)]
        confidence = found.get("matched_confidences")
        confidence = np.ones(len(xy[0])) if confidence is None else np.asarray(confidence).reshape(-1)
        inside = np.logical_and.reduce(
            [((points >= 0) & (points <= fit.window[::-1])).all(axis=1) for points, fit in zip(xy, fits, strict=True)]
        )
        confidence = np.maximum(confidence, 0).astype(np.float32)
        return Matches(fits[0].to_image(xy[0]), fits[1].to_image(xy[1]), confidence).select(inside)


def _tensor(image: UInt8[np.ndarray, "H W 3"]) -> Any:
    import torch

    return torch.from_numpy(image).permute(2, 0, 1).float() / 255


def _import_vismatch() -> Any:
    try:
        with redirect_stdout(sys.stderr):
            import vismatch  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise ProtoSagaError(
            f"Learned matchers need the package vismatch, which is not installed or lacks something ({error}). "
            f"Install it with: {INSTALL} {OTHER_WAYS}"
        ) from error
    return vismatch


def _load(settings: VismatchSettings) -> Any:
    vismatch = _import_vismatch()
    try:
        with redirect_stdout(sys.stderr):
            model = vismatch.get_matcher(
                settings.model, device=str(network_device()), max_num_keypoints=settings.max_points
            )
    except Exception as error:  # Fifty models of as many authors, and each fails in its own way.
        reason = " ".join(str(error).split())[:300]
        raise ProtoSagaError(
            f"The matcher {settings.model} of vismatch cannot be loaded: {type(error).__name__}: {reason} Most models "
            "are downloaded at first use: run this once with a connection, or copy the caches of huggingface_hub and "
            f"torch hub of a machine that has them. {OTHER_WAYS}"
        ) from error
    model.skip_ransac = True  # vismatch would fit a homography, which fails on a few matches and is not used here.
    return model.eval()
