"""Open a trained run, and segment a view of it: python examples/1_open_a_run.py outputs/.../config.yml"""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image

from proto_saga_ns import load_run, segment_view
from proto_saga_ns.labels.colors import colorize

run = load_run(Path(sys.argv[1]))
for instance in run.scene.instances:
    print(f"{instance.id:4d} {instance.name:20} {instance.pixels:9,} pixels in the training views")

path, camera, photo = next(run.cameras("test"))  # photo: (H, W, 3) in [0, 1]
view = segment_view(run.model, run.scene, camera)
print(f"{path.name}: {len(set(view.labels[view.labels > 0]))} instances, confidence {view.confidence.mean():.0%}")
Image.fromarray(colorize(view.labels)).save("segmentation.png")
