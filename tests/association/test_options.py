"""Which strategy options of association mean, and which of them contradict each other."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from proto_saga_ns.association import BANK, GAGA, PAPER, AssociationOptions, ConsensusOptions

OF_BANK = [
    AssociationOptions(mask_ids="trust"),
    AssociationOptions(criteria="depth"),
    AssociationOptions(view_order="seed"),
    AssociationOptions(min_views=0),
    BANK,
    PAPER,
    GAGA,
]
CHANGED = ConsensusOptions(theta=0.5)


def test_without_any_option_it_is_consensus() -> None:
    for options in (AssociationOptions(), AssociationOptions(consensus=CHANGED), AssociationOptions("consensus")):
        assert options.with_strategy() == replace(options, strategy="consensus")


@pytest.mark.parametrize("options", OF_BANK)
def test_an_option_of_the_memory_bank_chooses_it(options: AssociationOptions) -> None:
    named = options.with_strategy()
    assert named == replace(options, strategy="memory-bank") == named.with_strategy()


@pytest.mark.parametrize("options", OF_BANK)
def test_options_of_both_are_refused(options: AssociationOptions) -> None:
    with pytest.raises(ValueError, match=r"--theta: (of consensus|nothing to --strategy memory-bank)\. Leave out"):
        replace(options, consensus=CHANGED)


def test_consensus_refuses_what_means_nothing_to_it() -> None:
    with pytest.raises(ValueError, match=re.escape("--criteria --delta-d: nothing to --strategy consensus")):
        AssociationOptions("consensus", criteria="depth", delta_d=0.3)
