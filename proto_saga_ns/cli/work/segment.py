"""A label map for every view, with the same id for the same instance in all of them."""

from __future__ import annotations

from pathlib import Path

from proto_saga_ns.files import remove_file, write_json
from proto_saga_ns.labels import write_label_map
from proto_saga_ns.labels.view_names import view_name
from proto_saga_ns.plugin.model.views import segment_view
from proto_saga_ns.plugin.run import Split, load_run
from proto_saga_ns.progress import progress_bar
from proto_saga_ns.scene.shown import at_granularity, instances_at_level, table_at_level


def write_label_maps(load_config: Path, data: Path | None, split: Split, granularity: float, output: Path) -> None:
    """``<image stem>.png`` for every view of a split, and ``instances.json``, last.

    Args:
        load_config: config.yml of a run.
        data: where its data lies now, if it has moved.
        granularity: what has an id of its own, 0 (coarsest) to 1 (finest).
        output: folder for the files.
    """
    run = load_run(load_config, data)
    scene = at_granularity(run.scene, granularity, run.model.num_points)
    shown = instances_at_level(scene, run.model.embeddings, run.model.means)
    views, table = run.named_cameras(split), output / "instances.json"
    remove_file(table)
    for image, camera, _ in progress_bar(views, "Segmenting views"):
        labels = segment_view(run.model, scene, camera, granularity).labels
        write_label_map(output / f"{view_name(image)}.png", labels)
    write_json(table, table_at_level(scene, shown.ids))
