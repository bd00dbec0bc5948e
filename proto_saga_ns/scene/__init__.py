"""A segmented scene: what association leaves, how people correct it, and all that viewer and commands need of it."""

from proto_saga_ns.scene.display import Background, Display
from proto_saga_ns.scene.embedding_colors import EmbeddingColors
from proto_saga_ns.scene.segmented_scene import Instance, SegmentedScene

__all__ = ["Background", "Display", "EmbeddingColors", "Instance", "SegmentedScene"]
