"""KED-MI's search on KED-MI's own prior, which test_lomma.py replaces by a linear one (3.3)."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from test_attacks import CLASSES, attack, run

from toy import ToyTarget, seeded
from trapmid.priors import kedmi
from trapmid.runtime import counter_normal, stream_seed
from trapmid.types import Target

SIZE = 8


def world() -> tuple[Target, kedmi.Prior]:
    target: Target = seeded(ToyTarget, CLASSES, SIZE)
    prior: kedmi.Prior = seeded(kedmi.Prior, 5, CLASSES, SIZE, 2, seed=1)
    return target, prior


def test_it_descends_the_official_prior_loss() -> None:
    """mean softplus(lse) - mean lse + 100 * mean CE, of D's logits and of nothing else of D."""
    target, prior = world()
    target.eval(), prior.eval()
    classes = torch.arange(CLASSES)
    mu = torch.zeros(CLASSES, 5, requires_grad=True)
    log_variance = torch.ones(CLASSES, 5, requires_grad=True)
    adam = torch.optim.Adam([mu, log_variance], lr=0.05)
    keys = torch.tensor([stream_seed(0, "distribution", c) for c in range(CLASSES)])
    for step in range(10):
        z = mu + torch.exp(log_variance / 2) * counter_normal(keys + step, 5)
        x = prior.generator(z)
        lse = prior.discriminator(x).logsumexp(dim=1)
        realism = F.softplus(lse).mean() - lse.mean()
        adam.zero_grad()
        (realism + 2.0 * F.cross_entropy(target(x).logits, classes)).backward()
        adam.step()
    labels, draws = classes.repeat_interleave(2), torch.arange(2).repeat(CLASSES)
    # A small identity weight: at 100 the prior's term would hide behind the tolerance.
    method = attack("kedmi", steps=10, lr=0.05, identity_weight=2.0, reference_batch=CLASSES)
    rows = run(method, target, prior, labels, draws)
    with torch.no_grad():
        keys = torch.tensor([stream_seed(0, "draws", c, d) for c in range(CLASSES) for d in (0, 1)])
        z = mu[labels] + torch.exp(log_variance[labels] / 2) * counter_normal(keys, 5)
        x = prior.generator(z)
        lse = prior.discriminator(x).logsumexp(dim=1)
        wanted = F.softplus(lse) - lse
        wanted += 2.0 * F.cross_entropy(target(x).logits, labels, reduction="none")
    assert torch.allclose(rows.latents, z, atol=1e-3)
    assert torch.allclose(rows.losses, wanted, rtol=1e-3, atol=1e-3)
    assert z.abs().max() > 1


@pytest.mark.parametrize("training", [True, False])
def test_copies_in_a_batch_do_not_see_each_other(training: bool) -> None:
    """Minibatch discrimination would: the same row thrice is what it is alone."""
    target, prior = world()
    prior.train(training)
    method = attack("kedmi", steps=3, identity_weight=0.0)
    label, draw = torch.tensor([1]), torch.tensor([0])
    alone = run(method, target, prior, label, draw)
    thrice = run(method, target, prior, label.repeat(3), draw.repeat(3))
    assert torch.allclose(thrice.losses, alone.losses.expand(3), atol=1e-5)
    assert torch.allclose(thrice.latents, alone.latents.expand(3, -1), atol=1e-5)
