"""What this machine has, one look after another.

A look imports what it looks at inside of itself: where that is broken, this is a finding, and the others are made all
the same.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import sys
import sysconfig
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from proto_saga_ns.cli.work.printing import say
from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.kernels.device import DRIVER, VISIBLE, WITHOUT_GPU, has_gpu, unused_gpu
from proto_saga_ns.kernels.waiting import busy_machine

Level = Literal["good", "absent", "note", "bad"]
MARKS: dict[Level, str] = {"good": "[green]✓", "absent": "[dim]·", "note": "[yellow]!", "bad": "[bold red]✗"}
PYTHONS = ((3, 10), (3, 12))
NERFSTUDIO = "1.1.5"
FEW_GIGABYTES = 5
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        what: its name.
        here: what there is of it.
        follows: what that means, and the remedy if something is missing.
        level: bad keeps training, segmenting and evaluating from running; note takes something else away; absent is not
            there, and only some need it.
    """

    what: str
    here: str
    follows: str = ""
    level: Level = "good"


def build(architectures: str | None) -> None:
    """Compile gsplat's code, for the GPUs of this machine if no compute capability is given."""
    from proto_saga_ns.kernels.gsplat_code import build_gsplat

    say(f"gsplat's compiled code: {build_gsplat(architectures)}")


def report(as_json: bool) -> None:
    """Print all findings, as a table or as JSON.

    Raises:
        ProtoSagaError: training cannot run here.
    """
    findings = list(examine())
    print(json.dumps([asdict(finding) for finding in findings], indent=1)) if as_json else _show(findings)
    if bad := [finding for finding in findings if finding.level == "bad"]:
        raise ProtoSagaError(f"Training cannot run here: {'; '.join(f'{b.what}: {b.here}' for b in bad)}.")


def _show(findings: list[Finding]) -> None:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for heading in ("", "what", "here", "what follows"):
        table.add_column(heading, overflow="fold")
    for finding in findings:
        texts = (escape(_shortened(text)) for text in (finding.what, finding.here, finding.follows))
        table.add_row(MARKS[finding.level], *texts)
    Console(highlight=False).print(table)


def _shortened(text: str) -> str:
    """With ~ for the home folder, as people write it."""
    home = str(Path.home())
    return text if home == "/" else text.replace(f"{home}/", "~/")


def examine() -> Iterator[Finding]:
    """Look at everything, one thing after another; what cannot be looked at is a finding too."""
    for what, look in LOOKS.items():
        try:
            yield from look()
        except Exception as error:  # whatever is wrong here, the other rows are what helps
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
            yield Finding(what, reason, "it cannot be used as it is", "bad")


def _python() -> Iterator[Finding]:
    oldest, newest = ((*bound, 0)[:2] for bound in PYTHONS)
    fits = oldest <= sys.version_info[:2] <= newest
    follows = "" if fits else "3.10, 3.11 or 3.12 is needed: make PYTHON=python3.11"
    yield Finding("Python", f"{platform.python_version()} ({sys.executable})", follows, "good" if fits else "bad")
    yield Finding("proto_saga_ns", version("proto_saga_ns"))


def _nerfstudio() -> Iterator[Finding]:
    found = _version_of("nerfstudio")
    if found is None:
        yield Finding("nerfstudio", "not installed", f"pip install nerfstudio=={NERFSTUDIO}", "bad")
    elif found != NERFSTUDIO:
        yield Finding("nerfstudio", found, f"only {NERFSTUDIO} was tested", "note")
    else:
        yield Finding("nerfstudio", found)


def _torch() -> Iterator[Finding]:
    import torch

    cuda = f"CUDA {torch.version.cuda}" if torch.version.cuda else "without CUDA"
    yield Finding("torch", f"{torch.__version__}, {cuda}")


def _kernels() -> Iterator[Finding]:
    from proto_saga_ns.kernels.library import library, supported_instruction_sets, threads

    library()
    best = supported_instruction_sets()[-1]
    yield Finding("CPU kernels", f"{best}, {threads()} threads", "training and looking work without a GPU")


