"""A StyleGAN2 of public faces (Karras et al., CVPR 2020), which no target guides.

Asked for `candidates`, it keeps beside its weights which of a pool of latents a target prefers.
Beside latents z it has style codes w, one for every layer: what PPA searches.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from trapmid import types
from trapmid.augment import flip
from trapmid.config.bounds import (
    Count,
    Momentum,
    Natural,
    NonNegative,
    Positive,
    PositiveShare,
    Share,
)
from trapmid.nets import stylegan2
from trapmid.nets.stylegan2_critic import Critic
from trapmid.runtime import Precision, Runtime, frozen, stream_seed
from trapmid.search.candidates import Candidates
from trapmid.training.fit import to_float
from trapmid.training.gan import Average, EndlessPasses, log_losses
from trapmid.types import Checkpointer, Features, Saving, SideInformation, Stateful, Target

_ASKED = ("pool", "order")  # what a target was asked, and its answer


class Prior(types.StylePrior, types.BlockPrior):
    """Draws the same for every label.

    Images of latents are in [0, 1]; those of style codes and of blocks about so, and not clipped.
    """

    pool: Tensor  # (P, Z) latents that a target was asked about
    order: Tensor  # (C, K) int64: of each class those of the pool that it prefers, the best first

    def __init__(
        self,
        size: stylegan2.Size,
        view: View,
        group: int | None,
        asked: Candidates | None,
        num_classes: int,
    ) -> None:
        """`group`: of the critic; None: there is none. `asked`: as `Training.candidates`."""
        super().__init__()
        self.size, self.latent_dim = size, size.z_dim
        self.num_classes = 1 if asked is None else num_classes
        self.num_styles, self.style_dim = size.num_styles, size.w_dim
        self.favourites = 0 if asked is None else asked.keep
        if asked is not None:
            self.truncation = asked.psi, asked.cutoff
            self.register_buffer("pool", torch.zeros(asked.pool, size.z_dim))
            order = torch.zeros(num_classes, asked.keep, dtype=torch.int64)
            self.register_buffer("order", order)
        self.view = view
        self.generator = stylegan2.Generator(size)
        self.num_blocks = len(size.resolutions())
        self.critic = None if group is None else Critic(size, group)

    def styles(self, latents: Tensor, psi: float, cutoff: int | None) -> Tensor:
        mapping = self.generator.mapping
        return mapping.truncate(mapping.repeated(mapping(latents)), psi, cutoff)

    def candidates(self, labels: Tensor, ranks: Tensor) -> Tensor:
        return self.styles(self.pool[self.order[labels, ranks]], *self.truncation)

    def paint(self, styles: Tensor) -> Tensor:
        images: Tensor = self.generator.synthesis(styles)
        return (self.view(images) + 1) / 2

    def paint_clipped(self, styles: Tensor) -> Tensor:
        images: Tensor = self.generator.synthesis(styles).clamp(-1, 1)
        return (self.view(images) + 1) / 2

    def codes(self, latents: Tensor) -> Tensor:
        """One style code for all layers, (N, W)."""
        codes: Tensor = self.generator.mapping(latents)
        return codes

    def block(
        self, number: int, before: Features | None, codes: Tensor, labels: Tensor
    ) -> Features:
        del labels
        return self.generator.synthesis.block(
            number, before, self.generator.mapping.repeated(codes)
        )

    def shown(self, last: Features) -> Tensor:
        assert last.painted is not None
        return (self.view(last.painted) + 1) / 2

    def realism(self, images: Tensor, labels: Tensor) -> Tensor:
        del labels
        if self.critic is None:
            return images.new_zeros(len(images))
        score: Tensor = self.critic(2 * images - 1)
        return score

    def start_from(self, state: Mapping[str, Tensor]) -> None:
        """As `types.Prior.start_from`; a prior without a critic leaves the file's where it is.

        What a target was asked is no part of a start.
        """
        if self.critic is None:
            state = {k: v for k, v in state.items() if not k.startswith("critic.")}
        networks = {k: v for k, v in state.items() if k not in _ASKED}
        own = {k: v for k, v in self.state_dict().items() if k in _ASKED}
        super().start_from(networks | own)


class View(NamedTuple):
    """What of a generated image (N, 3, G, G) is shown: the middle, at the size of the data."""

    side: int  # G' <= G pixels that are cut out of the middle
    size: int  # S

    def __call__(self, images: Tensor) -> Tensor:
        edge = (images.shape[-1] - self.side) // 2
        cut = images[:, :, edge : edge + self.side, edge : edge + self.side]
        if self.side == self.size:
            return cut
        return F.interpolate(
            cut, (self.size, self.size), mode="bilinear", align_corners=False, antialias=True
        )


@dataclass(frozen=True, kw_only=True)
class Training(types.PriorTraining):
    latent_dim: Count  # of z and of w
    base: Count  # channels at r pixels: base / r,
    most: Count  # at most so many
    layers: Count  # of the mapping
    clamp: Positive | None  # bound of what a convolution returns; 256 in NVIDIA's own trainings
    generated: Count | None  # pixels a side that the generator makes; null: as the data has
    crop: PositiveShare  # of that side, the middle, which is resized to the data's size
    critic: bool  # false: a generator alone, e.g. converted weights
    candidates: Candidates | None  # what a target is asked; null: no target is
    steps: Natural  # of critic and generator; 0: the start is the prior
    batch_size: Count
    lr: Positive
    betas: tuple[Momentum, Momentum]
    penalty: NonNegative  # gamma of R1
    penalty_every: Count  # steps; R1 is taken so much heavier there
    group: Count  # images whose deviation the critic sees; divides the batch
    mirror: Share  # of the real images
    half_life: Positive  # of the averaged generator that is kept, in images
    precision: Precision
    keep_every: Count

    def __post_init__(self) -> None:
        whole = self.critic and self.generated is None and self.crop == 1
        if self.steps and not (whole and self.candidates is None):
            raise ValueError(
                f"steps: {self.steps} need a critic, a generator of the data's size and no target: "
                "critic true, generated null, crop 1.0, candidates null; or take no step"
            )
        if self.steps and self.batch_size % self.group:
            raise ValueError(f"batch_size: {self.batch_size} is no multiple of group {self.group}")

    def make(self, image_size: int, num_classes: int) -> Prior:
        side = self.generated or image_size
        size = stylegan2.Size(
            image_size=side,
            z_dim=self.latent_dim,
            w_dim=self.latent_dim,
            base=self.base,
            most=self.most,
            layers=self.layers,
            clamp=self.clamp,
        )
        view = View(round(self.crop * side), image_size)
        group = self.group if self.critic else None
        return Prior(size, view, group, self.candidates, num_classes)

    def fit(
        self,
        prior: types.Prior,
        public: Tensor,
        target: Target | None,
        side_information: SideInformation,
        rt: Runtime,
        checkpointer: Checkpointer,
    ) -> None:
        """As `types.PriorTraining.fit`: non-saturating logistic loss, R1 (Mescheder et al., 2018).

        Without path length and without mixing of styles, as NVIDIA trains at 32 pixels.
        """
        del side_information
        assert isinstance(prior, Prior)
        if (target is None) != (self.candidates is None):
            raise ValueError(
                "candidates: are what a row of guided_priors asks its target, and null elsewhere"
            )
        if self.candidates is not None and target is not None:
            shape = self.candidates.pool, self.latent_dim
            prior.pool.copy_(torch.randn(shape, generator=rt.generator("style", "pool")))
            saving = Saving(checkpointer, self.keep_every)
            parts = prior.pool.split(self.batch_size)
            prior.order.copy_(self.candidates.order(prior, parts, target, rt, saving))
        elif self.steps:
            self._learn(prior, public, rt, checkpointer)
        prior.eval()

    def _learn(self, prior: Prior, public: Tensor, rt: Runtime, checkpointer: Checkpointer) -> None:
        assert prior.critic is not None
        generator, critic = prior.generator.train(), prior.critic.train()
        averaged = Average(generator, 0.5 ** (self.batch_size / self.half_life))
        for_g = torch.optim.Adam(generator.parameters(), lr=self.lr, betas=self.betas)
        for_d = torch.optim.Adam(critic.parameters(), **self._lazily())
        parts: dict[str, Stateful] = {
            "prior": prior,
            "for_g": for_g,
            "for_d": for_d,
            "averaged": averaged,
        }
        passes = EndlessPasses(
            len(public), self.batch_size, stream_seed(rt.seed, "style", "batches")
        )

        for step in Saving(checkpointer, self.keep_every).steps(parts, self.steps):
            real = to_float(public[passes.batch(step)].to(rt.device))
            with rt.seeded("style", step):
                curve = self._critic_step(generator, critic, self._scaled(real), for_d, rt)
                if step % self.penalty_every == 0:
                    self._penalty_step(critic, self._scaled(real), for_d)
                curve["generator"] = self._generator_step(generator, critic, for_g, rt)
            averaged.update(generator)
            log_losses(checkpointer, curve, step, self.steps)
        averaged.copy_to(generator)

    def _lazily(self) -> dict[str, Any]:
        """Adam's settings where every `penalty_every`-th step is followed by one of the penalty."""
        ratio = self.penalty_every / (self.penalty_every + 1)
        return {"lr": self.lr * ratio, "betas": tuple(beta**ratio for beta in self.betas)}

    def _critic_step(
        self,
        generator: stylegan2.Generator,
        critic: Critic,
        real: Tensor,
        optimizer: torch.optim.Optimizer,
        rt: Runtime,
    ) -> dict[str, Tensor]:
        with rt.autocast():
            with torch.no_grad():
                fake = self._fake(generator, rt)
            on_real, on_fake = critic(real).float(), critic(fake).float()
        loss = F.softplus(-on_real).mean() + F.softplus(on_fake).mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        return {"critic": loss.detach(), "real": on_real.detach().mean()}

    def _penalty_step(self, critic: Critic, real: Tensor, optimizer: torch.optim.Optimizer) -> None:
        real = real.requires_grad_(True)
        (slope,) = torch.autograd.grad(critic(real).sum(), real, create_graph=True)
        penalty = slope.square().sum(dim=(1, 2, 3)).mean()
        optimizer.zero_grad(set_to_none=True)
        (self.penalty_every * self.penalty / 2 * penalty).backward()
        optimizer.step()

    def _generator_step(
        self,
        generator: stylegan2.Generator,
        critic: Critic,
        optimizer: torch.optim.Optimizer,
        rt: Runtime,
    ) -> Tensor:
        with frozen(critic), rt.autocast():
            score = critic(self._fake(generator, rt)).float()
        loss = F.softplus(-score).mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        return loss.detach()

    def _fake(self, generator: stylegan2.Generator, rt: Runtime) -> Tensor:
        """Images in about [-1, 1] of fresh latents, with fresh noise."""
        mapping = generator.mapping
        codes = mapping(torch.randn(self.batch_size, self.latent_dim).to(rt.device))
        if torch.is_grad_enabled():
            mapping.follow(codes)
        images: Tensor = generator.synthesis(mapping.repeated(codes), "random")
        return images

    def _scaled(self, images: Tensor) -> Tensor:
        """Real images (N, 3, S, S) of [0, 1] as the critic takes them, some mirrored."""
        mirrored = flip(images, torch.rand(len(images)).to(images.device) < self.mirror)
        return 2 * mirrored - 1
