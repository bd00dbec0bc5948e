"""The scene that comes with the package: a rendered dining room (CC0, see dining/ORIGIN.md)."""

from pathlib import Path

DINING = Path(__file__).parent / "dining"
"""60 training and 12 test views of 384x288, poses, points, degraded masks and true instances, nerfstudio's format."""
