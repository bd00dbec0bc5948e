"""The way of the data on tensors that say they are on a GPU (scripts/common/pretended_cuda.py)."""

import tests.scripts  # noqa: F401  (scripts/ can be imported from here on)
