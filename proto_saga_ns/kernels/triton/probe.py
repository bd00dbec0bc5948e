"""The smallest kernel: whether Triton compiles, launches and answers here."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from jaxtyping import Float
from torch import Tensor

from proto_saga_ns.kernels.triton.launch import Specialisation, launch


@triton.jit
def _add_one(values, result):
    tl.store(result, tl.load(values) + 1.0)


def add_one(values: Float[Tensor, " 1"]) -> Float[Tensor, " 1"]:
    """One more than a number."""
    result = torch.empty_like(values)
    launch(_add_one, 1, values, result)
    return result


SPECIALISATIONS = (Specialisation(_add_one, {"values": "*fp32", "result": "*fp32"}, bytes=8, operations=1),)
