"""Whether Triton's kernels are taken for a device. Importing this module needs no Triton."""

from __future__ import annotations

from functools import cache

import torch

from proto_saga_ns.kernels.device import say_once


def runs_on(device: torch.device, cost: str) -> bool:
    """Whether to take Triton's kernels for tensors of a device; if it is a GPU without them, says so on stderr, once.

    Args:
        device: of the tensors. The CPU has its own kernels, and gets False.
        cost: what doing without them means, a sentence.
    """
    if device.type != "cuda":
        return False
    reason = why_not(torch.cuda.current_device() if device.index is None else device.index)
    if reason is not None:
        say_once(f"Triton's kernels cannot be used on the GPU: {reason}. {cost}")
    return reason is None


@cache
def why_not(gpu: int) -> str | None:
    """Why no kernel runs on the GPU of this number; None if one did, which compiles it and takes about a second."""
    try:
        from proto_saga_ns.kernels.triton.probe import add_one
    except ImportError as error:
        return f"Triton is missing ({error}); `pip install triton` brings it where there is one for this system"
    try:
        answer = add_one(torch.ones(1, device=f"cuda:{gpu}"))
    except Exception as error:  # its compiler, the C compiler and the driver all have errors of their own
        return f"a first kernel failed ({type(error).__name__}: {str(error).strip().partition(chr(10))[0]})"
    return None if float(answer) == 2.0 else f"a first kernel gave {float(answer)} for 1 + 1"
