"""Images to label maps that are kept."""
