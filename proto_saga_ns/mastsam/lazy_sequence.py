"""A sequence whose items are read when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Generic, TypeVar, overload

S = TypeVar("S")
T = TypeVar("T")


class LazySequence(Sequence[T], Generic[S, T]):
    """What ``read`` makes of each source; a few items are kept in memory, not all.

    Args:
        sources: for example, paths.
        read: makes an item of a source.
        kept: items in memory, those that were asked for last.
    """

    def __init__(self, sources: Sequence[S], read: Callable[[S], T], kept: int = 2) -> None:
        self._sources = sources
        self._read = lru_cache(kept)(lambda index: read(sources[index]))

    def __len__(self) -> int:
        return len(self._sources)

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[T]: ...
    def __getitem__(self, index: int | slice) -> T | Sequence[T]:
        places = range(len(self))[index]
        return self._read(places) if isinstance(places, int) else [self._read(place) for place in places]
