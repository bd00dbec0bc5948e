"""Taking objects out of a scene: splats as files, their frames, and the boxes around objects."""
