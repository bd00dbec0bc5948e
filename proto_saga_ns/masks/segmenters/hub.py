"""Models of the package transformers: from this machine, else from huggingface.co, failing at once when offline."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def load_pretrained(name: str, revision: str, *classes: str) -> list[Any]:
    """Model, processor and the like of one name: what is on this machine, else from the hub.

    Args:
        name: of a model on the hub, or a local folder.
        revision: branch, tag or commit on the hub.
        classes: names of classes of transformers with ``from_pretrained``, that of the model first: when it is not on
            this machine some versions look for a processor on the hub even if told not to, for minutes.

    Raises:
        OSError: it is neither on this machine nor to be had from the hub.
        ImportError: transformers is not installed, or too old.
    """
    here = _is_here(name, revision)
    if not here and not _hub_answers(name, revision):
        # Offline, transformers would retry for half a minute, and its classes take seconds to import.
        raise OSError("it is not on this machine, and huggingface.co does not answer.")
    import transformers

    def load(local_files_only: bool) -> list[Any]:
        options = {"revision": revision, "local_files_only": local_files_only}
        return [getattr(transformers, loaded).from_pretrained(name, **options) for loaded in classes]

    if here:
        try:
            return load(local_files_only=True)
        except OSError:
            # A download that was broken off.
            if Path(name).is_dir() or not _hub_answers(name, revision):
                raise
    return load(local_files_only=False)


def _is_here(name: str, revision: str) -> bool:
    """Whether a model is a folder or has been downloaded, at least in part."""
    from huggingface_hub import try_to_load_from_cache

    if Path(name).is_dir():
        return True
    if Path(name).is_absolute() or name.startswith(".") or name.count("/") > 1:
        raise OSError(f"there is no folder {name}.")
    return isinstance(try_to_load_from_cache(name, "config.json", revision=revision), str)


def _hub_answers(name: str, revision: str) -> bool:
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    try:
        HfApi().model_info(name, revision=revision, timeout=10)
    except HfHubHTTPError:
        return True  # No such model, or none for us: transformers says which.
    except Exception:  # A failed connection: what it raises depends on the hub's HTTP library, which has changed twice.
        return False
    return True
