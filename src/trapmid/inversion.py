"""Every class and every draw of one attack, in batches that no result depends on."""

from __future__ import annotations

import torch
from torch import Tensor
from tqdm import tqdm

from trapmid.runtime import Runtime
from trapmid.study import Inversion
from trapmid.types import Attack, Prior, Reconstruction, Target

_FIELDS = ("images", "labels", "draws", "latents", "losses")


def invert_all(
    attack: Attack, target: Target, prior: Prior, plan: Inversion, rt: Runtime
) -> dict[str, Tensor]:
    """Attacks every class of `target` `images_per_class` times.

    Returns:
        The fields of `Reconstruction`, on the CPU, in float32 and sorted by (label, draw).
    """
    labels = torch.arange(target.num_classes).repeat_interleave(plan.images_per_class)
    draws = torch.arange(plan.images_per_class).repeat(target.num_classes)
    size = plan.batch_size or len(labels)
    found: list[Reconstruction] = []
    # Searches have streams of their own; a stochastic target draws its noise from this one.
    with (
        rt.seeded("target's noise"),
        tqdm(total=len(labels), desc="images", mininterval=1.0) as bar,
    ):
        for label, draw in zip(labels.split(size), draws.split(size), strict=True):
            found.append(attack.invert(target, prior, label.to(rt.device), draw.to(rt.device), rt))
            bar.update(len(label))
    return {f: torch.cat([getattr(part, f).detach().cpu() for part in found]) for f in _FIELDS}
