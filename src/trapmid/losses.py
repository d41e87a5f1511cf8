"""Identity losses: logits (N, C), labels (N,) -> (N,). The caller reduces."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """-log softmax(logits)[label]."""
    return F.cross_entropy(logits, labels, reduction="none")


def max_margin(logits: Tensor, labels: Tensor) -> Tensor:
    """The best other logit minus the label's logit (PLG-MI, Yuan et al., AAAI 2023, eq. 6).

    Raw logits: no softmax, so the gradient does not vanish when the target is confident.
    """
    own = logits.gather(1, labels[:, None]).squeeze(1)
    rivals = logits.scatter(1, labels[:, None], -torch.inf)
    return rivals.amax(dim=1) - own


IDENTITY = {"ce": cross_entropy, "margin": max_margin}
