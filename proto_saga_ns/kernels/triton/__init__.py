"""Kernels in Triton, for CUDA: one idea a module, the same functions as the CPU's door of that idea has.

Functions take and give plain tensors of one device; sizes of blocks are named constants. A kernel adds in a fixed
order, so that the same input gives the same bits every run: there are no atomic additions. Kernels do not wait for the
device either: what a function needs to know, it knows from shapes. Only those whose result has a size that nobody knows
before (``sparse_channels``, ``contributions``) wait for that.

Modules here import triton, which Windows and builds of torch for the CPU lack, and which takes long to import: they are
imported where they are called, once ``door.runs_on`` has said that they can be. ``door`` and ``launch`` need no Triton.
"""
