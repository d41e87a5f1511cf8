"""Identity losses: logits (N, C), labels (N,) -> (N,). The caller reduces."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """-log softmax(logits)[label]."""
    return F.cross_entropy(logits, labels, reduction="none")


def smoothed_cross_entropy(logits: Tensor, labels: Tensor, factor: float) -> Tensor:
    """(1 - a) times cross-entropy plus a times the mean over classes of -log softmax.

    Label smoothing with the factor a; negative ones make a classifier over-confident (NegLS;
    Struppek et al., "Be Careful What You Smooth For", ICLR 2024). In float32: with a < 0 the loss
    has no lower bound in the logits of wrong classes. A factor of 0 is cross-entropy itself.
    """
    if factor == 0:
        return cross_entropy(logits, labels)
    log_p = F.log_softmax(logits.float(), dim=1)
    own = log_p.gather(1, labels[:, None]).squeeze(1)
    return -(1 - factor) * own - factor * log_p.mean(dim=1)


@dataclass(frozen=True, kw_only=True)
class Smoothing:
    """Label smoothing whose factor changes over the epochs."""

    factor: float  # at the end; negative in NegLS
    ramp: tuple[float, float]  # shares of the epochs at which the factor leaves 0 and is reached
    jump: bool  # the ramp aims at the end of training, so the factor jumps where the ramp ends

    def __post_init__(self) -> None:
        first, last = self.ramp
        if not 0 <= first <= last <= 1:
            raise ValueError(f"ramp: {list(self.ramp)} must ascend inside [0, 1]")

    def at(self, epoch: int, epochs: int) -> float:
        """The factor in a 0-based epoch.

        The official schedule of NegLS over E = 100 epochs, ramp (0.5, 0.75) with the jump: 0 for
        e < 50, factor * (e - 49) / 50 for 50 <= e < 75, the whole factor from 75 on, twice the
        value before it. Without the jump the ramp reaches the factor at its own end.
        """
        first, last = (round(share * epochs) for share in self.ramp)
        if epoch < first:
            return 0.0
        if epoch >= last:
            return self.factor
        return self.factor * (epoch - first + 1) / ((epochs if self.jump else last) - first)


def own_logit(logits: Tensor, labels: Tensor) -> Tensor:
    """The label's raw logit, or any other value of its class."""
    return logits.gather(1, labels[:, None]).squeeze(1)


def minus_logit(logits: Tensor, labels: Tensor) -> Tensor:
    """Minus the label's raw logit, whatever the others are (LOMMA, Nguyen et al., CVPR 2023)."""
    return -own_logit(logits, labels)


def max_margin(logits: Tensor, labels: Tensor) -> Tensor:
    """The best other logit minus the label's logit (PLG-MI, Yuan et al., AAAI 2023, eq. 6).

    Raw logits: no softmax, so the gradient does not vanish when the target is confident.
    """
    rivals = logits.scatter(1, labels[:, None], -torch.inf)
    return rivals.amax(dim=1) - own_logit(logits, labels)


def poincare(logits: Tensor, labels: Tensor, margin: float = 1e-4) -> Tensor:
    """Distance in the Poincare ball from l / |l|_1 to the label's corner, drawn in by `margin`.

    arccosh(1 + 2 |u - v|^2 / ((1 - |u|^2)(1 - |v|^2))), the identity loss of PPA (Struppek et al.,
    ICML 2022) and an option of PLG-MI. In float64. Logits that say one class alone lie on the rim,
    where the official code divides by zero: u is kept `margin` away from it, too.
    """
    u = logits.double() / logits.double().norm(p=1, dim=1, keepdim=True).clamp(min=1e-12)
    v = (F.one_hot(labels, logits.shape[1]).double() - margin).clamp(0, 1)
    inside = (1 - u.square().sum(dim=1)).clamp(min=margin)
    gap = 2 * (u - v).square().sum(dim=1) / (inside * (1 - v.square().sum(dim=1)))
    # arccosh(1 + x) with a gradient at x = 0 that is large, not infinite.
    distance = torch.log1p(gap + torch.sqrt(gap * (gap + 2) + 1e-12))
    return distance.to(logits.dtype)


IDENTITY = {
    "ce": cross_entropy,
    "margin": max_margin,
    "poincare": poincare,
    "logit": minus_logit,
}
"""By the name that a block gives it."""
