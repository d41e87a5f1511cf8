"""GMI's public prior: a WGAN-GP that never sees a target (Zhang et al., CVPR 2020).

Trained once and shared by every attack that wants a target-independent prior.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from trapmid import types
from trapmid.fit import to_float
from trapmid.gan import Passes, gradient_penalty
from trapmid.nets import dcgan
from trapmid.runtime import Runtime, frozen, stream_seed
from trapmid.types import Keep, Target


class Prior(types.Prior):
    """Unconditional: labels are ignored. Images are in [0, 1]."""

    def __init__(self, latent_dim: int, image_size: int, width: int) -> None:
        super().__init__()
        self.latent_dim, self.num_classes = latent_dim, 1
        self.generator = dcgan.Generator(latent_dim, image_size, width)
        self.critic = dcgan.Critic(image_size, width)

    def forward(self, latents: Tensor, labels: Tensor) -> Tensor:
        del labels
        images: Tensor = self.generator(latents)
        return images

    def realism(self, images: Tensor, labels: Tensor) -> Tensor:
        del labels
        score: Tensor = self.critic(images)
        return score


@dataclass(frozen=True, kw_only=True)
class Recipe(types.PriorRecipe):
    latent_dim: int
    width: int
    steps: int  # of the critic
    critic_steps: int  # per step of the generator
    batch_size: int
    lr: float
    betas: tuple[float, float]
    penalty: float
    precision: Literal["fp32", "bf16"]
    keep_every: int

    def make(self, image_size: int, num_classes: int) -> Prior:
        del num_classes
        return Prior(self.latent_dim, image_size, self.width)

    def fit(
        self, prior: types.Prior, public: Tensor, target: Target | None, rt: Runtime, keep: Keep
    ) -> None:
        assert isinstance(prior, Prior)
        if target is not None:
            raise ValueError("recipe: gmi learns without a target; name it in public_priors")
        generator, critic = prior.generator.train(), prior.critic.train()
        adam = {"lr": self.lr, "betas": self.betas}
        for_g = torch.optim.Adam(generator.parameters(), **adam)  # type: ignore[arg-type]
        for_d = torch.optim.Adam(critic.parameters(), **adam)  # type: ignore[arg-type]
        parts = {"prior": prior, "for_g": for_g, "for_d": for_d}
        passes = Passes(len(public), self.batch_size, stream_seed(rt.seed, "gmi", "batches"))

        for step in range(keep.restore(parts), self.steps):
            real = to_float(public[passes.batch(step)].to(rt.device))
            with rt.seeded("gmi", step):
                with torch.no_grad():
                    fake = generator(self._latents(len(real), rt))
                gap = critic(real).mean() - critic(fake).mean()
                penalty = gradient_penalty(critic, real, fake).mean()
                for_d.zero_grad(set_to_none=True)
                (self.penalty * penalty - gap).backward()
                for_d.step()
                if (step + 1) % self.critic_steps == 0:
                    with frozen(critic):
                        loss = -critic(generator(self._latents(len(real), rt))).mean()
                    for_g.zero_grad(set_to_none=True)
                    loss.backward()
                    for_g.step()
            if (step + 1) % max(1, self.steps // 100) == 0:
                curve = {"wasserstein_gap": gap.item(), "gradient_penalty": penalty.item()}
                keep.log(curve, step + 1)
                keep.progress(step + 1, self.steps)
            if (step + 1) % self.keep_every == 0 and step + 1 < self.steps:
                keep.save(parts, step + 1)
        prior.eval()

    def _latents(self, n: int, rt: Runtime) -> Tensor:
        return torch.randn(n, self.latent_dim).to(rt.device)
