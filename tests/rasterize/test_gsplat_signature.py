"""What ``rasterization`` hands to gsplat on a GPU fits the installed gsplat; no GPU is needed to see it."""

from __future__ import annotations

import inspect
from types import SimpleNamespace
from typing import Any

import gsplat
import pytest

from proto_saga_ns.rasterize import rasterization

OURS = {
    name: parameter
    for name, parameter in inspect.signature(rasterization).parameters.items()
    if parameter.kind is not inspect.Parameter.KEYWORD_ONLY
}


@pytest.mark.usefixtures("unchecked_shapes")
def test_each_argument_arrives_under_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[dict[str, Any]] = []

    def stand_in(*args: Any, **kwargs: Any) -> None:
        assert not args, "a position means something else in another version of gsplat"
        calls.append(inspect.signature(gsplat.rasterization).bind(**kwargs).arguments)

    monkeypatch.setattr(
        inspect.getmodule(inspect.unwrap(rasterization)), "load_gsplat", lambda: SimpleNamespace(rasterization=stand_in)
    )
    given: dict[str, Any] = {name: f"that of {name}" for name in OURS} | {"means": SimpleNamespace(is_cuda=True)}
    rasterization(**given)
    assert calls == [given]


def test_ours_has_the_arguments_of_gsplats_in_their_order_with_their_defaults() -> None:
    theirs = inspect.signature(gsplat.rasterization).parameters
    assert {name: OURS[name].default for name in OURS} == {name: theirs[name].default for name in theirs}
    assert list(OURS) == list(theirs)
