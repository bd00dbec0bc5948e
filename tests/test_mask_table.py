"""Prototypes are a function of the table of masks: against loops over raw pixels that follow Eqs. 17 and 18."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from proto_saga_ns.recognition.prototypes import NO_VIEW, MaskedView, MaskTable
from tests.feature_pooling import view_prototypes

DIM = 4


def random_view(seed: int, masks: int) -> tuple[Tensor, Tensor]:
    """Feature map and label map."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(6, 5, DIM, generator=generator), torch.randint(0, masks + 1, (6, 5), generator=generator)


def random_members(seed: int, masks: int, members: int) -> Tensor:
    found = torch.randint(0, members + 1, (masks + 1,), generator=torch.Generator().manual_seed(seed))
    found[0] = 0
    return found


def pooled(views: list[tuple[Tensor, Tensor]], member_of_mask: list[Tensor]) -> MaskTable:
    def masked() -> list[MaskedView]:
        rows = []
        for number, ((features, labels), members) in enumerate(zip(views, member_of_mask, strict=True)):
            means, pixels = view_prototypes(features, labels, len(members) - 1)
            rows.append(MaskedView(f"view {number}", means, pixels, members))
        return rows

    return MaskTable.of_views(masked(), DIM)


def slow_view_means(views: list[tuple[Tensor, Tensor]], member_of_mask: list[Tensor], member: int) -> list[Tensor]:
    """Mean over the raw pixels of all masks of a member, for each view that has any."""
    means = []
    for (features, labels), members in zip(views, member_of_mask, strict=True):
        pixels = [features[y, x] for y in range(6) for x in range(5) if members[labels[y, x]] == member]
        if pixels:
            means.append(sum(pixels, torch.zeros(DIM)) / len(pixels))
    return means


@given(seed=st.integers(0, 1000), masks=st.integers(0, 6), members=st.integers(1, 5), views=st.integers(1, 4))
@settings(max_examples=30)
def test_prototypes_are_the_mean_over_views_of_the_mean_over_pixels(
    seed: int, masks: int, members: int, views: int
) -> None:
    maps = [random_view(seed + index, masks) for index in range(views)]
    of_mask = [random_members(seed + index, masks, members) for index in range(views)]
    table = pooled(maps, of_mask)
    rows, means = table.view_prototypes
    for member in range(1, members + 1):
        expected = slow_view_means(maps, of_mask, member)
        assert (member in table.ids) == bool(expected)
        if expected:
            row = table.ids.index(member)
            torch.testing.assert_close(table.prototypes[row], sum(expected, torch.zeros(DIM)) / len(expected))
            torch.testing.assert_close(means[rows == row], torch.stack(expected))
            pixels = sum(
                int((members[labels] == member).sum()) for (_, labels), members in zip(maps, of_mask, strict=True)
            )
            assert table.size([member]) == (pixels, len(expected))


@given(seed=st.integers(0, 1000), masks=st.integers(1, 6), members=st.integers(1, 4))
@settings(max_examples=20)
def test_moving_masks_to_other_members_gives_what_pooling_again_gives(seed: int, masks: int, members: int) -> None:
    maps = [random_view(seed + index, masks) for index in range(3)]
    before = pooled(maps, [random_members(seed + index, masks, members) for index in range(3)])
    of_mask = [random_members(seed + 100 + index, masks, members) for index in range(3)]
    moved = torch.tensor([int(of_mask[view][label]) for view, label in zip(before.view, before.label, strict=True)])
    again, corrected = pooled(maps, of_mask), before.with_members(moved)
    assert corrected.ids == again.ids
    assert torch.equal(corrected.prototypes, again.prototypes)


@given(seed=st.integers(0, 1000), masks=st.integers(0, 6))
@settings(max_examples=20)
def test_the_members_of_the_masks_survive_the_table(seed: int, masks: int) -> None:
    """Of every mask that has pixels; labels without any leave no row, and beyond the largest there is none."""
    maps = [random_view(seed + index, masks) for index in range(3)]
    of_mask = [random_members(seed + index, masks, 3) for index in range(3)]
    found = pooled(maps, of_mask).member_of_mask()
    assert list(found) == ["view 0", "view 1", "view 2"]
    for (_, labels), members, mine in zip(maps, of_mask, found.values(), strict=True):
        assert torch.equal(mine[labels], members[labels].int()), "every pixel has the member that it had"
        assert mine.dtype == torch.int32 and mine[0] == 0


