"""What a target says of public images, used as their labels (Yuan et al., AAAI 2023, sec. 3.2)."""

from __future__ import annotations

import torch
from torch import Tensor

from trapmid.runtime import Runtime, eval_mode, in_parts
from trapmid.training.fit import to_float
from trapmid.types import Target


@torch.no_grad()
def logits_of(target: Target, public: Tensor, rt: Runtime, batch_size: int = 512) -> Tensor:
    """The target's logits (N, C) of public images (N, 3, S, S) uint8, in eval mode; on the CPU."""

    def logits(rows: slice) -> Tensor:
        answer: Tensor = target(to_float(public[rows].to(rt.device))).logits
        return answer.cpu()

    with eval_mode(target):
        return torch.cat(in_parts(len(public), batch_size, logits))


def top_n(
    target: Target, public: Tensor, n: int, rt: Runtime, batch_size: int = 512
) -> tuple[Tensor, Tensor]:
    """The `n` public images that the target finds likeliest for each class."""
    return top_n_selection(logits_of(target, public, rt, batch_size).softmax(dim=1), n)


def top_n_selection(probabilities: Tensor, n: int) -> tuple[Tensor, Tensor]:
    """The `n` rows of `probabilities` (N, C) that are the largest of every class.

    A row may serve several classes, or none. Ties keep the later index, as the official heap of
    (probability, index) pairs does.

    Returns:
        (indices, labels), each (C * n,) int64, sorted by class.

    Raises:
        ValueError: there are fewer than `n` rows.
    """
    if n > len(probabilities):
        raise ValueError(f"top_n: {n} is more than the {len(probabilities)} public images")
    order = probabilities.argsort(dim=0, stable=True)  # (N, C), ascending
    indices = order[-n:].T.flatten()
    return indices, torch.arange(probabilities.shape[1]).repeat_interleave(n)
