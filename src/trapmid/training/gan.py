"""Shared parts of GAN trainings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from trapmid.types import Checkpointer, check_finite


def gradient_penalty(critic: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
    """WGAN-GP's (|grad| - 1)^2 at random points between real and fake images, (N,).

    Gulrajani et al. (NeurIPS 2017), eq. 3; the points are drawn from torch's global generator.
    """
    share = torch.rand(len(real)).to(real.device)[:, None, None, None]
    points = (real + share * (fake - real)).requires_grad_(True)
    (slope,) = torch.autograd.grad(critic(points).sum(), points, create_graph=True)
    penalty: Tensor = (slope.flatten(1).norm(dim=1) - 1) ** 2
    return penalty


def log_losses(
    checkpointer: Checkpointer, losses: Mapping[str, Tensor], step: int, steps: int
) -> None:
    """Logs the losses of a 0-based `step` if it is one of the hundred that a curve is made of.

    Not of every step: to read a number is to wait for the device.

    Raises:
        DivergedError: one of them is not finite.
    """
    if (step + 1) % max(1, steps // 100) == 0:
        curve = {name: loss.item() for name, loss in losses.items()}
        check_finite(curve, f"step {step + 1} of {steps}")
        checkpointer.log(curve, step + 1)


class Passes:
    """Indices 0..n-1 without replacement, pass after pass, in batches of `size`.

    Stateless: batch `i` is a function of the seed and of `i` alone, so a resumed training sees the
    batches that an undisturbed one would have seen.
    """

    def __init__(self, n: int, size: int, seed: int) -> None:
        self._n, self._size, self._seed = n, min(size, n), seed
        self._pass = -1
        self._order = torch.empty(0, dtype=torch.int64)

    def batch(self, index: int) -> Tensor:
        """(size,) int64; a pass drops its last, partial batch."""
        per_pass = self._n // self._size
        number, position = divmod(index, per_pass)
        return self._order_of(number)[position * self._size : (position + 1) * self._size]

    def _order_of(self, number: int) -> Tensor:
        if number != self._pass:
            generator = torch.Generator().manual_seed(self._seed + number)
            self._order = torch.randperm(self._n, generator=generator)
            self._pass = number
        return self._order


class EndlessPasses(Passes):
    """Such passes as one endless row, cut into batches: no image is left out of any pass.

    A batch that runs across the border of two passes may hold an image twice, and one that is
    larger than the data does.
    """

    def __init__(self, n: int, size: int, seed: int) -> None:
        super().__init__(n, size, seed)
        self._size = size

    def batch(self, index: int) -> Tensor:
        """(size,) int64."""
        parts, at, left = [], index * self._size, self._size
        while left > 0:
            number, position = divmod(at, self._n)
            parts.append(self._order_of(number)[position : position + left])
            at, left = at + len(parts[-1]), left - len(parts[-1])
        return torch.cat(parts)


class Average:
    """An exponential moving average of a network's weights and buffers; decay 0 is the network."""

    def __init__(self, network: nn.Module, decay: float) -> None:
        self._decay = decay
        self._weights = {k: v.detach().clone() for k, v in network.state_dict().items()}

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        if self._decay == 0:
            return
        for name, value in network.state_dict().items():
            if value.is_floating_point():
                self._weights[name].lerp_(value, 1 - self._decay)
            else:
                self._weights[name].copy_(value)

    def copy_to(self, network: nn.Module) -> None:
        if self._decay > 0:
            network.load_state_dict(self._weights)

    def state_dict(self) -> dict[str, Any]:
        return self._weights

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        for name, weight in self._weights.items():
            weight.copy_(state_dict[name])  # saved on the CPU; the average lives with its network
