"""The viewer stays on this machine unless the command line says where it shall listen."""

from __future__ import annotations

import sys

import pytest
from nerfstudio.configs.base_config import ViewerConfig

from proto_saga_ns.plugin.methods import proto_saga, proto_saga_lite
from proto_saga_ns.plugin.trainer import LOCAL_HOST, ProtoSagaTrainerConfig

GIVEN = [
    ["--viewer.websocket-host", "0.0.0.0"],
    ["--viewer.websocket-host=0.0.0.0"],
    ["--viewer.websocket_host", "0.0.0.0"],
]


def test_methods_and_their_copies_listen_here_only() -> None:
    for method in (proto_saga, proto_saga_lite):
        assert method.config.viewer.websocket_host == LOCAL_HOST


def test_what_ns_viewer_puts_in_place_of_the_options_listens_here_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["ns-viewer", "--load-config", "config.yml", "--viewer.websocket-port", "1"])
    config = ProtoSagaTrainerConfig(method_name="proto-saga")
    config.viewer = ViewerConfig()
    assert ViewerConfig().websocket_host != LOCAL_HOST == config.viewer.websocket_host


@pytest.mark.parametrize("options", GIVEN)
def test_a_host_that_was_given_stays(monkeypatch: pytest.MonkeyPatch, options: list[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["ns-viewer", *options])
    config = ProtoSagaTrainerConfig(method_name="proto-saga")
    config.viewer = ViewerConfig(websocket_host="0.0.0.0")
    assert config.viewer.websocket_host == "0.0.0.0"


def test_other_options_are_set_as_they_are() -> None:
    config = ProtoSagaTrainerConfig(method_name="proto-saga")
    config.max_num_iterations = 7
    assert config.max_num_iterations == 7
