"""How well masks whose ids hold across views are associated, whole and cut into pieces (docs/method.md).

cp -r proto_saga_ns/cli/demo_scene/dining /tmp/dining && cp /tmp/dining/instances/* /tmp/dining/masks/
ns-train proto-saga-lite --data /tmp/dining --max-num-iterations 1500
python scripts/reproduce_mask_ids.py --load-config outputs/dining/proto-saga-lite/DATE/config.yml
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import tyro
from jaxtyping import Int

from proto_saga_ns.association import BANK, Association, AssociationOptions, View, associate
from proto_saga_ns.plugin.model.associate import training_views
from proto_saga_ns.plugin.run import load_run

Ids = Int[np.ndarray, " L"]
NEW_ID = 1000
WAYS = {
    "ignore": BANK,
    "ignore, --min-views 0": AssociationOptions(min_views=0),
    "trust": AssociationOptions(mask_ids="trust", min_views=0),
    "seed": AssociationOptions(mask_ids="seed", min_views=0),
}


@torch.no_grad()
def main(load_config: Path, cuts: int = 4) -> None:
    """Print a table.

    Args:
        load_config: config.yml of a run whose masks are the ground truth.
        cuts: how many random cuts of each kind.
    """
    run = load_run(load_config)
    views = list(training_views(run.model, run.pipeline.datamanager))
    truth = [_known(view) for view in views]
    given = {"whole": truth}
    given |= {f"{pieces} pieces, cut {seed}": cut(truth, pieces, seed) for pieces in (2, 3, 4) for seed in range(cuts)}
    print("| ids | ways | ids in the files | instances | masks in the right company |\n|---|---|---|---|---|")
    for name, ids in given.items():
        known = [replace(view, mask_ids=own) for view, own in zip(views, ids, strict=True)]
        for way, options in WAYS.items() if name == "whole" else [("seed", WAYS["seed"])]:
            found = associate(run.model.means, run.model.embeddings, known, options, run.model.config.tau)
            columns = (len(np.unique(np.concatenate(ids))), found.num_instances, in_right_company(found, truth))
            print(f"| {name} | {way} | {' | '.join(map(str, columns))} |", flush=True)


def cut(truth: Sequence[Ids], pieces: int, seed: int) -> list[Ids]:
    """New ids for every instance from each of some random views on."""
    rng = np.random.default_rng(seed)
    ids = [view.astype(np.int64) for view in truth]
    for instance in np.unique(np.concatenate(truth)):
        where = [index for index, view in enumerate(truth) if instance in view]
        starts = np.sort(rng.integers(0, len(where) + 1, pieces - 1))
        for position, index in enumerate(where):
            piece = np.searchsorted(starts, position, side="right")
            ids[index][truth[index] == instance] += NEW_ID * piece
    return ids


def in_right_company(found: Association, truth: Sequence[Ids]) -> int:
    """Masks whose true instance is that of most masks in the instance that was found for them."""
    own = np.concatenate(truth)
    instances = np.concatenate([view[1:] for view in found.instance_of_mask])
    table = np.zeros((found.num_instances + 1, int(own.max()) + 1), dtype=np.int64)
    np.add.at(table, (instances, own), 1)
    return int(table[1:].max(axis=1).sum())


def _known(view: View) -> Ids:
    assert view.mask_ids is not None
    return view.mask_ids[: int(view.label_map.max())]


if __name__ == "__main__":
    tyro.cli(main)
