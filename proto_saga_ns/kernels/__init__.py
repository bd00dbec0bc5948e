"""Compiled code and its doors: C++ for the CPU, Triton for CUDA, and where either can run."""
