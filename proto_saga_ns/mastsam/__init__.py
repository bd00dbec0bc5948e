"""MastSAM: a sequence of frames to consistent label maps, by points that are matched from frame to frame.

Y. Chen et al., "MastSAM: Solving Multi-view Inconsistency Segmentation by Sequence Matched 3D Coordinates", 2025.
"""
