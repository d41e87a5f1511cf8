"""A variational autoencoder beside a GAN, so that few steps give recognisable faces.

The generator learns to decode real images as well as to please the critic (VAE-GAN: Larsen et al.,
ICML 2016; the VAE: Kingma and Welling, 2014). No paper on model inversion does this: it is a named
option of the training of priors, for small machines, and off in the paper profile.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from trapmid.config.bounds import Count, Natural, NonNegative, Positive
from trapmid.runtime import Runtime
from trapmid.types import Stateful

Decode = Callable[[Tensor], Tensor]
"""Latents (N, Z) -> images (N, 3, S, S)."""


@dataclass(frozen=True, kw_only=True)
class VaeGan:
    """How the autoencoder is trained.

    The loss is |x - G(E(x))|^2 / (2 sigma^2) + KL(E(x) || N(0, I)), summed over pixels and latents.
    """

    alone: Natural  # steps before the critic joins, counted as the prior's training counts them
    lr: Positive  # of encoder and generator while they are alone
    weight: NonNegative  # of the autoencoder's loss beside the adversarial one, later
    sigma: Positive  # standard deviation of a pixel around its reconstruction
    width: Count  # of the encoder's first layer


class VaeGanTraining:
    """The autoencoder's side of one GAN training: its encoder, its optimisers, its steps."""

    def __init__(
        self, vae_gan: VaeGan, generator: nn.Module, image_size: int, latent_dim: int, rt: Runtime
    ) -> None:
        self._block, self._rt = vae_gan, rt
        with rt.seeded("anchor"):
            self._encoder = rt.place(Encoder(image_size, latent_dim, vae_gan.width))
        self._for_encoder = torch.optim.Adam(self._encoder.parameters(), lr=vae_gan.lr)
        self._for_generator = torch.optim.Adam(generator.parameters(), lr=vae_gan.lr)

    def alone(self, step: int) -> bool:
        """Whether the critic still waits at this generator step."""
        return step < self._block.alone

    def loss(self, decode: Decode, images: Tensor) -> Tensor:
        """The mean loss of images (N, 3, S, S) in [0, 1]; noise from torch's global generator."""
        with self._rt.autocast():
            mean, log_variance = self._encoder(images).float().chunk(2, dim=1)
            noise = torch.randn(mean.shape).to(mean.device)
            decoded = decode(mean + noise * torch.exp(0.5 * log_variance)).float()
        error = (decoded - images).square().flatten(1).sum(dim=1) / (2 * self._block.sigma**2)
        divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(dim=1)
        mean_loss: Tensor = (error + divergence).mean()
        return mean_loss

    def step_alone(self, decode: Decode, images: Tensor) -> Tensor:
        """One step of encoder and generator without the critic; returns the loss."""
        loss = self.loss(decode, images)
        for optimizer in (self._for_encoder, self._for_generator):
            optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self._for_generator.step()
        self._for_encoder.step()
        return loss.detach()

    def pull(self, decode: Decode, images: Tensor) -> Tensor:
        """The weighted loss to add to the generator's; the encoder moves in `step_encoder`."""
        self._for_encoder.zero_grad(set_to_none=True)
        return self._block.weight * self.loss(decode, images)

    def step_encoder(self) -> None:
        """Moves the encoder along the gradient that the generator's backward pass left."""
        self._for_encoder.step()

    def state_dict(self) -> dict[str, Any]:
        return {name: part.state_dict() for name, part in self._parts().items()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        for name, part in self._parts().items():
            part.load_state_dict(state_dict[name])

    def _parts(self) -> dict[str, Stateful]:
        return {
            "encoder": self._encoder,
            "for_encoder": self._for_encoder,
            "for_generator": self._for_generator,
        }


def begin(
    vae_gan: VaeGan | None, generator: nn.Module, image_size: int, latent_dim: int, rt: Runtime
) -> VaeGanTraining | None:
    """The autoencoder's side of a training that may have none."""
    if vae_gan is None:
        return None
    return VaeGanTraining(vae_gan, generator, image_size, latent_dim, rt)


def backward(beside: VaeGanTraining | None, loss: Tensor, decode: Decode, images: Tensor) -> None:
    """The gradient of the generator's `loss`, and of the autoencoder's if one is trained beside it.

    The encoder moves at once; the generator's optimiser is left to the caller.
    """
    if beside is None:
        loss.backward()
        return
    (loss + beside.pull(decode, images)).backward()
    beside.step_encoder()


class Encoder(nn.Module):
    """(N, 3, S, S) -> (N, 2 Z): means and log-variances of the latents."""

    def __init__(self, image_size: int, latent_dim: int, width: int) -> None:
        super().__init__()
        widths = (3, width, 2 * width, 4 * width)
        layers: list[nn.Module] = []
        for inside, outside in itertools.pairwise(widths):
            conv = nn.Conv2d(inside, outside, 4, stride=2, padding=1)
            layers += [conv, nn.BatchNorm2d(outside), nn.LeakyReLU(0.2)]
        flat = widths[-1] * (image_size // 8) ** 2
        self.body = nn.Sequential(*layers, nn.Flatten(), nn.Linear(flat, 2 * latent_dim))

    def forward(self, images: Tensor) -> Tensor:
        encoded: Tensor = self.body(images)
        return encoded
