"""PLG-MI's prior: a conditional GAN on public images that the target labelled (AAAI 2023).

Yuan et al.: pseudo-labels by top-n selection (sec. 3.2), a projection GAN trained with a hinge loss
and a max-margin loss through the target (sec. 3.3). Without a target all public images
are one class: the target-independent start that `init` of a guided prior may name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from trapmid import losses, types
from trapmid.augment import PlgView
from trapmid.config.bounds import Count, Momentum, Natural, NonNegative, Positive
from trapmid.nets import snresnet
from trapmid.runtime import Precision, Runtime, eval_mode, frozen, stream_seed
from trapmid.training import vae_gan
from trapmid.training.fit import to_float
from trapmid.training.gan import Average, EndlessPasses, log_losses
from trapmid.training.pseudo_labels import top_n
from trapmid.training.signatures import Adaptive
from trapmid.training.vae_gan import VaeGan, VaeGanTraining
from trapmid.types import (
    Checkpointer,
    Features,
    Loss,
    Output,
    Saving,
    SideInformation,
    Stateful,
    Target,
)


class Prior(types.BlockPrior):
    """Class-conditional. Images are the raw tanh output and may be slightly negative."""

    def __init__(self, latent_dim: int, num_classes: int, image_size: int, width: int) -> None:
        super().__init__()
        self.latent_dim, self.num_classes = latent_dim, num_classes
        self.generator = snresnet.Generator(latent_dim, num_classes, image_size, width)
        self.num_blocks = self.generator.num_blocks
        self.critic = snresnet.ProjectionDiscriminator(num_classes, image_size, width)

    def forward(self, latents: Tensor, labels: Tensor) -> Tensor:
        images: Tensor = self.generator(latents, labels)
        return images

    def codes(self, latents: Tensor) -> Tensor:
        return latents

    def block(
        self, number: int, before: Features | None, codes: Tensor, labels: Tensor
    ) -> Features:
        return self.generator.block(number, before, codes, labels)

    def shown(self, last: Features) -> Tensor:
        return last.maps

    def realism(self, images: Tensor, labels: Tensor) -> Tensor:
        score: Tensor = self.critic(images, labels)
        return score


@dataclass(frozen=True, kw_only=True)
class Training(types.PriorTraining):
    latent_dim: Count
    width: Count
    top_n: Count
    steps: Natural  # of the generator; 0: the prior is taken as `init` gives it
    critic_steps: Count  # per step of the generator
    batch_size: Count
    lr_generator: Positive
    lr_critic: Positive
    betas: tuple[Momentum, Momentum]
    alpha: NonNegative  # weight of the inversion loss
    identity_loss: str
    noise: NonNegative  # uniform noise added to real images: dequantisation
    view: PlgView
    view_noise: NonNegative  # deviation of Gaussian noise on the views; official: 0
    adaptive: Adaptive | None  # the terms of PLG-MI+ and ++; official PLG-MI: none
    vae_gan: VaeGan | None  # an autoencoder beside the GAN; official: none
    ema: Momentum  # decay of the averaged generator that is kept; 0 keeps the last one (official)
    precision: Precision
    keep_every: Count

    def __post_init__(self) -> None:
        if self.identity_loss not in losses.IDENTITY:
            known = ", ".join(losses.IDENTITY)
            raise ValueError(f"identity_loss: {self.identity_loss!r} is not one of {known}")

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
        assert isinstance(prior, Prior)
        if self.adaptive is not None:
            self.adaptive.check(side_information)
        reals = self._reals(public, target, rt)
        generator, critic = prior.generator.train(), prior.critic.train()
        averaged = Average(generator, self.ema)
        for_g = torch.optim.Adam(generator.parameters(), lr=self.lr_generator, betas=self.betas)
        for_d = torch.optim.Adam(critic.parameters(), lr=self.lr_critic, betas=self.betas)
        parts: dict[str, Stateful] = {
            "prior": prior,
            "for_g": for_g,
            "for_d": for_d,
            "averaged": averaged,
        }
        beside = vae_gan.begin(self.vae_gan, generator, public.shape[-1], self.latent_dim, rt)
        if beside is not None:
            parts["vae_gan_training"] = beside

        for step in Saving(checkpointer, self.keep_every).steps(parts, self.steps):
            with rt.seeded("plgmi", step):
                if beside is not None and beside.alone(step):
                    images, classes = reals(step)
                    decode = partial(generator, labels=classes)
                    curve = {"vae_gan": beside.step_alone(decode, images)}
                else:
                    curve = self._generator_step(
                        prior, target, side_information, for_g, beside, reals(step), rt
                    )
                    for turn in range(self.critic_steps):
                        batch = reals(step * self.critic_steps + turn)
                        curve["critic_hinge"] = self._critic_step(prior, *batch, for_d, rt)
                averaged.update(generator)
            log_losses(checkpointer, curve, step, self.steps)
        averaged.copy_to(generator)
        prior.critic.settle()  # a start from one class, where no step was taken
        prior.eval()

    def _reals(
        self, public: Tensor, target: Target | None, rt: Runtime
    ) -> Callable[[int], tuple[Tensor, Tensor]]:
        """Makes batch after batch of public images (B, 3, S, S) and their pseudo-labels (B,)."""
        if target is None:
            chosen, labels = torch.arange(len(public)), torch.zeros(len(public), dtype=torch.int64)
        else:
            chosen, labels = top_n(target, public, self.top_n, rt)
        seed = stream_seed(rt.seed, "plgmi", "batches")
        passes = EndlessPasses(len(chosen), self.batch_size, seed)

        def batch(index: int) -> tuple[Tensor, Tensor]:
            picked = passes.batch(index)
            return to_float(public[chosen[picked]].to(rt.device)), labels[picked].to(rt.device)

        return batch

    def _generator_step(
        self,
        prior: Prior,
        target: Target | None,
        side_information: SideInformation,
        optimizer: torch.optim.Optimizer,
        beside: VaeGanTraining | None,
        reals: tuple[Tensor, Tensor],
        rt: Runtime,
    ) -> dict[str, Tensor]:
        queried = () if target is None else (target,)
        with frozen(prior.critic, *queried), eval_mode(*queried), rt.autocast():
            total, parts = self._generator_loss(prior, target, side_information, rt)
        optimizer.zero_grad(set_to_none=True)
        images, classes = reals
        vae_gan.backward(beside, total, partial(prior.generator, labels=classes), images)
        optimizer.step()
        return parts

    def _generator_loss(
        self, prior: Prior, target: Target | None, side_information: SideInformation, rt: Runtime
    ) -> Loss:
        """Of a fresh batch: what the critic says and, where a target is asked, what that says."""
        latents, labels = self._draw(prior, rt)
        fake = prior(latents, labels)
        total = -prior.realism(fake, labels).float().mean()
        parts = {"adversarial": total.detach()}
        if target is None:
            return Loss(total, parts)
        output = self._answer(target, fake.float(), rt)
        inversion = losses.IDENTITY[self.identity_loss](output.logits.float(), labels)
        parts["inversion"] = inversion.detach().mean()
        total = total + self.alpha * inversion.mean()
        if self.adaptive is not None:
            adaptive = self.adaptive(output, labels, side_information).mean()
            parts["signatures"] = adaptive.detach()
            total = total + adaptive
        return Loss(total, parts)

    def _answer(self, target: Target, images: Tensor, rt: Runtime) -> Output:
        """What the target makes of one random view of each image (N, 3, S, S)."""
        views = self.view(
            images,
            torch.rand(len(images), PlgView.DRAWS).to(rt.device),
            torch.rand(PlgView.ORDERS).expand(len(images), -1).to(rt.device),
        )
        if self.view_noise > 0:
            views = views + self.view_noise * torch.randn(views.shape).to(rt.device)
        output: Output = target(views)
        return output

    def _critic_step(
        self,
        prior: Prior,
        real: Tensor,
        labels: Tensor,
        optimizer: torch.optim.Optimizer,
        rt: Runtime,
    ) -> Tensor:
        real = real + self.noise * torch.rand(real.shape).to(rt.device)
        with rt.autocast():
            hinge = self._hinge(prior, real, labels, rt)
        optimizer.zero_grad(set_to_none=True)
        hinge.backward()
        optimizer.step()
        return hinge.detach()

    def _hinge(self, prior: Prior, real: Tensor, labels: Tensor, rt: Runtime) -> Tensor:
        with torch.no_grad():
            latents, others = self._draw(prior, rt)
            fake = prior(latents, others)
        # The official order: every forward moves the critic's spectral norms by one iteration.
        on_fake = prior.realism(fake, others).float()
        on_real = prior.realism(real, labels).float()
        return F.relu(1 - on_real).mean() + F.relu(1 + on_fake).mean()

    def _draw(self, prior: Prior, rt: Runtime) -> tuple[Tensor, Tensor]:
        latents = torch.randn(self.batch_size, self.latent_dim).to(rt.device)
        labels = torch.randint(prior.num_classes, (self.batch_size,)).to(rt.device)
        return latents, labels
