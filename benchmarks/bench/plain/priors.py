"""Iterations of the GANs that attackers train, as the released code has them.

Each function makes the steps 0 .. `steps` - 1 under the random streams of the training that it
stands beside, with the same batches; the networks are trained in place.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.plain import loading, views
from bench.plain.loading import Pictures
from trapmid import losses
from trapmid.nets.minibatch import ClassDiscriminator
from trapmid.nets.snresnet import UpBlock
from trapmid.priors import gmi, kedmi, plgmi
from trapmid.runtime import Runtime, stream_seed
from trapmid.training.gan import EndlessPasses, Passes
from trapmid.types import Target


def wgan(
    training: gmi.Training, prior: gmi.Prior, public: Pictures, rt: Runtime, steps: int
) -> None:
    """GMI's. Pictures are transformed anew whenever they are met."""
    generator, critic = prior.generator.train(), prior.critic.train()
    for_g = _adam(generator, training.lr, training.betas)
    for_d = _adam(critic, training.lr, training.betas)
    size = min(training.batch_size, len(public.decoded))
    passes = Passes(len(public.decoded), size, stream_seed(rt.seed, "gmi", "batches"))
    for step in range(steps):
        real = loading.batch(public, passes.batch(step)).to(rt.device)
        with rt.seeded("gmi", step):
            _let_learn(generator, learns=False)
            _let_learn(critic, learns=True)
            fake = generator(torch.randn(size, training.latent_dim).to(rt.device))
            on_real, on_fake = critic(real).mean(), critic(fake).mean()
            share = torch.rand(size).to(rt.device)[:, None, None, None]
            points = (real + share * (fake - real)).requires_grad_(True)
            (slope,) = torch.autograd.grad(critic(points).sum(), points, create_graph=True)
            penalty = ((slope.flatten(1).norm(dim=1) - 1) ** 2).mean()
            _descend(for_d, training.penalty * penalty - (on_real - on_fake))
            if (step + 1) % training.critic_steps == 0:
                _let_learn(critic, learns=False)
                _let_learn(generator, learns=True)
                images = generator(torch.randn(size, training.latent_dim).to(rt.device))
                _descend(for_g, -critic(images).mean())
    _let_learn(critic, learns=True)
    _let_learn(generator, learns=True)
    prior.eval()


def classes(
    training: kedmi.Training,
    prior: kedmi.Prior,
    public: Pictures,
    target: Target,
    rt: Runtime,
    steps: int,
) -> None:
    """KED-MI's. The target is differentiated in vain, and minibatch discrimination keeps a vector
    for every pair of images, output and kernel, all of them zero in effect."""
    queried = copy.deepcopy(target).requires_grad_(True).train(training.target_mode == "train")
    generator, critic = prior.generator.train(), prior.discriminator.train()
    for_g = _adam(generator, training.lr_generator, training.betas)
    for_d = _adam(critic, training.lr_critic, training.betas)
    count = len(public.decoded)
    labelled, real, matched = (
        Passes(count, training.batch_size, stream_seed(rt.seed, "kedmi", name))
        for name in ("labelled", "real", "matched")
    )
    for step in range(steps):
        x, u = (
            loading.batch(public, passes.batch(step)).to(rt.device) for passes in (labelled, real)
        )
        n = len(x)
        with rt.seeded("kedmi", step):
            soft = queried(x).logits.softmax(dim=1)
            fake = generator(torch.randn(n, training.latent_dim).to(rt.device))
            own = _discriminate(critic, x).log_softmax(dim=1)
            on_real, on_fake = (_discriminate(critic, one).logsumexp(1) for one in (u, fake))
            supervised = -(soft * own).sum(dim=1).mean()
            judged = F.softplus(on_real).mean() - on_real.mean() + F.softplus(on_fake).mean()
            _descend(for_d, supervised + 0.5 * judged)
            if (step + 1) % training.critic_steps == 0:
                v = loading.batch(public, matched.batch(step)).to(rt.device)
                fake = generator(torch.randn(n, training.latent_dim).to(rt.device))
                of_fake, of_real = critic.features(fake), critic.features(v)
                matching = (of_fake.mean(dim=0) - of_real.mean(dim=0)).abs().mean()
                log_p = _discriminate(critic, fake).log_softmax(dim=1)
                entropy = -(log_p.exp() * log_p).sum()
                _descend(for_g, matching + training.entropy_weight * entropy)
    prior.eval()


