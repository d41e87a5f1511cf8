"""What a target says of public images, used as their labels (Yuan et al., AAAI 2023, sec. 3.2)."""

from __future__ import annotations

import torch
from torch import Tensor

from trapmid.runtime import Runtime, eval_mode, in_parts
from trapmid.training.fit import to_float
from trapmid.types import Target


@torch.no_grad()
def logits_of(target: Target, public: Tensor, rt: Runtime, batch_size: int = 512) -> Tensor:
    """The target's logits (N, C) of public images (N, 3, S, S) uint8, in eval mode; on the CPU.

    A stochastic target draws its noise from a stream of its own.
    """

    def logits(rows: slice) -> Tensor:
        answer: Tensor = target(to_float(public[rows].to(rt.device))).logits
        return answer.cpu()

    with eval_mode(target), rt.seeded("noise of a stochastic target"):
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
    by_class = probabilities.T.contiguous()  # (C, N)
    largest = by_class.topk(n, dim=1)
    tied = (by_class >= largest.values[:, -1:]).sum(dim=1) > n  # which of them `topk` takes is open
    places = largest.indices.sort(dim=1).values
    order = by_class.gather(1, places).argsort(dim=1, stable=True)  # ascending, equal ones by index
    indices = places.gather(1, order)
    indices[tied] = by_class[tied].argsort(dim=1, stable=True)[:, -n:]
    return indices.flatten(), torch.arange(probabilities.shape[1]).repeat_interleave(n)
