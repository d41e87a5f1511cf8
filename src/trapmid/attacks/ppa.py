"""PPA: Plug & Play Attacks (Struppek et al., ICML 2022), a search of style codes.

Its three phases: the prior has asked the target which of its latents suit a class (`priors.style`
with `candidates`); here a code is searched from each of them; then the images of which the target
is surest under random views are kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from trapmid import losses, types
from trapmid.augment import ResizedCrop, flip
from trapmid.config.bounds import Count, Momentum, Positive, Share
from trapmid.runtime import Runtime, counter_uniform, eval_mode, frozen
from trapmid.search import averaging, candidates, latents
from trapmid.search.averaging import Averaging, Streams
from trapmid.search.selection import most_of_each
from trapmid.training import signatures
from trapmid.training.signatures import Adaptive
from trapmid.types import Prior, Reconstruction, StylePrior, Target, Task


@dataclass(frozen=True, kw_only=True)
class Robustness:
    """How sure the target is of an image, whatever part of it is seen."""

    views: Count  # 100 in the paper
    crop: ResizedCrop
    mirror: Share  # of the views
    keep: Count  # images of each class; the others are thrown away


@dataclass(frozen=True, kw_only=True)
class Attack(types.Attack):
    """No `paper_scoring`: the released code scores more pixels than the target sees."""

    candidates: Count  # searches of each class
    styles: Literal["one", "all"]
    """One code for all layers (official), that of a candidate's first layer, or one for each."""
    steps: Count
    lr: Positive
    betas: tuple[Momentum, Momentum]  # of Adam; with (0.1, 0.1) it descends by signs, nearly
    view: ResizedCrop  # of every step
    averaging: Averaging | None  # of the loss, over neighbours, each in a view of its own
    loss: str
    adaptive: Adaptive | None  # terms beside the loss, those of PLG-MI+ and ++; official: none
    clip: Literal["never", "result", "always"]
    """Where pixels are cut to [0, 1]: nowhere (official); in what comes out; in the search, too."""
    robustness: Robustness | None  # null: every search is kept
    reference_batch: Count

    def __post_init__(self) -> None:
        if self.loss not in losses.IDENTITY:
            raise ValueError(f"loss: {self.loss!r} is not one of {', '.join(losses.IDENTITY)}")
        if self.robustness is not None and self.robustness.keep > self.candidates:
            raise ValueError(
                f"robustness.keep: {self.robustness.keep} of {self.candidates} candidates"
            )

    def rows_in_memory(self) -> float:
        return averaging.rows_in_memory(self.averaging)

    def images_of_each(self, asked: int) -> int:
        return self.candidates

    def invert(self, target: Target, prior: Prior, task: Task, rt: Runtime) -> Reconstruction:
        """As `types.Attack.invert`; the latents are style codes, (N, W) or (N, L W)."""
        prior = candidates.preferred(prior, self.candidates)
        labels, keys = task.labels, _keys(task, rt.seed, "views")
        streams = Streams.of(rt.seed, labels, task.draws)
        identity = losses.IDENTITY[self.loss]
        beside = signatures.terms(self.adaptive, task.side_information)

        def objective(codes: Tensor, step: int) -> Tensor:
            def loss(images: Tensor, of: Tensor) -> Tensor:
                output = target(self._views(images, keys + step))
                return identity(output.logits, of) + beside(output, of)

            images = self._paint(prior, codes)
            return averaging.averaged(self.averaging, images, labels, streams.at(step), loss)

        with eval_mode(target, prior), frozen(target, prior):
            optimum = latents.adam(
                self._start(prior, task),
                objective,
                steps=self.steps,
                lr=self.lr,
                reference_batch=self.reference_batch,
                betas=self.betas,
                saving=task.saving,
            )
            return self._reconstruction(target, prior, optimum, task, rt)

    def chosen(self, labels: Tensor, counts: Mapping[str, Tensor]) -> Tensor | None:
        """Of each class those of which the target is surest, the surest first."""
        if self.robustness is None:
            return None
        return most_of_each(labels, counts["confidence"], self.robustness.keep)

    @torch.no_grad()
    def _start(self, prior: StylePrior, task: Task) -> Tensor:
        """The candidates' codes, (N, W) or (N, L W)."""
        codes = prior.candidates(task.labels, task.draws)
        return codes[:, 0] if self.styles == "one" else codes.flatten(1)

    def _views(self, images: Tensor, keys: Tensor) -> Tensor:
        """A view of each image; those of one row of `keys` (N,) stand N apart."""
        of_each = len(images) // len(keys)
        u = counter_uniform(keys, of_each * ResizedCrop.DRAWS).view(len(keys), of_each, -1)
        return self.view(images, u.transpose(0, 1).flatten(0, 1))

    def _paint(self, prior: StylePrior, codes: Tensor) -> Tensor:
        layers = prior.num_styles
        if self.styles == "one":
            images = prior.paint(codes[:, None].expand(-1, layers, -1))
        else:
            images = prior.paint(codes.view(len(codes), layers, -1))
        return images.clamp(0, 1) if self.clip == "always" else images

    @torch.no_grad()
    def _reconstruction(
        self, target: Target, prior: StylePrior, optimum: latents.Optimum, task: Task, rt: Runtime
    ) -> Reconstruction:
        images, counts = self._paint(prior, optimum.latents), {}
        if self.robustness is not None:
            keys = _keys(task, rt.seed, "robustness")
            counts["confidence"] = confidence(self.robustness, target, images, task.labels, keys)
        if self.clip == "result":
            images = images.clamp(0, 1)
        return Reconstruction(images, task.labels, task.draws, *optimum, counts=counts)


def confidence(
    how: Robustness, target: Target, images: Tensor, labels: Tensor, keys: Tensor
) -> Tensor:
    """The label's probability, (N,), as a mean over random views that `keys` (N,) decide."""
    total = images.new_zeros(len(images))
    for number in range(how.views):
        u = counter_uniform(keys + number, ResizedCrop.DRAWS + 1)
        views = flip(how.crop(images, u[:, :-1]), u[:, -1] < how.mirror)
        probabilities = target(views).logits.softmax(dim=1)
        total += losses.own_logit(probabilities, labels)
    return total / how.views


def _keys(task: Task, seed: int, scope: str) -> Tensor:
    return latents.row_keys(task.labels, task.draws, seed, scope)
