"""``proto-saga demo``: the main job on the scene that comes with the package."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from proto_saga_ns.cli.demo_scene import DINING
from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.kernels.waiting import PASSIVE, WAIT_POLICY

METHOD = "proto-saga-lite"


@dataclass
class Demo:
    """Train on the embedded dining room, then render, segment and evaluate it.

    Runs the same commands that you would type for your own data and prints each of them. Leaves pictures of novel
    views, a video and a report with the table in the output folder.
    """

    output_dir: Path = Path("demo_output")
    """folder for everything that the demo leaves behind"""
    steps: int = 3000
    """training steps; fewer give a quicker and poorer result"""
    video: bool = True
    """whether to render a video (needs an ffmpeg on the PATH)"""

    def run(self) -> None:
        out = self.output_dir.resolve()
        config = self._train(out)
        _run("proto-saga", "segment", "--load-config", config, "--output-dir", out / "label_maps")
        _run(
            *("proto-saga", "evaluate", "--load-config", config, "--ground-truth", DINING / "instances"),
            *("--json", out / "evaluation.json"),
        )
        _run(
            *("proto-saga", "report", "--load-config", config, "--ground-truth", DINING / "instances"),
            *("--output", out / "report.html"),
        )
        self._draw_views(config, out)
        if self.video:
            _run(
                *("ns-render", "interpolate", "--load-config", config, "--pose-source", "train"),
                *("--rendered-output-names", "rgb", "segmentation"),
                *("--interpolation-steps", "4", "--frame-rate", "24", "--output-path", out / "segmentation.mp4"),
            )
        _tell_where(out, config, self.video)

    def _train(self, out: Path) -> Path:
        _run(
            *("ns-train", METHOD, "--data", DINING, "--output-dir", out / "outputs"),
            *("--experiment-name", "dining", "--timestamp", "demo", "--max-num-iterations", str(self.steps)),
            *("--vis", "tensorboard", "--logging.local-writer.max-log-size", "0"),
        )
        return out / "outputs" / "dining" / METHOD / "demo" / "config.yml"

    def _draw_views(self, config: Path, out: Path) -> None:
        # Imported this late, nothing heavy lies in memory beside the training.
        from proto_saga_ns.cli.work.demo import draw_views

        draw_views(config, DINING / "instances", out)


def _run(program: str, *arguments: object) -> None:
    """Run one of the console scripts of this environment, after printing it as one would type it."""
    words = [program, *map(str, arguments)]
    print(f"\n$ {shlex.join(words)}", flush=True)
    script = Path(sysconfig.get_path("scripts")) / program
    environment = {WAIT_POLICY: PASSIVE, **os.environ}  # people do other things while they wait
    code = subprocess.run([sys.executable, str(script), *words[1:]], env=environment, check=False).returncode
    if code != 0:
        raise ProtoSagaError(f"`{shlex.join(words)}` ended with exit code {code}; its message is above.")


def _tell_where(out: Path, config: Path, video: bool) -> None:
    print(
        f"""
Pictures    {out / "views.png"} and {out / "views"}/
Label maps  {out / "label_maps"}/"""
        + (f"\nVideo       {out / 'segmentation.mp4'}" if video else "")
        + f"""
Report      {out / "report.html"}
Figures     {out / "evaluation.json"}
Look at it  ns-viewer --load-config {config}"""
    )