@given(seed=st.integers(0, 1000))
@settings(max_examples=20)
def test_the_order_of_the_rows_does_not_matter(seed: int) -> None:
    maps = [random_view(seed + index, 6) for index in range(3)]
    table = pooled(maps, [random_members(seed + index, 6, 4) for index in range(3)])
    order = torch.randperm(len(table.member), generator=torch.Generator().manual_seed(seed))
    columns = {name: getattr(table, name)[order] for name in ("view", "label", "pixels", "features", "member")}
    shuffled = replace(table, **columns)
    assert shuffled.ids == table.ids
    torch.testing.assert_close(shuffled.prototypes, table.prototypes)
    assert [shuffled.size([member]) for member in table.ids] == [table.size([member]) for member in table.ids]
    for mine, theirs in zip(shuffled.member_of_mask().values(), table.member_of_mask().values(), strict=True):
        assert torch.equal(mine, theirs)


def test_a_row_without_view_counts_as_a_view() -> None:
    masks = MaskTable(
        view=torch.tensor([0, 0, 1], dtype=torch.int32),
        label=torch.tensor([1, 2, 1], dtype=torch.int32),
        pixels=torch.tensor([3, 1, 50]),
        features=torch.tensor([[1.0, 0], [0, 1], [0, 2]]),
        member=torch.tensor([4, 4, 4], dtype=torch.int32),
        view_names=("a", "b"),
    )
    clicks = torch.tensor([[8.0, 0], [0, 4], [5, 5]])
    table = masks + MaskTable.without_views(clicks, [4, 4, 9])
    of_views = torch.tensor([[0.75, 0.25], [0, 2], [8, 0], [0, 4]])
    assert table.ids == (4, 9)
    torch.testing.assert_close(table.prototypes, torch.stack([of_views.mean(dim=0), clicks[2]]))
    assert table.size([4]) == (54, 2) and table.size([9]) == (0, 0) and table.size([4, 9]) == (54, 2)
    assert {name: members.tolist() for name, members in table.member_of_mask().items()} == {"a": [0, 4, 4], "b": [0, 4]}


def test_sizes_of_members_together_count_a_view_once() -> None:
    maps = [random_view(index, 6) for index in range(3)]
    table = pooled(maps, [torch.arange(7)] * 3)
    together = table.size(table.ids)
    assert together == (sum(int((labels > 0).sum()) for _, labels in maps), 3)
    assert table.size([]) == (0, 0)
    assert table.size([1, 1]) == table.size([1])
    with pytest.raises(KeyError):
        table.size([99])


def test_an_empty_table_has_neither_members_nor_prototypes() -> None:
    nowhere = torch.zeros(4, dtype=torch.int32)
    unlabelled = pooled([(torch.randn(6, 5, DIM), torch.zeros(6, 5, dtype=torch.int64))], [nowhere])
    without_member = pooled([random_view(0, 3)], [nowhere])
    for table in (MaskTable.of_views([], DIM), MaskTable.without_views(torch.zeros(0, DIM), ()), unlabelled):
        assert len(table.member) == 0
    for table in (MaskTable.of_views([], DIM), unlabelled, without_member):
        assert table.ids == () and table.prototypes.shape == (0, DIM)
        assert table.view_prototypes[1].shape == (0, DIM)
    assert {name: members.tolist() for name, members in unlabelled.member_of_mask().items()} == {"view 0": [0]}


def test_a_row_without_member_belongs_to_none() -> None:
    maps, of_mask = [random_view(0, 5)], [torch.tensor([0, 1, 0, 2, 0, 2])]
    table = pooled(maps, of_mask)
    noisy = replace(table, features=table.features.masked_fill(table.member[:, None] == 0, torch.nan))
    assert torch.equal(noisy.prototypes, table.prototypes)


@pytest.mark.parametrize(
    "bad",
    [
        {"pixels": torch.ones(2, dtype=torch.int64)},
        {"features": torch.ones(4, DIM)},
        {"member": torch.tensor([1, 2, -1], dtype=torch.int32)},
        {"view": torch.tensor([0, 1, 2], dtype=torch.int32)},
        {"view": torch.tensor([0, 1, NO_VIEW - 1], dtype=torch.int32)},
        {"view_names": ("a",)},
    ],
)
@pytest.mark.usefixtures("unchecked_shapes")
def test_bad_columns_are_refused(bad: dict[str, object]) -> None:
    ones = torch.ones(3, dtype=torch.int32)
    view = torch.tensor([0, 1, NO_VIEW], dtype=torch.int32)
    good = MaskTable(view, ones, ones.long(), torch.ones(3, DIM), ones, ("a", "b"))
    with pytest.raises(ValueError, match=r"columns|never negative|views run"):
        replace(good, **bad)


def test_only_rows_without_view_are_added() -> None:
    table = pooled([random_view(0, 3)], [torch.arange(4)])
    with pytest.raises(ValueError, match="without view"):
        table + table
