"""KED-MI's prior: a GAN whose discriminator knows the target's classes (Chen et al., ICCV 2021).

Section 3.2: the discriminator learns the target's soft labels of public images beside real and
fake; the generator matches its features and makes images that belong to few classes.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from trapmid import types
from trapmid.config.bounds import Count, Momentum, Natural, NonNegative, Positive
from trapmid.nets import dcgan
from trapmid.nets.minibatch import ClassDiscriminator
from trapmid.runtime import Precision, Runtime, frozen, stream_seed
from trapmid.training.fit import to_float
from trapmid.training.gan import Passes, log_losses
from trapmid.types import Checkpointer, Features, Saving, SideInformation, Stateful, Target


class Prior(types.BlockPrior):
    """Its images know no class: labels are ignored. They are in [0, 1]."""

    def __init__(self, latent_dim: int, num_classes: int, image_size: int, width: int) -> None:
        super().__init__()
        self.latent_dim, self.num_classes = latent_dim, num_classes
        self.generator = dcgan.Generator(latent_dim, image_size, width)
        self.num_blocks = self.generator.num_blocks
        self.discriminator = ClassDiscriminator(num_classes, image_size, width)

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
        """log of the probability of being real, e^l / (1 + e^l) with l = log-sum-exp of D."""
        del labels
        return -F.softplus(-self.discriminator(images).logsumexp(dim=1))

    def adversarial_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """The mean of -log real(real) plus that of -log(1 - real(fake)), a scalar."""
        on_real = self.discriminator(real).float().logsumexp(dim=1)
        on_fake = self.discriminator(fake).float().logsumexp(dim=1)
        return F.softplus(-on_real).mean() + F.softplus(on_fake).mean()

    def start_from(self, state: Mapping[str, Tensor]) -> None:
        """Takes an earlier prior of this kind, or the generator of GMI's; its critic is no use."""
        if not any(name.startswith("discriminator.") for name in state):
            own = self.discriminator.state_dict(prefix="discriminator.")
            kept = {name: v for name, v in state.items() if not name.startswith("critic.")}
            state = {**kept, **own}
        super().start_from(state)


@dataclass(frozen=True, kw_only=True)
class Training(types.PriorTraining):
    latent_dim: Count
    width: Count
    steps: Natural  # of the discriminator; 0: the prior is taken as `init` gives it
    critic_steps: Count  # per step of the generator
    batch_size: Count
    lr_generator: Positive
    lr_critic: Positive
    betas: tuple[Momentum, Momentum]
    entropy_weight: NonNegative  # of the fake labels' entropy, summed over the batch
    target_mode: Literal["train", "eval"]  # of the target that labels; official: train
    precision: Precision
    keep_every: Count

    def make(self, image_size: int, num_classes: int) -> Prior:
        return Prior(self.latent_dim, num_classes, image_size, self.width)

    def fit(
        self,
        prior: types.Prior,
        public: Tensor,
        target: Target | None,
        side_information: SideInformation,
        rt: Runtime,
        checkpointer: Checkpointer,
    ) -> None:
        """As `types.PriorTraining.fit`; the target itself stays as it is, in both modes."""
        del side_information
        assert isinstance(prior, Prior)
        queried_model = self._labelling(target)
        generator, discriminator = prior.generator.train(), prior.discriminator.train()
        for_g = torch.optim.Adam(generator.parameters(), lr=self.lr_generator, betas=self.betas)
        for_d = torch.optim.Adam(discriminator.parameters(), lr=self.lr_critic, betas=self.betas)
        parts: dict[str, Stateful] = {
            "prior": prior,
            "queried_model": queried_model,
            "for_g": for_g,
            "for_d": for_d,
        }
        labelled, real, matched = (
            Passes(len(public), self.batch_size, stream_seed(rt.seed, "kedmi", name))
            for name in ("labelled", "real", "matched")
        )

        def images(passes: Passes, step: int) -> Tensor:
            return to_float(public[passes.batch(step)].to(rt.device))

        for step in Saving(checkpointer, self.keep_every).steps(parts, self.steps):
            with rt.seeded("kedmi", step), rt.autocast():
                x = images(labelled, step)
                with torch.no_grad():
                    soft = queried_model(x).logits.float().softmax(dim=1)
                curve = self._discriminator_step(prior, x, soft, images(real, step), for_d, rt)
                if (step + 1) % self.critic_steps == 0:
                    self._generator_step(prior, images(matched, step), for_g, rt)
            log_losses(checkpointer, curve, step, self.steps)
        prior.eval()

    def _labelling(self, target: Target | None) -> Target:
        """A copy of the target, to label public images.

        In train mode it does so with the statistics of their batch, active dropout, and running
        statistics that drift, as in every published result.
        """
        if target is None:
            raise ValueError("training: kedmi learns from a target; name it in guided_priors")
        queried_model = copy.deepcopy(target).requires_grad_(False)
        return queried_model.train(self.target_mode == "train")

    def _discriminator_step(
        self,
        prior: Prior,
        labelled: Tensor,
        soft: Tensor,
        real: Tensor,
        optimizer: torch.optim.Optimizer,
        rt: Runtime,
    ) -> dict[str, Tensor]:
        """CE with soft labels + (-log real(real) - log(1 - real(fake))) / 2."""
        with torch.no_grad():
            fake = prior.generator(self._latents(len(real), rt))
        own = prior.discriminator(labelled).float().log_softmax(dim=1)
        supervised = -(soft * own).sum(dim=1).mean()
        adversarial = prior.adversarial_loss(real, fake)
        optimizer.zero_grad(set_to_none=True)
        (supervised + 0.5 * adversarial).backward()
        optimizer.step()
        return {"supervised": supervised.detach(), "adversarial": adversarial.detach()}

    def _generator_step(
        self, prior: Prior, real: Tensor, optimizer: torch.optim.Optimizer, rt: Runtime
    ) -> None:
        """Mean features like those of real images, and labels of little entropy."""
        discriminator = prior.discriminator
        with frozen(discriminator):
            fake = prior.generator(self._latents(len(real), rt))
            with torch.no_grad():
                mean_of_real = discriminator.features(real).float().mean(dim=0)
            flat = discriminator.features(fake)
            matching = (flat.float().mean(dim=0) - mean_of_real).abs().mean()
            log_p = discriminator.classify(flat).float().log_softmax(dim=1)
            entropy = -(log_p.exp() * log_p).sum()
            loss = matching + self.entropy_weight * entropy
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    def _latents(self, n: int, rt: Runtime) -> Tensor:
        return torch.randn(n, self.latent_dim).to(rt.device)
