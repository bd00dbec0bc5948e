"""Take a 3D Gaussian Splatting scene apart into its objects."""

__version__ = "0.1.0"
