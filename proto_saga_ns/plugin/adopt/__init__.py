"""Plain splats, whose Gaussians carry no embeddings, as runs of proto-saga: segmented by votes alone, without training.

``run_of_splatfacto`` and ``run_of_file`` say what the new run is made of; ``adopt`` makes it.
"""
