"""Whether reconstructions lie nearer to private images than to public ones, and to how many.

After table 3 of Trap-MID, which has no released code: an image that an attack got out of a target
should lie near what the target learnt from, and one that the public prior would have made anyway
near the public images.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from trapmid.metrics.distances import blocks, kth_neighbour, space


@dataclass(frozen=True, kw_only=True)
class NearestPrivate:
    """Share of images whose nearest neighbour is private rather than public; ties count half."""

    equal: float  # among equally many of both: chance is one half
    all: float  # among all of them, as the table; a larger set attracts more


def nearest_private(features: Tensor, private: Tensor, public: Tensor) -> NearestPrivate:
    """Whose image is the nearest one.

    `equal` is the mean over *every* subset of the larger set that is as large as the smaller one,
    not over some drawn ones. Of an image with c nearer neighbours in the larger set (M), none of
    them is among m drawn with probability C(M - c, m) / C(M, m): that of a hypergeometric count.

    Args:
        features: (N, F) of the images asked about.
        private: (n, F).
        public: (m, F).

    Raises:
        ValueError: a set is empty, or the widths differ.
    """
    few, many = sorted((private, public), key=len)
    (few_points, many_points, asked), slack = space(few, many, features)
    nearer, tied, first = [], [], []
    for _, (to_few, to_many) in blocks(asked, few_points, many_points):
        nearest = to_few.amin(dim=1, keepdim=True)
        nearer.append((to_many < nearest - slack).sum(dim=1))
        tied.append((to_many <= nearest + slack).sum(dim=1) - nearer[-1])
        first.append((nearest - to_many.amin(dim=1, keepdim=True)).squeeze(1))
    beyond, gap = torch.cat(nearer), torch.cat(first)
    absent = (
        _none_drawn(beyond, len(many), len(few)),
        _none_drawn(beyond + torch.cat(tied), len(many), len(few)),
    )
    equal = float((absent[0] + absent[1]).mean()) / 2
    whole = float(((gap < -slack).double() + (gap <= slack).double()).mean()) / 2
    if few is private:
        return NearestPrivate(equal=equal, all=whole)
    return NearestPrivate(equal=1 - equal, all=1 - whole)


def covered(
    features: Tensor, labels: Tensor, private: Tensor, private_labels: Tensor
) -> float | None:
    """Sample-level coverage: the share of private images to which a reconstruction comes close.

    Close is: at least as near as the nearest other private image of the same person. So it asks
    which *images* leak, where an attack accuracy asks which people.

    Args:
        features: (N, F), with the attacked classes `labels` (N,) int64.
        private: (n, F), with `private_labels` (n,) int64: the images that might leak.

    Returns:
        None where no person has two private images.
    """
    close = []
    for label in sorted(set(private_labels.tolist())):
        real, made = private[private_labels == label], features[labels == label]
        if len(real) < 2:
            continue
        if not len(made):
            close.append(torch.zeros(len(real), dtype=torch.bool))
            continue
        (real_points, made_points), slack = space(real, made)
        reach = torch.cat([d.amin(dim=1) for _, (d,) in blocks(real_points, made_points)])
        close.append(reach <= kth_neighbour(real_points, 1) + slack)
    return float(torch.cat(close).double().mean()) if close else None


def _none_drawn(marked: Tensor, size: int, drawn: int) -> Tensor:
    """How probable it is that `drawn` of `size` things hold none of the `marked` (N,) ones."""
    rest = (size - marked).double()
    possible = rest >= drawn
    rest = torch.where(possible, rest, float(size))
    whole = torch.tensor(float(size), dtype=torch.float64)
    log = _log_choices(rest, drawn) - _log_choices(whole, drawn)
    return torch.where(possible, log.exp(), 0.0)


def _log_choices(size: Tensor, drawn: int) -> Tensor:
    """log of size! / (size - drawn)!"""
    return torch.lgamma(size + 1) - torch.lgamma(size - drawn + 1)
