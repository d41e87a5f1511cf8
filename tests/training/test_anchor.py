"""The autoencoder beside a GAN: its loss by hand, its steps, its state."""

from __future__ import annotations

from functools import partial

import pytest
import torch

from toy import ToyPrior, images, runtime, same_state, seeded, snapshot
from trapmid.config import params
from trapmid.training.anchor import Anchor, Anchoring

BLOCK = Anchor(alone=3, lr=0.01, weight=0.5, sigma=0.2, width=4)
LABELS = torch.tensor([0, 2, 1, 1])


def world(seed: int = 0) -> tuple[ToyPrior, Anchoring, partial[torch.Tensor]]:
    prior: ToyPrior = seeded(ToyPrior)
    anchoring = Anchoring(BLOCK, prior, 8, prior.latent_dim, runtime(seed))
    return prior, anchoring, partial(prior, labels=LABELS)


def test_the_loss_is_that_of_a_gaussian_vae() -> None:
    prior, anchoring, decode = world()
    anchoring._encoder.eval(), prior.eval()
    x = images(4)
    torch.manual_seed(1)
    loss = anchoring.loss(decode, x)
    torch.manual_seed(1)
    encoded, noise = anchoring._encoder(x), torch.randn(4, 5)
    mean, log_variance = encoded[:, :5], encoded[:, 5:]
    decoded = decode(mean + noise * log_variance.exp().sqrt())
    normal = torch.distributions.Normal
    posterior = normal(mean, (log_variance / 2).exp())
    divergence = torch.distributions.kl_divergence(posterior, normal(0.0, 1.0)).sum(dim=1)
    # The likelihood without its constant, log sigma + log(2 pi) / 2 a pixel.
    likelihood = normal(decoded, 0.2).log_prob(x) - normal(0.0, 0.2).log_prob(torch.tensor(0.0))
    wanted = (divergence - likelihood.sum(dim=(1, 2, 3))).mean()
    assert loss.item() == pytest.approx(wanted.item(), rel=1e-5)


def test_alone_it_moves_generator_and_encoder_and_learns() -> None:
    prior, anchoring, decode = world()
    assert [anchoring.alone(step) for step in (0, 2, 3, 4)] == [True, True, False, False]
    weights, encoder = snapshot(prior), snapshot(anchoring._encoder)
    torch.manual_seed(0)
    losses = [anchoring.step_alone(decode, images(4)).item() for _ in range(60)]
    assert losses[-1] < 0.7 * losses[0]
    assert not torch.equal(prior.linear.weight, weights["linear.weight"])
    assert torch.equal(prior.critic.weight, weights["critic.weight"])
    assert not same_state(snapshot(anchoring._encoder), encoder)


def test_beside_the_critic_the_generators_own_optimiser_moves_it() -> None:
    prior, anchoring, decode = world()
    before, encoder = prior.linear.weight.detach().clone(), snapshot(anchoring._encoder)
    torch.manual_seed(0)
    pulled = anchoring.pull(decode, images(4))
    torch.manual_seed(0)
    _, other, decode = world()
    assert pulled.item() == pytest.approx(0.5 * other.loss(decode, images(4)).item(), rel=1e-5)
    pulled.backward()
    anchoring.step_encoder()
    assert torch.equal(prior.linear.weight, before) and prior.linear.weight.grad is not None
    assert not same_state(snapshot(anchoring._encoder), encoder)


def test_its_encoder_comes_from_the_seed() -> None:
    one, again, other = (snapshot(world(seed)[1]._encoder) for seed in (0, 0, 1))
    assert same_state(one, again) and not same_state(one, other)


@pytest.mark.parametrize("name", ["lr", "sigma", "width"])
def test_wrong_blocks(name: str) -> None:
    with pytest.raises(ValueError, match=rf"^anchor\.{name}: 0.* is (not positive|under 1)"):
        params.build(Anchor, vars(BLOCK) | {name: 0}, "anchor")
