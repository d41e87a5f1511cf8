"""What makes a search for triggers cheaper than the paper's.

Trap-MID steps triggers, discriminator and model on every batch: 16 forward passes' worth of work,
against 3 without a defence. Its appendix A.2.2 leaves a cheaper search to future work.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from trapmid.types import Progress


@dataclass(frozen=True, kw_only=True)
class Savings:
    """Each field has a value that saves nothing, the paper's procedure; they combine."""

    free: bool
    """Triggers move by the gradient of the model's own backward pass, as the perturbations of
    "free" adversarial training (Shafahi et al., NeurIPS 2019); false: by a pass of their own."""
    discriminator_width: int | None  # of a small discriminator; None: the target's network
    every: int
    """Steps from one pass for discriminators and triggers to the next; 1: every step. Free triggers
    move at every step, and hide at these."""
    frozen_after: float | None
    """The triggers stay from the epoch on before which at least this share of an epoch's poisoned
    training images were classified as their triggers; None: `until` alone decides."""

    def are_due(self, progress: Progress) -> bool:
        """Whether this step has the passes of discriminators and triggers; epochs count on."""
        return (progress.epoch * progress.steps + progress.step) % self.every == 0


NO_SAVINGS = Savings(free=False, discriminator_width=None, every=1, frozen_after=None)


class Convergence(nn.Module):
    """Whether the triggers of an epoch worked well enough to stay from then on.

    Args:
        share: of poisoned training images that are classified as their triggers, in [0, 1].
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self._share = share
        self._reached, self._epoch, self._steps = False, 0, 0
        self._sum = torch.zeros(())

    def reached(self, epoch: int) -> bool:
        """Whether an epoch before `epoch` got there; one device synchronisation an epoch."""
        if epoch != self._epoch:
            mean = float(self._sum) / self._steps if self._steps else 0.0
            self._reached = self._reached or (self._steps > 0 and mean >= self._share)
            self._epoch, self._steps, self._sum = epoch, 0, torch.zeros(())
        return self._reached

    def add(self, success: Tensor) -> None:
        """Counts a step of the epoch that `reached` was asked about: its rate, a scalar."""
        self._sum, self._steps = self._sum.to(success.device) + success.detach(), self._steps + 1

    def get_extra_state(self) -> dict[str, Any]:
        """What a resumed training needs: numbers alone."""
        numbers = {"reached": self._reached, "epoch": self._epoch, "steps": self._steps}
        return {**numbers, "sum": float(self._sum)}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Puts such a state back."""
        self._reached, self._epoch, self._steps = state["reached"], state["epoch"], state["steps"]
        self._sum = torch.tensor(state["sum"])
