"""IF-GMI: a search of intermediate features (Qiu et al., ECCV 2024), of any prior with blocks.

After the codes it searches what one block of the generator hands to the next, in an l1 ball around
where it began. The released code scores every layer with the evaluator; here a layer is fixed, or
of each image that layer is taken of which the target itself is surest. No evaluator has a say.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from trapmid import losses, types
from trapmid.augment import ResizedCrop
from trapmid.config.bounds import Count, Momentum, Natural, NonNegative, Positive
from trapmid.runtime import Runtime, counter_uniform, eval_mode, frozen
from trapmid.search import candidates, latents
from trapmid.search.layers import Layers
from trapmid.training import signatures
from trapmid.training.signatures import Adaptive
from trapmid.types import BlockPrior, Prior, Reconstruction, Target, Task


@dataclass(frozen=True, kw_only=True)
class Layer:
    """The search of what enters one block, and of the codes with it."""

    steps: Count  # 25 in the paper
    radius: Positive  # in l1, around where the features begin; 2,000, 3,000, ... in the code


@dataclass(frozen=True, kw_only=True)
class Attack(types.Attack):
    """No `paper_scoring`: the released code scores every layer by the evaluator."""

    candidates: Count | None
    """Searches of each class, from the codes that its target preferred; null: from random ones."""
    steps: Count  # of the codes alone, which come first; 70
    layers: tuple[Layer, ...]  # of what enters block 1, 2, ...
    layer: Natural | None
    """Whose image is kept, 0 is that of the codes; null: that of which the target is surest."""
    lr: Positive
    betas: tuple[Momentum, Momentum]  # of Adam
    view: ResizedCrop  # of every step
    loss: str
    adaptive: Adaptive | None  # terms beside the loss, those of PLG-MI+ and ++; official: none
    realism_weight: NonNegative  # of the prior's critic; official: 0
    clip: Literal["never", "result", "always"]  # where pixels are cut to [0, 1]; official: never
    reference_batch: Count

    def __post_init__(self) -> None:
        if self.loss not in losses.IDENTITY:
            raise ValueError(f"loss: {self.loss!r} is not one of {', '.join(losses.IDENTITY)}")
        if self.layer is not None and self.layer > len(self.layers):
            raise ValueError(f"layer: {self.layer}, but layers has {len(self.layers)}")

    def images_of_each(self, asked: int) -> int:
        return self.candidates or asked

    def invert(self, target: Target, prior: Prior, task: Task, rt: Runtime) -> Reconstruction:
        """As `types.Attack.invert`; the latents are the codes of the layer kept.

        Its images are not those of the latents alone: features were searched, too.
        """
        blocks, labels = _with_blocks(prior, len(self.layers)), task.labels
        beside = signatures.terms(self.adaptive, task.side_information)
        keys = latents.row_keys(labels, task.draws, rt.seed, "views")

        def identity(images: Tensor) -> Tensor:
            output = target(images)
            return losses.IDENTITY[self.loss](output.logits, labels) + beside(output, labels)

        def objective(images: Tensor, step: int) -> Tensor:
            images = images.clamp(0, 1) if self.clip == "always" else images
            loss = identity(self.view(images, counter_uniform(keys + step, ResizedCrop.DRAWS)))
            if self.realism_weight == 0:
                return loss
            return loss - self.realism_weight * prior.realism(images, labels)

        with eval_mode(target, prior), frozen(target, prior):
            radii = [one.radius for one in self.layers]
            layers = Layers(blocks, labels, self._start(blocks, task, rt), radii)
            layers.adam(
                objective,
                steps=[self.steps, *(one.steps for one in self.layers)],
                lr=self.lr,
                betas=self.betas,
                reference_batch=self.reference_batch,
                saving=task.saving,
            )
            return self._reconstruction(layers, identity, task)

    @torch.no_grad()
    def _start(self, prior: BlockPrior, task: Task, rt: Runtime) -> Tensor:
        if self.candidates is None:
            return prior.codes(latents.start(task.labels, task.draws, prior.latent_dim, rt.seed))
        preferred = candidates.preferred(prior, self.candidates)
        return preferred.candidates(task.labels, task.draws)[:, 0]

    @torch.no_grad()
    def _reconstruction(
        self, layers: Layers, identity: Callable[[Tensor], Tensor], task: Task
    ) -> Reconstruction:
        images = torch.stack([self._pixels(layers, layer) for layer in range(len(layers))])
        found = torch.stack([identity(pixels) for pixels in images])  # (layers, N)
        kept = (
            found.argmin(dim=0) if self.layer is None else torch.full_like(task.draws, self.layer)
        )
        rows = torch.arange(len(kept), device=kept.device)
        codes = torch.stack([layers.codes(layer).detach() for layer in range(len(layers))])
        return Reconstruction(
            images[kept, rows],
            task.labels,
            task.draws,
            codes[kept, rows],
            found[kept, rows],
            counts={"layer": kept},
        )

    def _pixels(self, layers: Layers, layer: int) -> Tensor:
        images = layers.images(layer)
        return images if self.clip == "never" else images.clamp(0, 1)


def _with_blocks(prior: Prior, layers: int) -> BlockPrior:
    """`prior`, as one with so many blocks after the first.

    Raises:
        ValueError: it has not.
    """
    if not isinstance(prior, BlockPrior):
        raise ValueError("prior: its generator has no blocks whose features can be searched")
    if layers >= prior.num_blocks:
        raise ValueError(
            f"layers: {layers} are searched, the prior has {prior.num_blocks - 1} blocks that "
            "features enter"
        )
    return prior
