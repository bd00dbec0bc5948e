"""Published protocols as pure functions, and the folders that they are fed from."""

from proto_saga_ns.evaluation.folders import evaluate_folders
from proto_saga_ns.evaluation.images import psnr
from proto_saga_ns.evaluation.instance import InstanceProtocol, InstanceResult

__all__ = ["InstanceProtocol", "InstanceResult", "evaluate_folders", "psnr"]