def _gpu() -> Iterator[Finding]:
    import torch

    driver = DRIVER.read_text().splitlines()[0].partition("NVRM version: ")[2] if DRIVER.exists() else "none"
    level: Level = "good" if DRIVER.exists() else "absent"
    yield Finding("NVIDIA driver", " ".join(driver.split()) or "of unknown version", level=level)
    if has_gpu():
        for index in range(torch.cuda.device_count()):
            properties = torch.cuda.get_device_properties(index)
            memory = f"{properties.total_memory / 2**30:.0f} GiB"
            capability = ".".join(map(str, torch.cuda.get_device_capability(index)))
            yield Finding("GPU", f"{properties.name}, {memory}, compute capability {capability}")
        yield _triton()
    elif (reason := unused_gpu()) is not None:
        yield Finding("GPU", reason, "everything runs on the CPU", "note")
    elif DRIVER.exists():
        yield Finding("GPU", f"hidden by {VISIBLE}", "everything runs on the CPU", "note")
    else:
        yield Finding("GPU", "none", "everything runs on the CPU", "absent")


def _triton() -> Finding:
    from proto_saga_ns.kernels.triton.door import why_not

    reason = why_not(0)
    if reason is None:
        return Finding("Triton", version("triton"), "what has to do with masks and pictures runs in its kernels")
    return Finding("Triton", reason, "PyTorch takes its place, slower and with more memory", "note")


def _gsplat() -> Iterator[Finding]:
    from proto_saga_ns.kernels.gsplat_code import check_buildable, check_version, load_gsplat, take_library

    try:
        check_version()
    except ProtoSagaError as error:
        yield Finding("gsplat", version("gsplat"), str(error), "bad")
        return
    yield Finding("gsplat", version("gsplat"))
    yield _nvcc()
    what = "gsplat's compiled code"
    if not has_gpu():
        yield Finding(what, "not needed without a GPU", level="absent")
        return
    try:
        if take_library():
            place = load_gsplat().csrc.__file__
            yield Finding(what, f"loads and runs ({place})", "training runs on the GPU")
        else:
            check_buildable()
            follows = "training compiles it when it starts, in minutes; or do it now: proto-saga doctor --build"
            yield Finding(what, "not compiled yet", follows, "note")
    except ProtoSagaError as error:
        yield Finding(what, "cannot be had", f"{error} {WITHOUT_GPU}", "bad")


def _nvcc() -> Finding:
    from proto_saga_ns.kernels.nvcc import all_nvcc, find_nvcc

    there = ", ".join(map(str, all_nvcc())) or "none"
    try:
        return Finding("CUDA compiler", there, f"fits this torch: {find_nvcc().program}")
    except ProtoSagaError as error:
        return Finding("CUDA compiler", there, str(error) if has_gpu() else "not needed without a GPU", "absent")


def _python_headers() -> Iterator[Finding]:
    header = Path(sysconfig.get_paths()["include"], "Python.h")
    if header.is_file():
        yield Finding("Python.h", str(header.parent))
    else:
        level: Level = "bad" if has_gpu() else "note"
        follows = "apt-get install python3-dev: compiling for a GPU needs it, and installing some dependencies"
        yield Finding("Python.h", "missing", follows, level)


def _programs() -> Iterator[Finding]:
    yield _program("ffmpeg", ("ffmpeg",), "ns-render writes no videos: apt-get install ffmpeg")
    yield _program("COLMAP", ("colmap",), "photos without poses need it: apt-get install colmap")
    yield _program("Chromium", CHROMIUM, "the tests of the viewer are skipped: apt-get install chromium")


def _program(what: str, names: Sequence[str], missing: str) -> Finding:
    scripts = sysconfig.get_path("scripts")
    if found := next(filter(None, map(shutil.which, names)), None):
        return Finding(what, found)
    if beside := shutil.which(names[0], path=scripts):
        return Finding(what, beside, f"not on the PATH: source {scripts}/activate", "note")
    return Finding(what, "none", missing, "note" if what == "ffmpeg" else "absent")


