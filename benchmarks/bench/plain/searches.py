"""Latent searches as the released code has them: every network keeps gradients of its weights.

All return the last latents. Networks are in eval mode; the gradients that pile up in them are
dropped at the end, so that a later call begins as the first did.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.plain import views
from bench.plain.priors import margin
from trapmid.attacks import gmi, kedmi, lomma, plgmi
from trapmid.augment import PlgView
from trapmid.runtime import counter_normal, counter_uniform
from trapmid.search import latents
from trapmid.types import Prior, SideInformation, Target, Task


@contextmanager
def learning(*networks: nn.Module) -> Iterator[None]:
    """Weights take gradients, which nobody clears before the end."""
    for network in networks:
        network.eval().requires_grad_(True)
    try:
        yield
    finally:
        for network in networks:
            network.requires_grad_(False).zero_grad(set_to_none=True)


def points(
    loss: Callable[[Tensor], Tensor],
    z: Tensor,
    attack: gmi.Attack | lomma.Attack,
    steps: int,
) -> Tensor:
    """GMI's Nesterov steps on a mean over the batch."""
    velocity = torch.zeros_like(z)
    for _ in range(steps):
        z = z.detach().requires_grad_(True)
        total = loss(z)
        total.backward()
        assert z.grad is not None
        before = velocity.clone()
        velocity = attack.momentum * velocity - attack.lr * z.grad
        with torch.no_grad():
            moved = z - attack.momentum * before + (1 + attack.momentum) * velocity
            z = moved.clamp(-attack.bound, attack.bound)
        total.item()
    return z.detach()


def search_gmi(attack: gmi.Attack, target: Target, prior: Prior, task: Task, seed: int) -> Tensor:
    labels = task.labels
    scale = len(labels) / attack.reference_batch

    def loss(z: Tensor) -> Tensor:
        images = prior(z, labels)
        realism = -prior.realism(images, labels).mean()
        identity = F.cross_entropy(target(images).logits, labels)
        realism.item(), identity.item()
        return scale * (realism + attack.identity_weight * identity)

    with learning(target, prior):
        z = latents.start(labels, task.draws, prior.latent_dim, seed)
        return points(loss, z, attack, attack.steps)


def search_lomma(
    attack: lomma.Attack, target: Target, prior: Prior, task: Task, seed: int
) -> Tensor:
    """On GMI's prior, with three students beside the target."""
    labels, students = task.labels, _students(task)
    scale = len(labels) / attack.reference_batch

    def loss(z: Tensor) -> Tensor:
        images = prior(z, labels)
        realism = -prior.realism(images, labels).mean()
        identity = _logit_loss(attack, target, images, labels, task.side_information)
        return scale * (realism + attack.identity_weight * identity)

    with learning(target, prior, students):
        z = latents.start(labels, task.draws, prior.latent_dim, seed)
        return points(loss, z, attack, attack.steps)


def search_lomma_of_people(
    attack: lomma.Attack, target: Target, prior: Prior, task: Task, seed: int
) -> Tensor:
    """On KED-MI's prior; what the prior and the networks see is clamped, with its gradient."""

    def identity(images: Tensor, labels: Tensor) -> Tensor:
        return _logit_loss(attack, target, images, labels, task.side_information)

    with learning(target, prior, _students(task)):
        return distributions(identity, prior, task, seed, attack, attack.bound)


def search_kedmi(
    attack: kedmi.Attack, target: Target, prior: Prior, task: Task, seed: int
) -> Tensor:
    def identity(images: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(target(images).logits, labels)

    with learning(target, prior):
        return distributions(identity, prior, task, seed, attack, math.inf)


def distributions(
    identity: Callable[[Tensor, Tensor], Tensor],
    prior: Prior,
    task: Task,
    seed: int,
    attack: kedmi.Attack | lomma.Attack,
    bound: float,
) -> Tensor:
    """One distribution of latents an identity; a draw of it for every image."""
    labels, row = task.labels.unique(return_inverse=True)
    keys = latents.stream_keys(seed, "distribution", labels)
    scale = len(labels) / attack.reference_batch
    shape, device = (len(labels), prior.latent_dim), labels.device
    mean = torch.zeros(shape, device=device, requires_grad=True)
    log_variance = torch.ones(shape, device=device, requires_grad=True)
    adam = torch.optim.Adam([mean, log_variance], lr=attack.lr)
    for step in range(attack.steps):
        noise = counter_normal(keys + step, prior.latent_dim).to(mean)
        z = mean + torch.exp(0.5 * log_variance) * noise
        images = prior(z.clamp(-bound, bound), labels)
        realism = -prior.realism(images, labels).mean()
        own = identity(images, labels)
        adam.zero_grad()
        (scale * (realism + attack.identity_weight * own)).backward()
        adam.step()
        realism.item(), own.item()
    keys = latents.row_keys(task.labels, task.draws, seed, "draws")
    noise = counter_normal(keys, prior.latent_dim).to(mean)
    z = (mean[row] + torch.exp(0.5 * log_variance[row]) * noise).detach()
    return z.clamp(-bound, bound)


def _students(task: Task) -> Target:
    students = task.side_information.students
    assert students is not None
    return students


def _logit_loss(
    attack: lomma.Attack, target: Target, images: Tensor, labels: Tensor, known: SideInformation
) -> Tensor:
    """LOMMA's, of the target and its students one after the other."""
    assert known.students is not None and known.feature_mean is not None
    output = target(images)
    answers = [output.logits, *known.students.member_logits(images)]
    identity = images.new_zeros(())
    for logits in answers:
        own = F.nll_loss(logits, labels)
        identity = own if identity == 0 else identity + own  # a look at the device each time
    gap = (output.features - known.feature_mean).square().mean()
    return identity / len(answers) + attack.feature_weight * gap


def search_plgmi(
    attack: plgmi.Attack, target: Target, prior: Prior, task: Task, seed: int
) -> Tensor:
    """The target is asked about each view by itself."""
    labels, draws = task.labels, task.draws
    z = latents.start(labels, draws, prior.latent_dim, seed).requires_grad_(True)
    adam = torch.optim.Adam([z], lr=attack.lr)
    scale = len(labels) / attack.reference_batch
    keys = latents.row_keys(labels, draws, seed, "views")
    orders = latents.stream_keys(seed, "jitter order", draws)
    with learning(target, prior):
        for step in range(attack.steps):
            images = prior(z, labels)
            u = counter_uniform(keys + step, attack.views * PlgView.DRAWS)
            order = counter_uniform(orders + step, PlgView.ORDERS * attack.views)
            order = order.view(len(images), PlgView.ORDERS, attack.views)
            loss = images.new_zeros(())
            for v in range(attack.views):
                part = u[:, v * PlgView.DRAWS : (v + 1) * PlgView.DRAWS]
                view = views.plg(images, attack.view, part, order[:, :, v])
                loss = loss + margin(target(view).logits, labels)
            adam.zero_grad()
            (scale * loss).backward()
            adam.step()
            loss.item()
    return z.detach()


def images_one_by_one(prior: Prior, z: Tensor, labels: Tensor) -> Sequence[Tensor]:
    """What is saved: the whole batch is generated again for every image."""
    with torch.no_grad():
        return [prior(z, labels)[i] for i in range(len(z))]
