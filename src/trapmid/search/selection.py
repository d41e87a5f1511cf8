"""Which of a class's reconstructions an attack keeps."""

from __future__ import annotations

import torch
from torch import Tensor


def most_of_each(labels: Tensor, scores: Tensor, keep: int) -> Tensor:
    """Indices of the `keep` best-scored rows of each label, by label, then the best first.

    Args:
        labels: (N,) int64.
        scores: (N,); of equal ones the earlier row comes first.

    Returns:
        (M,) int64; of a label with fewer rows, all.
    """
    by_score = scores.argsort(descending=True, stable=True)
    order = by_score[labels[by_score].argsort(stable=True)]
    return order[ranks(labels[order]) < keep]


def ranks(labels: Tensor) -> Tensor:
    """How many rows of the same label come before each row of sorted `labels` (N,) int64."""
    places = torch.arange(len(labels), device=labels.device)
    return places - torch.searchsorted(labels, labels)
