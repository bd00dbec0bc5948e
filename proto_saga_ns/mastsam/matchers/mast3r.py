"""MASt3R: dense descriptors of both frames at once, matched by reciprocal search.

V. Leroy, Y. Cabon and J. Revaud, "Grounding Image Matching in 3D with MASt3R", ECCV 2024. Code and weights are for
non-commercial use only (CC BY-NC-SA 4.0) and are no part of this package: the code comes from the package ``vismatch``
(extra ``mastsam``), which carries it, or from a checkout of github.com/naver/mast3r; the weights from huggingface.co.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.kernels.device import memory_errors_are_explained, network_device
from proto_saga_ns.masks.segmenters.sam_weights import file_sha256
from proto_saga_ns.mastsam.frames import Frame
from proto_saga_ns.mastsam.matchers.resize import Fit, fit_patches, is_plain
from proto_saga_ns.mastsam.matchers.vismatch_models import INSTALL, OTHER_WAYS
from proto_saga_ns.mastsam.matches import Matches

PUBLISHED_WEIGHTS = "naver/MASt3R_ViTLarge_BaseDecoder_512_catmlpdpt_metric"
LESS_MEMORY = "Try a larger --mast3r-subsample (8 is the default) or a smaller --mast3r-long-edge (512)."
LICENCE = "MASt3R is for non-commercial use only (CC BY-NC-SA 4.0)."

# Raised when the same settings begin to give other matches.
_ALGORITHM = 1
_PATCH = 16
_BORDER = 3
_WEIGHT_FILES = ("config.json", "model.safetensors")
_CODE_FILES = ("mast3r/model.py", "dust3r/dust3r/model.py", "dust3r/croco/models/croco.py")


@dataclass(frozen=True)
class Mast3rSettings:
    """Where code and weights are, and which matches count."""

    path: Path | None = None
    """folder of a checkout of github.com/naver/mast3r with its submodules; by default the copy that vismatch brings"""
    weights: str = PUBLISHED_WEIGHTS
    """a model on huggingface.co, a local folder with config.json and model.safetensors, or a file .pth (which can run
    any code when it is opened: use only what you trust)"""
    revision: str = "main"
    """branch, tag or commit of the model on the hub"""
    long_edge: int = 512
    """images are made this long, in pixels; the published weights were trained for 512"""
    whole_squares: bool = False
    """keep square images whole; else they are cut to 4:3, the shape nearest to it that the published weights know"""
    subsample: int = 8
    """the search begins at every so many pixels, along both axes"""
    confidence: float = 1.001
    """matches of which a point has less confidence than this are dropped (the default of MASt3R's own tools)"""

    def __post_init__(self) -> None:
        if self.long_edge < _PATCH or self.subsample < 1:
            raise ValueError(f"long_edge must be at least {_PATCH}, and subsample at least 1")


class Mast3rCode(NamedTuple):
    """What is used of MASt3R's code."""

    model_class: Any
    reciprocal_neighbours: Callable[..., tuple[Any, Any]]


class Mast3rMatcher:
    """Loads code and weights when first needed. The confidence is the smaller one of the two descriptors'."""

    name = "mast3r"

    def __init__(self, settings: Mast3rSettings | None = None) -> None:
        self._settings = settings or Mast3rSettings()
        self._code: Mast3rCode | None = None
        self._model: Any = None

    @property
    def settings(self) -> Mapping[str, Any]:
        """Weights count by name and revision, local ones by what is in them; where the code lies does not count."""
        settings = asdict(self._settings)
        for left_out in ("path", "weights", "revision"):
            del settings[left_out]
        return {**settings, "weights": _fingerprint(self._settings), "algorithm": _ALGORITHM}

    def load(self) -> None:
        """Get the code and the model, once.

        Raises:
            ProtoSagaError: either is missing or bad.
        """
        if self._model is None:
            self._code = import_mast3r(self._settings.path)
            self._model = _load_model(self._code, self._settings)

    def match(self, a: Frame, b: Frame) -> Matches:
        if is_plain(a.image) or is_plain(b.image):
            return Matches.none()
        fits = [
            fit_patches(frame.size, self._settings.long_edge, _PATCH, self._settings.whole_squares) for frame in (a, b)
        ]
        self.load()
        with memory_errors_are_explained("MASt3R", lambda: f"{LESS_MEMORY} {OTHER_WAYS}"):
            pixels_a, pixels_b, confidence = self._match_windows(_view(fits[0], a), _view(fits[1], b))
        keep = confidence >= self._settings.confidence
        keep &= _off_border(pixels_a, fits[0].window) & _off_border(pixels_b, fits[1].window)
        return Matches(fits[0].to_image(pixels_a + 0.5), fits[1].to_image(pixels_b + 0.5), confidence).select(keep)

    def _match_windows(
        self, view_a: dict[str, Any], view_b: dict[str, Any]
    ) -> tuple[Int[np.ndarray, "N 2"], Int[np.ndarray, "N 2"], Float[np.ndarray, " N"]]:
        """(column, row) of matching pixels of what the model sees, and their confidence."""
        import torch

        assert self._code is not None
        device = next(self._model.parameters()).device
        for view in (view_a, view_b):
            view["img"] = view["img"].to(device)
        with torch.inference_mode():
            found_a, found_b = self._model(view_a, view_b)
            pixels_a, pixels_b = self._code.reciprocal_neighbours(
                found_a["desc"][0],
                found_b["desc"][0],
                subsample_or_initxy1=self._settings.subsample,
                device=str(device),
                dist="dot",
                block_size=2**13,
            )
        pixels_a, pixels_b = (np.array(pixels, dtype=np.int64).reshape(-1, 2) for pixels in (pixels_a, pixels_b))
        confidence_a, confidence_b = (
            found["desc_conf"][0].float().cpu().numpy()[pixels[:, 1], pixels[:, 0]]
            for found, pixels in ((found_a, pixels_a), (found_b, pixels_b))
        )
        return pixels_a, pixels_b, np.minimum(confidence_a, confidence_b)


def find_checkout(path: Path | None = None) -> Path | None:
    """The folder that holds MASt3R's code: the one given, or the copy inside vismatch; None without either.

    Raises:
        ProtoSagaError: the folder that was given does not hold it.
    """
    if path is None:
        spec = find_spec("vismatch")
        folders = [Path(folder) for folder in (spec.submodule_search_locations or [])] if spec else []
        path = next((folder / "third_party" / "mast3r" for folder in folders), None)
        return path if path is not None and not _missing_code(path) else None
    if missing := _missing_code(path):
        raise ProtoSagaError(
            f"--mast3r-path {path} is no checkout of MASt3R: {' and '.join(missing)} missing. Get it with: git clone "
            f"--recursive https://github.com/naver/mast3r, and give that folder. {LICENCE} {OTHER_WAYS}"
        )
    return path.absolute()


def import_mast3r(path: Path | None = None) -> Mast3rCode:
    """MASt3R's model class and its reciprocal search.

    Raises:
        ProtoSagaError: there is no code, or it cannot be imported.
    """
    checkout = find_checkout(path)
    if checkout is None:
        raise ProtoSagaError(
            f"MASt3R is not installed. Install it with: {INSTALL}, or give a checkout of github.com/naver/mast3r with "
            f"--mast3r-path DIR. {LICENCE} {OTHER_WAYS}"
        )
    try:
        with _on_path(checkout), redirect_stdout(sys.stderr):
            from mast3r.fast_nn import fast_reciprocal_NNs  # pyright: ignore[reportMissingImports]
            from mast3r.model import AsymmetricMASt3R  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise ProtoSagaError(
            f"MASt3R's code in {checkout} cannot be imported: {error}. What it needs comes with: {INSTALL} {OTHER_WAYS}"
        ) from error
    return Mast3rCode(AsymmetricMASt3R, fast_reciprocal_NNs)


def _missing_code(folder: Path) -> list[str]:
    return [name for name in _CODE_FILES if not (folder / name).is_file()]


@contextmanager
def _on_path(folder: Path) -> Iterator[None]:
    """Import from a folder; what it and its modules add to the path is taken away again: it holds plain names."""
    before = sys.path[:]
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path[:] = before


def _view(fit: Fit, frame: Frame) -> dict[str, Any]:
    """A frame as the model takes it: RGB in -1..1, (1, 3, H, W)."""
    import torch

    image = torch.from_numpy(fit.apply(frame.image)).permute(2, 0, 1)[None].float() / 127.5 - 1
    return {"img": image, "true_shape": torch.tensor([fit.window]), "idx": [0], "instance": [frame.name]}


def _off_border(pixels: Int[np.ndarray, "N 2"], size: tuple[int, int]) -> Bool[np.ndarray, " N"]:
    return ((pixels >= _BORDER) & (pixels < np.array(size[::-1]) - _BORDER)).all(axis=1)


def _fingerprint(settings: Mast3rSettings) -> dict[str, str]:
    weights = Path(settings.weights)
    if weights.is_file():
        return {"sha256": file_sha256(weights)}
    if weights.is_dir():
        return {name: file_sha256(weights / name) for name in _WEIGHT_FILES if (weights / name).is_file()}
    return {"hub": settings.weights, "revision": settings.revision}


def _load_model(code: Mast3rCode, settings: Mast3rSettings) -> Any:
    weights = _find_weights(settings)
    try:
        with redirect_stdout(sys.stderr):
            return code.model_class.from_pretrained(str(weights)).eval().to(network_device())
    except Exception as error:  # What a damaged or foreign file raises depends on where reading it breaks.
        raise _bad_weights(settings, f"{type(error).__name__}: {error}") from error


def _find_weights(settings: Mast3rSettings) -> Path:
    """A file, or a folder with configuration and weights: local, in the hub's cache, or downloaded to there."""
    local = Path(settings.weights)
    if local.is_dir() and (missing := [name for name in _WEIGHT_FILES if not (local / name).is_file()]):
        raise _bad_weights(settings, f"the folder holds no {' and no '.join(missing)}.")
    if local.exists():
        return local
    if local.is_absolute() or local.suffix in (".pth", ".safetensors"):
        raise _bad_weights(settings, "there is no such file.")
    try:
        return _from_hub(settings, local_files_only=True)
    except (OSError, ValueError):
        pass  # Not in the cache, or no name that a hub could know: the hub's answer says which.
    try:
        from huggingface_hub import HfApi

        # Without a connection, the download itself would retry for minutes.
        HfApi().model_info(settings.weights, revision=settings.revision, timeout=10)
        return _from_hub(settings, local_files_only=False)
    except Exception as error:  # What a failed connection raises depends on the hub's HTTP library.
        raise _bad_weights(settings, f"they are not on this machine, and the hub says: {error}") from error


def _from_hub(settings: Mast3rSettings, local_files_only: bool) -> Path:
    from huggingface_hub import hf_hub_download

    files = [
        hf_hub_download(settings.weights, name, revision=settings.revision, local_files_only=local_files_only)
        for name in _WEIGHT_FILES
    ]
    return Path(files[0]).parent


def _bad_weights(settings: Mast3rSettings, reason: str) -> ProtoSagaError:
    reason = " ".join(reason.split())[:300].rstrip(".")
    return ProtoSagaError(
        f"The weights {settings.weights} of MASt3R cannot be loaded: {reason}. Without a connection: on another "
        f"machine `hf download {PUBLISHED_WEIGHTS} --local-dir DIR` (2.8 GB), bring the folder here and give it with "
        f"--mast3r-weights DIR. {LICENCE} {OTHER_WAYS}"
    )
