"""From a trained model to a segmented scene, and from there to the segmentation of any view."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float, Int
from rich.progress import Progress
from torch import Tensor

from proto_saga_ns.model.render import render

if TYPE_CHECKING:
    from nerfstudio.cameras.cameras import Cameras

    from proto_saga_ns.data.datamanager import ProtoSagaDatamanager
    from proto_saga_ns.model.options import SceneOptions
    from proto_saga_ns.model.proto_saga import ProtoSagaModel
