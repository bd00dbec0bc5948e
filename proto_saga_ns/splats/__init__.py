"""Splats as files: the Gaussians before any activation, read and written in the formats of others."""
