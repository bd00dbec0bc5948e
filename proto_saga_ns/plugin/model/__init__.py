"""Nerfstudio seams: the model, its pipeline and its trainer."""