def _discriminate(critic: ClassDiscriminator, images: Tensor) -> Tensor:
    flat = critic.features(images)
    kernels = critic.closeness.kernels
    matrices = (flat @ kernels.flatten(1)).view(len(flat), *kernels.shape[1:])
    gaps = (matrices[:, None] - matrices[None]).abs().sum(dim=3)  # by way of (N, N, O, K)
    close = torch.exp(-gaps).sum(dim=1) - 1  # of an image with itself
    logits: Tensor = critic.head(torch.cat([flat, close], dim=1))
    return logits


def conditional(
    training: plgmi.Training,
    prior: plgmi.Prior,
    public: Pictures,
    labelled: tuple[Tensor, Tensor],
    target: Target,
    rt: Runtime,
    steps: int,
) -> None:
    """PLG-MI's. The critic's steps differentiate the generator and ask the target, both in vain.

    Args:
        labelled: indices of public images and their pseudo-labels.
    """
    chosen, pseudo = labelled[0], labelled[1].to(rt.device)
    for block in cast(Sequence[UpBlock], list(prior.generator.blocks)):
        block.__class__ = PublishedUpBlock
    generator, critic = prior.generator.train(), prior.critic.train()
    target.requires_grad_(True).eval()
    for_g = _adam(generator, training.lr_generator, training.betas)
    for_d = _adam(critic, training.lr_critic, training.betas)
    size, seed = training.batch_size, stream_seed(rt.seed, "plgmi", "batches")
    passes = EndlessPasses(len(chosen), size, seed)

    def draw() -> tuple[Tensor, Tensor]:
        z = torch.randn(size, training.latent_dim).to(rt.device)
        return z, torch.randint(prior.num_classes, (size,)).to(rt.device)

    for step in range(steps):
        with rt.seeded("plgmi", step):
            z, y = draw()
            fake = prior(z, y)
            u = torch.rand(size, 9).to(rt.device)
            order = torch.rand(2).to(rt.device).expand(size, -1)
            adversarial = -prior.realism(fake, y).mean()
            logits = target(views.plg(fake, training.view, u, order)).logits
            inversion = margin(logits, y)
            _descend(for_g, adversarial + training.alpha * inversion)
            for turn in range(training.critic_steps):
                picked = passes.batch(step * training.critic_steps + turn)
                real = loading.batch(public, chosen[picked]).to(rt.device)
                real = real + training.noise * torch.rand(real.shape).to(rt.device)
                z, y = draw()
                fake = prior(z, y)
                on_fake, on_real = prior.realism(fake, y), prior.realism(real, pseudo[picked])
                hinge = F.relu(1 - on_real).mean() + F.relu(1 + on_fake).mean()
                _descend(for_d, hinge)
                (target(fake).logits.argmax(dim=1) == y).double().mean().item()
    target.requires_grad_(False).zero_grad(set_to_none=True)
    for block in cast(Sequence[UpBlock], list(prior.generator.blocks)):
        block.__class__ = UpBlock
    prior.eval()


class PublishedUpBlock(UpBlock):
    """The 1x1 convolution of the shortcut after the upsampling, on four times the pixels."""

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        def double(x: Tensor) -> Tensor:
            return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)

        h = self.conv1(double(F.relu(self.norm1(x, labels))))
        h = self.conv2(F.relu(self.norm2(h, labels)))
        out: Tensor = h + self.shortcut(double(x))
        return out


def margin(logits: Tensor, labels: Tensor) -> Tensor:
    """By sorting all logits, to find the two largest."""
    order = logits.argsort(dim=1, descending=True)
    rival = torch.where(order[:, 0] == labels, order[:, 1], order[:, 0])
    best = logits.gather(1, rival[:, None]).squeeze(1)
    return (best - losses.own_logit(logits, labels)).mean()


def _adam(network: nn.Module, lr: float, betas: tuple[float, float]) -> torch.optim.Optimizer:
    return torch.optim.Adam(network.parameters(), lr=lr, betas=betas)


def _let_learn(network: nn.Module, *, learns: bool) -> None:
    for parameter in network.parameters():
        parameter.requires_grad = learns


def _descend(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    loss.item()
