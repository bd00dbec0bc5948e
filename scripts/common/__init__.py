"""What the scripts that are run share."""
