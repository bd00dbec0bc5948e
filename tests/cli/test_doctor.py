"""``proto-saga doctor`` on this machine, and on others that are pretended."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from proto_saga_ns.cli.doctor import Doctor
from proto_saga_ns.cli.work import doctor
from proto_saga_ns.cli.work.doctor import examine
from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.kernels import device, gsplat_code
from tests.commands import run
from tests.kernels.pretended import hide_compilers, pretend_gpu, write_nvcc


def findings() -> dict[str, doctor.Finding]:
    return {finding.what: finding for finding in examine()}


def test_this_machine_can_run_the_main_job(monkeypatch: pytest.MonkeyPatch) -> None:
    process = run("proto-saga", "doctor", "--json")
    assert process.returncode == 0, process.stderr
    rows = {row["what"]: row for row in json.loads(process.stdout)}
    expected = {"Python", "nerfstudio", "torch", "CPU kernels", "GPU", "gsplat", "CUDA compiler", "ffmpeg", "free disk"}
    assert expected <= rows.keys() and not [row for row in rows.values() if row["level"] == "bad"]
    table = run("proto-saga", "doctor")
    assert table.returncode == 0 and all(what in table.stdout for what in expected)


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """A GPU and neither compiler nor compiled code."""
    pretend_gpu(monkeypatch)
    hide_compilers(monkeypatch)
    monkeypatch.setenv("TORCH_EXTENSIONS_DIR", str(tmp_path / "cache"))
    return monkeypatch


def test_a_driver_without_a_compiler_is_an_error_with_the_command(
    bare: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = findings()
    assert found["GPU"].here == "Pretended GPU, 24 GiB, compute capability 8.9"
    compiled = found["gsplat's compiled code"]
    assert compiled.level == "bad" and "pip install" in compiled.follows and device.VISIBLE in compiled.follows
    with pytest.raises(ProtoSagaError, match=r"Training cannot run here: gsplat's compiled code: cannot be had"):
        Doctor().run()
    assert "Pretended GPU" in capsys.readouterr().out


def test_with_a_compiler_the_first_training_builds_it(bare: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = write_nvcc(tmp_path / "cuda", "13.0")
    bare.setattr("proto_saga_ns.kernels.nvcc._candidates", lambda: iter([program]))
    found = findings()
    assert found["gsplat's compiled code"].level == "note" and "--build" in found["gsplat's compiled code"].follows
    assert found["CUDA compiler"].follows == f"fits this torch: {program}"
    Doctor(json=True).run()


def test_an_old_compiler_and_an_old_card_are_told(bare: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = write_nvcc(tmp_path / "cuda", "12.2")
    bare.setattr("proto_saga_ns.kernels.nvcc._candidates", lambda: iter([program]))
    assert "12.2" in findings()["gsplat's compiled code"].follows
    bare.setattr(torch.cuda, "get_device_capability", lambda index=0: (6, 1))
    assert "compute capability 6.1" in findings()["gsplat's compiled code"].follows


def test_other_versions_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gsplat_code, "version", lambda package: "1.5.3")
    monkeypatch.setattr(doctor, "NERFSTUDIO", "9.9")
    found = findings()
    assert found["gsplat"].level == "bad" and "1.5.3" in found["gsplat"].follows
    assert found["nerfstudio"].level == "note" and "only 9.9 was tested" in found["nerfstudio"].follows


def test_what_is_missing_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor.shutil, "which", lambda *_, **__: None)
    monkeypatch.setattr(doctor, "find_spec", lambda name: None)
    found = findings()
    for what, command in {
        "ffmpeg": "apt-get install ffmpeg",
        "COLMAP": "apt-get install colmap",
        "segment-anything": "proto_saga_ns[sam]",
        "vismatch": "proto_saga_ns[mastsam]",
        "nerfstudio": "pip install nerfstudio==1.1.5",
    }.items():
        assert command in found[what].follows
    assert found["nerfstudio"].level == "bad" and found["ffmpeg"].level == "note"


def test_what_cannot_be_looked_at_hides_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail():
        raise OSError("a library is missing")
        yield

    monkeypatch.setitem(doctor.LOOKS, "torch", fail)
    found = findings()
    assert found["torch"].level == "bad" and "a library is missing" in found["torch"].here
    assert "free disk" in found


def test_the_place_of_lpips_weights_is_the_one_that_the_metric_reads() -> None:
    from proto_saga_ns.plugin.model.image_quality import weights_file

    assert doctor._lpips_file() == weights_file()


def test_an_architecture_without_a_build_is_refused() -> None:
    with pytest.raises(ProtoSagaError, match="--build"):
        Doctor(cuda_arch="8.6").run()
