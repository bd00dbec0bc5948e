"""What the paper compares prototypes with (Table 4 and Sec. 3.3): K-Means, HDBSCAN and a trained classifier.

Each gives a (T, D) matrix that takes the place of the prototypes.
"""

from proto_saga_ns.alternatives.clusters import (
    Clusters,
    hdbscan_prototypes,
    kmeans_prototypes,
    sample_features,
)
from proto_saga_ns.alternatives.trained import SharedClassifier, TrainingOptions, train_shared_classifier

__all__ = [
    "Clusters",
    "SharedClassifier",
    "TrainingOptions",
    "hdbscan_prototypes",
    "kmeans_prototypes",
    "sample_features",
    "train_shared_classifier",
]
