"""GMI's public prior: a WGAN-GP that never sees a target (Zhang et al., CVPR 2020).

Trained once and shared by every attack that wants a target-independent prior.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from trapmid import types
from trapmid.config.bounds import Count, Momentum, Natural, NonNegative, Positive
from trapmid.nets import dcgan
from trapmid.runtime import Precision, Runtime, frozen, stream_seed
from trapmid.training import vae_gan
from trapmid.training.fit import to_float
from trapmid.training.gan import Passes, gradient_penalty, log_losses
from trapmid.training.vae_gan import VaeGan, VaeGanTraining
from trapmid.types import Checkpointer, Features, Saving, SideInformation, Stateful, Target


class Prior(types.BlockPrior):
    """Unconditional: labels are ignored. Images are in [0, 1]."""

    def __init__(self, latent_dim: int, image_size: int, width: int) -> None:
        super().__init__()
        self.latent_dim, self.num_classes = latent_dim, 1
        self.generator = dcgan.Generator(latent_dim, image_size, width)
        self.num_blocks = self.generator.num_blocks
        self.critic = dcgan.Critic(image_size, width)

    def forward(self, latents: Tensor, labels: Tensor) -> Tensor:
        del labels
        images: Tensor = self.generator(latents)
        return images

    def codes(self, latents: Tensor) -> Tensor:
        return latents

    def block(
        self, number: int, before: Features | None, codes: Tensor, labels: Tensor
    ) -> Features:
        del labels
        return self.generator.block(number, before, codes)

    def shown(self, last: Features) -> Tensor:
        return last.maps

    def realism(self, images: Tensor, labels: Tensor) -> Tensor:
        del labels
        score: Tensor = self.critic(images)
        return score


@dataclass(frozen=True, kw_only=True)
class Training(types.PriorTraining):
    latent_dim: Count
    width: Count
    steps: Natural  # of the critic; 0: the prior is taken as `init` gives it
    critic_steps: Count  # per step of the generator
    batch_size: Count
    lr: Positive
    betas: tuple[Momentum, Momentum]
    penalty: NonNegative
    vae_gan: VaeGan | None  # an autoencoder beside the GAN; official: none
    precision: Precision  # of the autoencoder's steps; the WGAN itself always learns in fp32
    keep_every: Count

    def __post_init__(self) -> None:
        if self.vae_gan is None and self.precision != "fp32":
            raise ValueError(
                f"precision: {self.precision} changes nothing without vae_gan: a WGAN-GP learns in "
                "fp32; say so"
            )

    def make(self, image_size: int, num_classes: int) -> Prior:
        del num_classes
        return Prior(self.latent_dim, image_size, self.width)

    def fit(
        self,
        prior: types.Prior,
        public: Tensor,
        target: Target | None,
        side_information: SideInformation,
        rt: Runtime,
        checkpointer: Checkpointer,
    ) -> None:
        del side_information
        assert isinstance(prior, Prior)
        if target is not None:
            raise ValueError("training: gmi learns without a target; name it in public_priors")
        generator, critic = prior.generator.train(), prior.critic.train()
        adam = {"lr": self.lr, "betas": self.betas}
        for_g = torch.optim.Adam(generator.parameters(), **adam)  # type: ignore[arg-type]
        for_d = torch.optim.Adam(critic.parameters(), **adam)  # type: ignore[arg-type]
        parts: dict[str, Stateful] = {"prior": prior, "for_g": for_g, "for_d": for_d}
        passes = Passes(len(public), self.batch_size, stream_seed(rt.seed, "gmi", "batches"))
        beside = vae_gan.begin(self.vae_gan, generator, public.shape[-1], self.latent_dim, rt)
        if beside is not None:
            parts["vae_gan_training"] = beside

        for step in Saving(checkpointer, self.keep_every).steps(parts, self.steps):
            real = to_float(public[passes.batch(step)].to(rt.device))
            with rt.seeded("gmi", step):
                if beside is not None and beside.alone(step):
                    curve = {"vae_gan": beside.step_alone(generator, real)}
                else:
                    curve = self._critic_step(prior, real, for_d, rt)
                    if (step + 1) % self.critic_steps == 0:
                        self._generator_step(prior, real, for_g, beside, rt)
            log_losses(checkpointer, curve, step, self.steps)
        prior.eval()

    def _critic_step(
        self, prior: Prior, real: Tensor, optimizer: torch.optim.Optimizer, rt: Runtime
    ) -> dict[str, Tensor]:
        with torch.no_grad():
            fake = prior.generator(self._latents(len(real), rt))
        gap = prior.critic(real).mean() - prior.critic(fake).mean()
        penalty = gradient_penalty(prior.critic, real, fake).mean()
        optimizer.zero_grad(set_to_none=True)
        (self.penalty * penalty - gap).backward()
        optimizer.step()
        return {"wasserstein_gap": gap.detach(), "gradient_penalty": penalty.detach()}

    def _generator_step(
        self,
        prior: Prior,
        real: Tensor,
        optimizer: torch.optim.Optimizer,
        beside: VaeGanTraining | None,
        rt: Runtime,
    ) -> None:
        with frozen(prior.critic):
            loss = -prior.critic(prior.generator(self._latents(len(real), rt))).mean()
        optimizer.zero_grad(set_to_none=True)
        vae_gan.backward(beside, loss, prior.generator, real)
        optimizer.step()

    def _latents(self, n: int, rt: Runtime) -> Tensor:
        return torch.randn(n, self.latent_dim).to(rt.device)
