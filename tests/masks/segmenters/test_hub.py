"""Where models of transformers are looked for: here first, on the hub only when it answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from proto_saga_ns.masks.segmenters import hub


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether each attempt was for local files only; models load from the hub alone."""
    attempts: list[bool] = []
    # Not at import: the package puts another module in its own place while it loads.
    transformers = pytest.importorskip("transformers", reason="the extra sam is not installed")

    class OnTheHub:
        @staticmethod
        def from_pretrained(name: str, revision: str, local_files_only: bool) -> str:
            attempts.append(local_files_only)
            if local_files_only:
                raise OSError("a file is missing")
            return f"{name}@{revision}"

    monkeypatch.setattr(transformers, "OnTheHub", OnTheHub, raising=False)
    return attempts


@pytest.mark.parametrize("begun", [False, True])
def test_what_is_not_whole_here_comes_from_the_hub(
    asked: list[bool], begun: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "_hub_answers", lambda name, revision: True)
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_, **__: "config.json" if begun else None)
    assert hub.load_pretrained("some/model", "v2", "OnTheHub") == ["some/model@v2"]
    assert asked == ([True, False] if begun else [False])


def test_offline_the_hub_is_not_asked(asked: list[bool], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(hub, "_hub_answers", lambda name, revision: False)
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_, **__: None)
    with pytest.raises(OSError, match=r"huggingface\.co does not answer"):
        hub.load_pretrained("some/model", "main", "OnTheHub")
    assert asked == []
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_, **__: "config.json")
    for name in ("some/model", str(tmp_path)):
        with pytest.raises(OSError, match="a file is missing"):
            hub.load_pretrained(name, "main", "OnTheHub")
    assert False not in asked


def test_a_folder_is_never_asked_of_the_hub(asked: list[bool], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(hub, "_hub_answers", lambda name, revision: pytest.fail("the hub was asked"))
    with pytest.raises(OSError, match="a file is missing"):
        hub.load_pretrained(str(tmp_path), "main", "OnTheHub")
    for name in (str(tmp_path / "absent"), "./absent", "a/b/c"):
        with pytest.raises(OSError, match=f"no folder {name}"):
            hub.load_pretrained(name, "main", "OnTheHub")
