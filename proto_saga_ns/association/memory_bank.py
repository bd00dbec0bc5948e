"""The memory bank: sets of Gaussians, one per instance, that grow from view to view (Eqs. 11-13)."""

from __future__ import annotations

import ctypes

import numpy as np
from jaxtyping import Int, Int32

from proto_saga_ns.association.options import AssociationOptions
from proto_saga_ns.kernels.library import library

NOBODY = -1
FIRST_CAPACITY = 1024


class _Bank(ctypes.Structure):
    """``splat::Bank`` of csrc/bank.h."""

    _fields_ = (
        ("first", ctypes.c_void_p),
        ("entries", ctypes.c_void_p),
        ("size", ctypes.c_int64),
        ("instances", ctypes.c_int64),
    )


class _Rules(ctypes.Structure):
    """``splat::Rules`` of csrc/bank.h."""

    _fields_ = (("delta", ctypes.c_double), ("by_sum", ctypes.c_int32), ("disjoint", ctypes.c_int32))


class MemoryBank:
    """Instances (numbered from 0) and their Gaussians.

    Memberships are entries of one growing table; every Gaussian has a linked list of its entries. Memory is linear in
    the memberships, and placing a mask takes time in its Gaussians and their owners, whatever the number of instances.

    Args:
        num_gaussians: N.
        options: growth, score and threshold.
    """

    def __init__(self, num_gaussians: int, options: AssociationOptions) -> None:
        self._rules = _Rules(options.delta, options.score == "sum", options.growth == "disjoint")
        self._first = np.full(num_gaussians, NOBODY, dtype=np.int32)
        self._entries = np.empty((FIRST_CAPACITY, 3), dtype=np.int32)  # next entry, owner, Gaussian
        self._size = 0
        self.num_instances = 0

    def place(
        self, gaussians: Int[np.ndarray, " P"], sizes: Int[np.ndarray, " M"], founding: bool = False
    ) -> Int32[np.ndarray, " M"]:
        """Give the masks of one view, one after another, to instances, and the instances their Gaussians.

        Args:
            gaussians: what the first mask claims (each once), then the second, and so on.
            sizes: how many each mask claims.
            founding: every mask founds an instance that takes all its Gaussians, whoever owns them (Eq. 11). If not,
                a mask does so where no overlap is above the threshold. Among equal overlaps the oldest instance wins.

        Returns:
            The instance of each mask.
        """
        gaussians = np.ascontiguousarray(gaussians, dtype=np.int64)
        offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        instances = np.empty(len(sizes), dtype=np.int32)
        self._make_room(len(gaussians))
        bank = _Bank(self._first.ctypes.data, self._entries.ctypes.data, self._size, self.num_instances)
        library().splat_place(
            *(ctypes.byref(bank), len(sizes), offsets.ctypes.data, gaussians.ctypes.data),
            *(ctypes.byref(self._rules), founding, instances.ctypes.data),
        )
        self._size, self.num_instances = bank.size, bank.instances
        return instances

    def members(self) -> tuple[Int[np.ndarray, " E"], Int[np.ndarray, " E"]]:
        """All memberships: instances and Gaussians, sorted by instance, then by Gaussian."""
        _, owners, gaussians = self._entries[: self._size].T
        order = np.lexsort((gaussians, owners))
        return owners[order], gaussians[order].astype(np.int64)

    def _make_room(self, more: int) -> None:
        needed = self._size + more
        if needed > len(self._entries):
            grown = np.empty((max(needed, 2 * len(self._entries)), 3), dtype=np.int32)
            grown[: self._size] = self._entries[: self._size]
            self._entries = grown
