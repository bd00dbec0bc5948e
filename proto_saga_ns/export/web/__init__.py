"""A segmented scene as one HTML file that opens offline (docs/web.md)."""
