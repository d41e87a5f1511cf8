"""A trapdoor's signature without a leak: an attacker finds triggers of their own.

Trigger inversion (Neural Cleanse, Wang et al., IEEE S&P 2019): per class one pattern that, blended
into any public image, makes the target see the class. What its features then have in common stands
for the signature of Trap-MID's eq. 6, and the attack is that of eq. 7, which in the paper needs a
leak. Trapdoors against adversarial examples were circumvented by staying away from what triggers
do to features, too (FIA, He et al., CCS 2021).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from trapmid.config.study import TriggerInversion
from trapmid.metrics.signature import signatures
from trapmid.runtime import Runtime, eval_mode, frozen, in_parts
from trapmid.training.fit import to_float
from trapmid.types import Target


class Inverted(NamedTuple):
    """What an attacker found."""

    patterns: Tensor  # (C, 3, S, S) in [0, 1], on the target's device
    signatures: Tensor  # (C, F) float32 on the CPU
    success: float  # share of the public images that their pattern moves to its class


def invert_triggers(
    target: Target, public: Tensor, how: TriggerInversion, rt: Runtime, batch_size: int = 512
) -> Inverted:
    """Searches a pattern per class, and measures what they do to all public images.

    Args:
        target: asked in eval mode; it needs no trapdoor.
        public: (N, 3, S, S) uint8 of any N; none of them is private.
        batch_size: images described at once in the end; the search has its own.

    Raises:
        ValueError: there are fewer public images than classes.
    """
    if len(public) < target.num_classes:
        raise ValueError(
            f"inverted: {len(public)} public images, {target.num_classes} classes need one each"
        )
    with eval_mode(target), frozen(target), rt.seeded("noise of a stochastic target"):
        patterns = _search(target, public, how, rt)
        return _measured(target, public, patterns, how.blend, rt, batch_size)


def blended(images: Tensor, patterns: Tensor, blend: float) -> Tensor:
    """Images (N, 3, S, S) in [0, 1] with so much of a pattern each, as a trigger is injected."""
    return torch.lerp(images, patterns, blend)


def _search(target: Target, public: Tensor, how: TriggerInversion, rt: Runtime) -> Tensor:
    """Patterns (C, 3, S, S) in [0, 1], by steps of sign descent that shrink to 0."""
    drawn = rt.generator("trigger inversion")
    shape = (target.num_classes, *public.shape[1:])
    patterns = torch.rand(shape, generator=drawn).to(rt.device).requires_grad_()
    for step in range(how.steps):
        rows = torch.randint(len(public), (how.batch_size,), generator=drawn)
        first = step * how.batch_size  # so that classes take turns, whatever the batch
        labels = (torch.arange(how.batch_size) + first).to(rt.device) % target.num_classes
        images = blended(to_float(public[rows].to(rt.device)), patterns[labels], how.blend)
        loss = F.cross_entropy(target(images).logits.float(), labels)
        (gradient,) = torch.autograd.grad(loss, patterns)
        with torch.no_grad():
            patterns.sub_(how.step_size * (1 - step / how.steps) * gradient.sign()).clamp_(0, 1)
    return patterns.detach()


@torch.no_grad()
def _measured(
    target: Target, public: Tensor, patterns: Tensor, blend: float, rt: Runtime, batch_size: int
) -> Inverted:
    """Every public image with the pattern of one class; the classes take turns."""
    classes = len(patterns)

    def answers(rows: slice) -> tuple[Tensor, Tensor]:
        labels = torch.arange(len(public))[rows].to(rt.device) % classes
        images = blended(to_float(public[rows].to(rt.device)), patterns[labels], blend)
        output = target(images)
        return output.features.float().cpu(), (output.logits.argmax(dim=1) == labels).cpu()

    parts = in_parts(len(public), batch_size, answers)
    features, moved = (torch.cat(part) for part in zip(*parts, strict=True))
    found = signatures(features, torch.arange(len(public)) % classes, classes)
    return Inverted(patterns, found.float(), float(moved.double().mean()))
