"""The seams to Nerfstudio."""
