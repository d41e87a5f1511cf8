"""No attack: random latents of a public prior. The floor that every attack has to beat."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from trapmid import losses, types
from trapmid.runtime import Runtime, eval_mode
from trapmid.search import latents
from trapmid.types import Prior, Reconstruction, Target, Task


@dataclass(frozen=True, kw_only=True)
class Attack(types.Attack):
    @torch.no_grad()
    def invert(self, target: Target, prior: Prior, task: Task, rt: Runtime) -> Reconstruction:
        labels, draws = task.labels, task.draws
        z = latents.start(labels, draws, prior.latent_dim, rt.seed)
        with eval_mode(target, prior):
            images = prior(z, labels)
            loss = losses.cross_entropy(target(images).logits, labels)
        return Reconstruction(images, labels, draws, z, loss)
