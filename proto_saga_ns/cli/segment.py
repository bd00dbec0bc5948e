"""``proto-saga segment``: a consistent label map for every view."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from proto_saga_ns.labels.view_names import view_name
from proto_saga_ns.plugin.run import Split
from proto_saga_ns.recognition.granularity import LevelName, granularity_of


@dataclass
class Segment:
    """Write one 16-bit label map a view, with the same id for the same instance in all of them.

    OUTPUT-DIR/<image stem>.png, and OUTPUT-DIR/instances.json with names, colours and sizes of the instances (or
    groups, or parts), written last: without it the maps are not all of one segmentation.
    """

    load_config: Path
    """config.yml of a training run"""
    output_dir: Path
    """folder for the label maps; made if it is not there"""
    split: Split = "test"
    """which views"""
    granularity: LevelName | float = "object"
    """what has an id of its own: group, object, part, or a number from 0 (coarsest) to 1 (finest), of which 0.5 is
    object. A group has the id of its largest instance, the largest part of an instance that of the instance, other
    parts have ids of their own. Needs the strategy consensus"""
    data: Path | None = None
    """where the data lies now, if it has moved since training"""

    def run(self) -> None:
        from rich.progress import track

        from proto_saga_ns.files import check_output_folder, remove_file, write_json
        from proto_saga_ns.labels import write_label_map
        from proto_saga_ns.plugin.model.views import segment_view
        from proto_saga_ns.plugin.run import load_run
        from proto_saga_ns.scene.shown import at_granularity, instances_at_level, table_at_level

        check_output_folder(self.output_dir)
        run = load_run(self.load_config, self.data)
        granularity = granularity_of(self.granularity)
        scene = at_granularity(run.scene, granularity, run.model.num_points)
        shown = instances_at_level(scene, run.model.embeddings, run.model.means)
        views, table = run.named_cameras(self.split), self.output_dir / "instances.json"
        remove_file(table)
        for image, camera, _ in track(views, "Segmenting views"):
            labels = segment_view(run.model, scene, camera, granularity).labels
            write_label_map(self.output_dir / f"{view_name(image)}.png", labels)
        write_json(table, table_at_level(scene, shown.ids))
