"""The data sets that are known, by the names that commands take; imports nothing heavy."""

from __future__ import annotations

from typing import Literal, get_args

Dataset = Literal["replica", "lerf-mask", "scannet", "mipnerf360", "davis", "mose"]

DATASETS: tuple[Dataset, ...] = get_args(Dataset)
