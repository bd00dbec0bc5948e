"""Runs of version 0.1 open: their ``config.yml`` names modules that have moved since."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from proto_saga_ns import load_run
from proto_saga_ns.plugin.methods import FusedAdamOptimizerConfig
from proto_saga_ns.plugin.old_names import MOVED, accept_old_names
from tests.conftest import TrainedRun

OLD_CONFIG = Path(__file__).with_name("config_of_0_1.yml")


def test_a_configuration_of_0_1_is_read_by_any_command_of_nerfstudio():
    """As nerfstudio's own commands do it, which know of the plugin by its entry point alone."""
    probe = (
        "import sys, yaml; from pathlib import Path; from nerfstudio.configs.method_configs import all_methods\n"
        "config = yaml.load(Path(sys.argv[1]).read_text(), Loader=yaml.Loader)\n"
        "print(type(config).__module__, type(config.pipeline.datamanager.dataparser).__name__, config.pipeline.model)"
    )
    ended = subprocess.run([sys.executable, "-c", probe, str(OLD_CONFIG)], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "proto_saga_ns.plugin.trainer MaskedNerfstudioConfig ProtoSagaModelConfig:" in ended.stdout


def test_a_configuration_of_0_1_says_what_it_said():
    accept_old_names()
    config = yaml.load(OLD_CONFIG.read_text(encoding="utf-8"), Loader=yaml.Loader)
    assert config.method_name == "proto-saga-lite" and config.max_num_iterations == 3000
    assert config.pipeline.datamanager.dataparser.mask_source == "auto"
    assert config.pipeline.association.strategy is None and config.pipeline.model.warmup_length == 400


@pytest.mark.parametrize("name", MOVED)
def test_what_has_moved_is_found_under_its_old_name(name):
    accept_old_names()
    module = sys.modules[name]
    now = module.__doc__.removeprefix("Moved to ").removesuffix(".")
    for what in vars(__import__(now, fromlist=["x"])).values():
        if isinstance(what, type) and what.__module__ == now:
            assert getattr(module, what.__name__) is what
    with pytest.raises(AttributeError):
        module.no_such_class  # noqa: B018


def test_a_run_of_0_1_opens(trained_run: TrainedRun, tmp_path: Path):
    folder = tmp_path / "run"
    shutil.copytree(trained_run.config.parent, folder)
    config = folder / "config.yml"
    text = config.read_text(encoding="utf-8")
    for old, now in MOVED.items():
        text = text.replace(f":{now}.", f":{old}.")
    text = text.replace(f"{FusedAdamOptimizerConfig.__module__}.Fused", "nerfstudio.engine.optimizers.")
    text = re.sub(r"\n *fused: true", "", text)
    assert "proto_saga_ns.plugin" not in text and "proto_saga_ns.data.dataparsers" in text
    config.write_text(text, encoding="utf-8")
    assert load_run(config).scene.instances
