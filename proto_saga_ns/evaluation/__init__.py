"""Published protocols as pure functions, and the folders that they are fed from."""

from proto_saga_ns.evaluation.best_mask import BestMaskProtocol, BestMaskResult
from proto_saga_ns.evaluation.folders import evaluate_best_masks, evaluate_folders
from proto_saga_ns.evaluation.images import psnr
from proto_saga_ns.evaluation.instance import InstanceProtocol, InstanceResult

__all__ = [
    "BestMaskProtocol",
    "BestMaskResult",
    "InstanceProtocol",
    "InstanceResult",
    "evaluate_best_masks",
    "evaluate_folders",
    "psnr",
]
