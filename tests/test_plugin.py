"""What nerfstudio finds of us, and what it must not find."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from pathlib import Path

import proto_saga_ns

EXTRAS = ("segment_anything", "transformers", "vismatch", "mast3r", "dust3r", "ray", "pycocotools")
SLOW = ("sklearn.cluster", "skimage", "scipy.optimize", "matplotlib.pyplot")
KNOW_NERFSTUDIO = ("plugin", "cli")


def run_python(code: str) -> str:
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    return process.stdout


def test_methods_and_command_are_registered() -> None:
    methods = importlib.metadata.entry_points(group="nerfstudio.method_configs")
    assert {"proto-saga", "proto-saga-lite"} <= {method.name for method in methods}
    assert importlib.metadata.entry_points(group="console_scripts", name="proto-saga")
    assert importlib.metadata.version("proto_saga_ns") == proto_saga_ns.__version__


def test_nerfstudio_offers_both_methods_with_the_optimizers_that_they_need() -> None:
    from nerfstudio.configs.method_configs import all_methods

    for name, steps in (("proto-saga", 30_000), ("proto-saga-lite", 3_000)):
        config = all_methods[name]
        assert config.max_num_iterations == steps and config.method_name == name
        assert {"embeddings", "view_classifiers"} <= config.optimizers.keys()
        assert config.viewer.websocket_host == "127.0.0.1"


def test_the_plugin_imports_without_any_extra() -> None:
    run_python(
        f"import sys\nfor name in {EXTRAS}: sys.modules[name] = None\n"
        "import proto_saga_ns.plugin.methods\nfrom proto_saga_ns.cli.commands import COMMANDS\n"
        "for command in COMMANDS.values(): command.load()"
    )


def test_the_plugin_adds_no_slow_import_to_other_methods() -> None:
    """Compared with nerfstudio alone, which imports some of these itself."""
    block = "import importlib.metadata as m; found = m.entry_points; m.entry_points = lambda **q: type(found(**q))(())"
    listing = f"import sys; print([name for name in {SLOW!r} if name in sys.modules])"
    alone = run_python(f"{block}\nimport nerfstudio.configs.method_configs\n{listing}")
    ours = run_python(f"import nerfstudio.configs.method_configs\n{listing}")
    assert ours == alone


def test_what_is_below_the_plugin_works_without_nerfstudio() -> None:
    package = Path(proto_saga_ns.__file__).parent
    files = [file.relative_to(package.parent) for file in package.rglob("*.py")]
    modules = [".".join(file.with_suffix("").parts) for file in files if file.parts[1] not in KNOW_NERFSTUDIO]
    assert len(modules) > 100
    imports = "\n".join(f"import {module.removesuffix('.__init__')}" for module in sorted(modules))
    run_python(f"import sys; sys.modules['nerfstudio'] = None\n{imports}")


def test_the_package_is_typed_and_carries_its_demo_scene() -> None:
    from proto_saga_ns.cli.demo_scene import DINING

    assert (Path(proto_saga_ns.__file__).parent / "py.typed").is_file()
    assert len(list((DINING / "images").glob("*.jpg"))) == 72 == len(list((DINING / "instances").glob("*.png")))
