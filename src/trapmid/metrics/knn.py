"""KNN distance: how near a reconstruction comes to its identity's private training images."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def nearest_squared(
    features: Tensor, labels: Tensor, private_features: Tensor, private_labels: Tensor
) -> Tensor:
    """Squared L2 from every row to the nearest private feature of the same class.

    Successes or not; smaller is a better attack.

    Args:
        features: (N, F).
        labels: (N,) int64, the attacked class.
        private_features: (M, F), of private training images.
        private_labels: (M,) int64.

    Returns:
        (N,) float64.

    Raises:
        ValueError: an attacked class has no private image.
    """
    nearest = torch.empty(len(features), dtype=torch.float64)
    for label in sorted(set(labels.tolist())):
        own, real = labels == label, private_labels == label
        if not real.any():
            raise ValueError(f"knn: class {label} has no private image")
        # The matrix-product shortcut of cdist cancels digits where two points nearly meet.
        distances = torch.cdist(
            features[own].double(),
            private_features[real].double(),
            compute_mode="donot_use_mm_for_euclid_dist",
        )
        nearest[own] = distances.amin(dim=1).square()
    return nearest


def nearest_image(
    embeddings: Tensor, labels: Tensor, private: Tensor, private_labels: Tensor
) -> Tensor:
    """Squared L2 of unit embeddings to the person's nearest private image.

    Its mean is PPA's "FaceNet distance" (Struppek et al., ICML 2022) where the verifier is FaceNet.
    Other verifiers' embeddings are stretched to length 1, too, so all have one range.

    Args:
        embeddings: (N, D).
        labels: (N,) int64, whom each image is to show.
        private: (M, D), of private training images.
        private_labels: (M,) int64.

    Returns:
        (N,) float64 in [0, 4]; smaller is nearer.

    Raises:
        ValueError: a person has no private image.
    """
    made, real = (F.normalize(one.double(), dim=1) for one in (embeddings, private))
    return nearest_squared(made, labels, real, private_labels)
