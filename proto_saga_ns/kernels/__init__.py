"""What runs on the CPU in compiled code: the library, and what does not belong to the rasterizer."""
