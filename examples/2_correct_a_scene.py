"""Correct a segmentation as the viewer does: python examples/2_correct_a_scene.py outputs/.../config.yml

The two largest instances become one, which gets a name; the scene that was opened stays as it is.
"""

from __future__ import annotations

import sys
from pathlib import Path

from proto_saga_ns import SegmentedScene, load_run
from proto_saga_ns.scene import corrections

run = load_run(Path(sys.argv[1]))
scene: SegmentedScene = run.scene
first, second = sorted(scene.instances, key=lambda instance: -instance.pixels)[:2]
merged = corrections.renamed(corrections.merged(scene, [first.id, second.id]), first.id, "the largest two")
print([instance.name for instance in merged.instances if instance.id == first.id])
print(
    f"{len(scene.instances)} instances before, {len(merged.instances)} after; scenes are values, the first is unchanged"
)
