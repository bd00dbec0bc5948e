"""Which group, object or part each Gaussian belongs to, at the level of the scene's display."""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Float, Int32, Int64
from scipy.spatial import KDTree
from torch import Tensor

from proto_saga_ns.gaussian_instances import GaussianInstances
from proto_saga_ns.granularity import OBJECTS
from proto_saga_ns.scene.segmented_scene import SegmentedScene
from proto_saga_ns.scene.shown_level import shown_ids, shown_pieces


def instances_at_level(
    scene: SegmentedScene, embeddings: Float[Tensor, "N D"], means: Float[Tensor, "N 3"]
) -> GaussianInstances:
    """What each Gaussian of a model is shown as; its confidence is that of the object."""
    found = scene.parts_of(embeddings)
    return replace(found, ids=shown_gaussians(scene, found.ids, means))


def shown_gaussians(
    scene: SegmentedScene, parts: Int32[Tensor, " N"], means: Float[Tensor, "N 3"] | None = None
) -> Int32[Tensor, " N"]:
    """The ids of Gaussians, by the rule of ``shown_ids``: as in a map that each of them paints alone.

    But a Gaussian may belong to a part and have no piece of it: that of another part, or none. Alone it would paint the
    largest piece. With ``means`` it goes, at every level, with the nearest Gaussian of its part that has a piece of it:
    in a rendered map that one paints the same pixels, and decides.

    Args:
        scene: with the granularity in its display.
        parts: of the Gaussians, as ``scene.parts_of`` gives them; on the CPU.
        means: their centres; one that is NaN or infinite counts as a place like any other.
    """
    labels = shown_ids(scene, parts, None)
    shown = shown_pieces(scene, len(parts))
    if scene.levels is None or not shown:
        return labels
    part_of = scene.levels.joined_pieces(OBJECTS)
    table = torch.zeros(max(shown) + 2, 2, dtype=torch.int32)
    for piece, number in shown.items():
        table[piece] = torch.tensor((part_of[piece], number), dtype=torch.int32)
    rows = table[scene.levels.piece_of_gaussian.clamp(max=len(table) - 1).long()]
    if means is not None:
        rows = rows[_nearest_with_piece(parts, rows[:, 0], means)]
    part, number = rows.unbind(dim=1)
    return torch.where((part == parts) & (number != part), number, labels)


def _nearest_with_piece(
    parts: Int32[Tensor, " N"], part_of_piece: Int32[Tensor, " N"], means: Float[Tensor, "N 3"]
) -> Int64[Tensor, " N"]:
    """For each Gaussian itself, or, if its piece is of another part, the nearest one of its part with a piece of it."""
    nearest = torch.arange(len(parts))
    places = means.detach().cpu().double().nan_to_num().clamp(-1e30, 1e30)
    for part in part_of_piece.unique().tolist():
        mine, agreed = parts == part, part_of_piece == part
        sure, stray = (torch.nonzero(mask)[:, 0] for mask in (mine & agreed, mine & ~agreed))
        if part and len(sure) and len(stray):
            found = KDTree(places[sure].numpy()).query(places[stray].numpy())[1]
            nearest[stray] = sure[torch.from_numpy(found)]
    return nearest