def _extras() -> Iterator[Finding]:
    yield _extra("triton", "comes with a torch for CUDA")
    yield from _extra_with_weights("segment-anything", "sam", _sam_weights)
    yield from _extra_with_weights("transformers", "text", _hub_weights)
    yield from _extra_with_weights("vismatch", "mastsam", _mast3r_weights)
    yield _extra("ray", "pip install 'proto_saga_ns[ray]'")
    yield _weights("LPIPS", {"AlexNet": _lpips_file()}, "; without a connection it is left out of the metrics")


def _extra(package: str, remedy: str) -> Finding:
    found = _version_of(package)
    return Finding(package, "not installed", remedy, "absent") if found is None else Finding(package, found)


def _extra_with_weights(package: str, extra: str, weights: Callable[[], Finding]) -> Iterator[Finding]:
    yield (finding := _extra(package, f"pip install 'proto_saga_ns[{extra}]'"))
    if finding.level == "good":
        yield weights()


def _sam_weights() -> Finding:
    from proto_saga_ns.masks.segmenters.sam_weights import PUBLISHED, weights_path

    return _weights("  weights of SAM", {model: weights_path(model) for model in PUBLISHED})


def _weights(what: str, files: Mapping[str, Path], otherwise: str = "") -> Finding:
    if here := [name for name, path in files.items() if path.is_file()]:
        return Finding(what, ", ".join(here), str(files[here[0]].parent))
    first = next(iter(files.values()))
    return Finding(what, "none", f"downloaded at first use, to {first}{otherwise}", "absent")


def _hub_weights() -> Finding:
    from proto_saga_ns.masks.phrases.options import SWIN_B
    from proto_saga_ns.masks.segmenters.sam2 import Sam2Settings

    return _on_hub("  weights of SAM 2, Grounding DINO", Sam2Settings().model, SWIN_B)


def _mast3r_weights() -> Finding:
    from proto_saga_ns.mastsam.matchers.mast3r import PUBLISHED_WEIGHTS

    return _on_hub("  weights of MASt3R (non-commercial)", PUBLISHED_WEIGHTS)


def _on_hub(what: str, *models: str) -> Finding:
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.constants import HF_HUB_CACHE

    here = [model for model in models if isinstance(try_to_load_from_cache(model, "config.json"), str)]
    missing = [model for model in models if model not in here]
    follows = f"downloaded at first use, to {HF_HUB_CACHE}: {', '.join(missing)}" if missing else HF_HUB_CACHE
    return Finding(what, ", ".join(here) or "none", follows, "absent" if missing else "good")


def _lpips_file() -> Path:
    import torch

    # model/lpips.py has it from torchvision, whose import takes seconds.
    return Path(torch.hub.get_dir(), "checkpoints", "alexnet-owt-7be5be79.pth")


def _room() -> Iterator[Finding]:
    free = shutil.disk_usage(Path.cwd()).free / 2**30
    few = free < FEW_GIGABYTES
    follows = f"less than {FEW_GIGABYTES} GB: checkpoints of large scenes may not fit" if few else ""
    yield Finding("free disk", f"{free:.1f} GB in {Path.cwd()}", follows, "note" if few else "good")
    from proto_saga_ns.kernels.library import threads

    cores = len(os.sched_getaffinity(0))
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    busy = busy_machine(threads())
    here = f"{cores} cores, {threads()} threads, {total:.0f} GB of memory"
    yield Finding("processor", here, busy or "", "note" if busy else "good")


def _version_of(package: str) -> str | None:
    """The version of a package that is installed and can be found; None otherwise."""
    try:
        return version(package) if find_spec(package.replace("-", "_")) is not None else None
    except PackageNotFoundError:
        return None


LOOKS: dict[str, Callable[[], Iterator[Finding]]] = {
    "Python": _python,
    "nerfstudio": _nerfstudio,
    "torch": _torch,
    "CPU kernels": _kernels,
    "GPU": _gpu,
    "gsplat": _gsplat,
    "Python.h": _python_headers,
    "programs": _programs,
    "extras": _extras,
    "machine": _room,
}
"""What is looked at, in the order of the table."""
