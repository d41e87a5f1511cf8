"""Hit rates: attack accuracy (AA-1, AA-5), test accuracy and trapdoor success."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def best_classes(logits: Tensor, k: int) -> Tensor:
    """The `min(k, C)` most probable classes, best first; int64 (N, min(k, C)).

    Ties go to the lower class, on every device and with any batch.
    """
    order = logits.cpu().argsort(dim=1, descending=True, stable=True)
    return order[:, :k]


def hits(logits: Tensor, labels: Tensor, k: int = 1) -> Tensor:
    """Whether the label is among the k most probable classes; bool (N,). Ties as `best_classes`."""
    logits, labels = logits.cpu(), labels.cpu()[:, None]
    own = logits.gather(1, labels)
    lower = torch.arange(logits.shape[1]) < labels
    # Counted, not sorted: of 1,000 classes that takes a tenth of the time
    before = (logits > own) | ((logits == own) & lower)
    return before.sum(dim=1) < k


def rate(hit: Tensor) -> float:
    """The share of hits, in [0, 1]."""
    return float(hit.double().mean())


def rate_by_class(hit: Tensor, labels: Tensor) -> float:
    """The mean of the classes' shares of hits, in [0, 1]: each class of `labels` (N,) counts once.

    The same as `rate` where the classes have equally many images, as an attack makes them. Of real
    images one person may have a fifth of all.
    """
    return float(_shares(hit, labels).mean())


def hit_shares(hit: Tensor, labels: Tensor) -> dict[int, float]:
    """Every class of `labels` (N,), ascending, with the share of hits among its images."""
    shares = _shares(hit, labels).tolist()
    return dict(zip(sorted(set(labels.tolist())), shares, strict=True))


def _shares(hit: Tensor, labels: Tensor) -> Tensor:
    row, classes = _ranks(labels)
    hits = torch.bincount(row, weights=hit.double(), minlength=classes)
    return hits / torch.bincount(row, minlength=classes)


def within_run_std(hit: Tensor, labels: Tensor, draws: Tensor, attack_batch: int) -> float | None:
    """The papers' deviation of an attack accuracy inside one run; a fraction.

    Identities are attacked in batches of `attack_batch`, in ascending order of their label, once
    per draw. The accuracies of one batch over the draws have a sample variance (n - 1); these are
    averaged over the batches, and the root is taken (as the official scripts do). It
    measures the luck of the first latents, not of the trained target.

    Args:
        hit: (N,) bool, one row per (label, draw).
        labels: (N,) int64.
        draws: (N,) int64.
        attack_batch: identities per batch; the last batch may be smaller.

    Returns:
        None for a single draw, which has no variance.

    Raises:
        ValueError: some (label, draw) is missing or there twice.
    """
    spreads = _batch_variances(hit, labels, draws, attack_batch)
    return None if spreads is None else math.sqrt(float(spreads.mean()))


def mean_of_stds(hit: Tensor, labels: Tensor, draws: Tensor, attack_batch: int) -> float | None:
    """LOMMA's deviation: the mean of the batches' sample deviations, not the root of the variances.

    Takes, returns and raises as `within_run_std`, which is never smaller.
    """
    spreads = _batch_variances(hit, labels, draws, attack_batch)
    return None if spreads is None else float(spreads.sqrt().mean())


def _batch_variances(
    hit: Tensor, labels: Tensor, draws: Tensor, attack_batch: int
) -> Tensor | None:
    """Sample variance over the draws of every attack batch's accuracy; None for a single draw."""
    row, classes = _ranks(labels)
    column, kinds = _ranks(draws)
    counts = torch.bincount(row * kinds + column, minlength=classes * kinds)
    if not (counts == 1).all():
        raise ValueError("accuracy: every label needs each draw exactly once")
    if kinds < 2:
        return None
    grid = torch.zeros(classes, kinds, dtype=torch.float64)
    grid[row, column] = hit.double()
    batches = torch.split(grid, attack_batch)
    return torch.stack([batch.mean(dim=0).var(correction=1) for batch in batches])


def balanced_labels(count: int, num_classes: int, generator: torch.Generator) -> Tensor:
    """Target classes (count,) int64 in random order, each class equally often.

    The remainder of count / num_classes goes to distinct random classes; an image may get its own
    class (Trap-MID's official code).
    """
    rest = torch.randperm(num_classes, generator=generator)[: count % num_classes]
    labels = torch.cat([torch.arange(num_classes).repeat(count // num_classes), rest])
    return labels[torch.randperm(count, generator=generator)]


def _ranks(values: Tensor) -> tuple[Tensor, int]:
    """Each value's rank among the distinct ones, and how many distinct ones there are."""
    distinct = torch.tensor(sorted(set(values.tolist())))
    return torch.searchsorted(distinct, values), len(distinct)
