"""What nerfstudio's ns-render is asked for, checked before its own code fails at it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nerfstudio.cameras.camera_paths import get_path_from_json
from nerfstudio.cameras.cameras import Cameras

from proto_saga_ns.errors import ProtoSagaError

_EXPORT = "Export one in the tab Render of ns-viewer, with two keyframes at least and camera type Perspective."


@dataclass(frozen=True)
class CameraPathFile:
    """What a camera path of nerfstudio's viewer says; ``seconds`` is None where it says none."""

    cameras: Cameras
    seconds: float | None
    size: tuple[int, int]


def read_camera_path(path: Path) -> CameraPathFile:
    """A camera path that nerfstudio's viewer exported.

    Raises:
        ProtoSagaError: the file is missing, is no camera path, is empty, or is not of perspective cameras.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["camera_path"] == []:
            raise ProtoSagaError(f"The camera path {path} is empty: it has no pictures. {_EXPORT}")
        cameras = get_path_from_json(content)
        kind = str(content.get("camera_type", "perspective"))
        size = int(content["render_width"]), int(content["render_height"])
        seconds = float(content["seconds"]) if content.get("seconds") else None
    except OSError as error:
        raise ProtoSagaError(f"Cannot read the camera path {path} ({error.strerror}). {_EXPORT}") from error
    except (ValueError, KeyError, TypeError, AttributeError, RuntimeError) as error:
        raise ProtoSagaError(f"{path} is not a camera path ({type(error).__name__}: {error}). {_EXPORT}") from error
    if kind.lower() != "perspective":
        raise ProtoSagaError(f"The camera path {path} is {kind}; Gaussians are rendered in perspective only. {_EXPORT}")
    return CameraPathFile(cameras, seconds, size)


def check_request(words: Sequence[str], n_test_views: int) -> None:
    """Raise a ``ProtoSagaError`` if a command line is one of ns-render that would end in a traceback.

    Args:
        words: of the command line.
        n_test_views: how many the data has.
    """
    if Path(words[0]).name != "ns-render":
        return
    if "camera-path" in words:
        read_camera_path(Path(_option(words, "camera-path-filename") or "camera_path.json"))
    if "interpolate" in words and _option(words, "pose-source") != "train" and n_test_views < 2:
        raise ProtoSagaError(
            f"ns-render interpolate moves between test views, and the data has {n_test_views}. Between training views: "
            "--pose-source train."
        )


def _option(words: Sequence[str], name: str) -> str | None:
    """The value of an option, as tyro takes it: behind it or behind an equals sign, hyphens or underscores in it."""
    for word, following in zip(words, [*words[1:], ""], strict=True):
        option, equals, value = word.partition("=")
        if option.replace("_", "-") == f"--{name}":
            return value if equals else following
    return None
