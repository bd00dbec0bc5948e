"""One place decides between a GPU and the CPU, and nothing goes on with less than was asked for without a word."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import pytest
import torch

import proto_saga_ns
from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.kernels import device, gsplat_code
from proto_saga_ns.kernels.device import network_device, scene_device, unused_gpu
from tests.kernels.pretended import hide_compilers, pretend_gpu


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine with neither driver nor compiler, that has said nothing yet."""
    monkeypatch.setattr(device, "DRIVER", tmp_path / "driver")
    monkeypatch.setenv("TORCH_EXTENSIONS_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv(device.VISIBLE, raising=False)
    hide_compilers(monkeypatch)
    device.say_once.cache_clear()


def test_without_a_gpu_everything_is_on_the_cpu_and_nothing_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert scene_device(may_fall_back=False).type == network_device().type == "cpu"
    assert capsys.readouterr() == ("", "")


def test_networks_need_no_gsplat(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_gpu(monkeypatch)
    assert network_device().type == "cuda"


def test_training_stops_with_the_remedy_where_gsplat_cannot_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_gpu(monkeypatch)
    with pytest.raises(ProtoSagaError, match=r"pip install .cuda-toolkit.*CUDA_VISIBLE_DEVICES= before the command"):
        scene_device("cuda", may_fall_back=False)


def test_looking_goes_on_with_the_cpu_and_says_so_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pretend_gpu(monkeypatch)
    assert [scene_device("cuda:0", may_fall_back=True).type for _ in range(3)] == ["cpu"] * 3
    assert capsys.readouterr().err.count("The GPU is not used, the CPU is: gsplat must be compiled") == 1


def test_a_gpu_that_works_is_taken_as_it_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_gpu(monkeypatch)
    monkeypatch.setattr(gsplat_code, "load_gsplat", lambda: None)
    assert scene_device("cuda:1", may_fall_back=False) == torch.device("cuda:1")
    assert scene_device("cpu", may_fall_back=False).type == "cpu"


def test_the_version_of_gsplat_counts_on_a_cpu_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its strategies densify there as well."""
    monkeypatch.setattr(gsplat_code, "version", lambda package: "1.5.3")
    monkeypatch.delenv(gsplat_code.ANY_VERSION, raising=False)
    with pytest.raises(ProtoSagaError, match=r"gsplat 1\.5\.3"):
        scene_device("cpu", may_fall_back=True)


def test_a_driver_that_torch_cannot_use_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def see_no_gpu() -> bool:
        warnings.warn("CUDA initialization: The NVIDIA driver is too old (found 11040). Please update.", stacklevel=2)
        return False

    device.DRIVER.touch()
    monkeypatch.setattr(torch.cuda, "is_available", see_no_gpu)
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    assert scene_device(may_fall_back=False).type == "cpu"
    assert "The NVIDIA driver is too old (found 11040)." in capsys.readouterr().err
    monkeypatch.setattr(torch.version, "cuda", None)
    assert re.search("built without CUDA", unused_gpu() or "")
    monkeypatch.setenv(device.VISIBLE, "")
    assert unused_gpu() is None, "it was hidden on purpose"


def test_nobody_else_asks_torch_for_a_gpu() -> None:
    package = Path(proto_saga_ns.__file__).parent
    asking = {
        str(file.relative_to(package)) for file in package.rglob("*.py") if "cuda.is_available" in file.read_text()
    }
    assert asking == {"kernels/device.py", "kernels/gsplat_code.py"}
