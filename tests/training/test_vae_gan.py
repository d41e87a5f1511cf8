"""The autoencoder beside a GAN: its loss by hand, its steps, its state."""

from __future__ import annotations

from functools import partial

import pytest
import torch

from toy import ToyPrior, images, runtime, same_state, seeded, snapshot
from trapmid.config import params
from trapmid.training.vae_gan import VaeGan, VaeGanTraining, backward, begin

BLOCK = VaeGan(alone=3, lr=0.01, weight=0.5, sigma=0.2, width=4)
LABELS = torch.tensor([0, 2, 1, 1])


def world(seed: int = 0) -> tuple[ToyPrior, VaeGanTraining, partial[torch.Tensor]]:
    prior: ToyPrior = seeded(ToyPrior)
    vae_gan_training = VaeGanTraining(BLOCK, prior, 8, prior.latent_dim, runtime(seed))
    return prior, vae_gan_training, partial(prior, labels=LABELS)


def test_the_loss_is_that_of_a_gaussian_vae() -> None:
    prior, vae_gan_training, decode = world()
    vae_gan_training._encoder.eval(), prior.eval()
    x = images(4)
    torch.manual_seed(1)
    loss = vae_gan_training.loss(decode, x)
    torch.manual_seed(1)
    encoded, noise = vae_gan_training._encoder(x), torch.randn(4, 5)
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
    prior, vae_gan_training, decode = world()
    assert [vae_gan_training.alone(step) for step in (0, 2, 3, 4)] == [True, True, False, False]
    weights, encoder = snapshot(prior), snapshot(vae_gan_training._encoder)
    torch.manual_seed(0)
    losses = [vae_gan_training.step_alone(decode, images(4)).item() for _ in range(60)]
    assert losses[-1] < 0.7 * losses[0]
    assert not torch.equal(prior.linear.weight, weights["linear.weight"])
    assert torch.equal(prior.critic.weight, weights["critic.weight"])
    assert not same_state(snapshot(vae_gan_training._encoder), encoder)


def test_beside_the_critic_the_generators_own_optimiser_moves_it() -> None:
    prior, vae_gan_training, decode = world()
    before, encoder = prior.linear.weight.detach().clone(), snapshot(vae_gan_training._encoder)
    torch.manual_seed(0)
    pulled = vae_gan_training.pull(decode, images(4))
    torch.manual_seed(0)
    _, other, decode = world()
    assert pulled.item() == pytest.approx(0.5 * other.loss(decode, images(4)).item(), rel=1e-5)
    pulled.backward()
    vae_gan_training.step_encoder()
    assert torch.equal(prior.linear.weight, before) and prior.linear.weight.grad is not None
    assert not same_state(snapshot(vae_gan_training._encoder), encoder)


def test_its_encoder_comes_from_the_seed() -> None:
    one, again, other = (snapshot(world(seed)[1]._encoder) for seed in (0, 0, 1))
    assert same_state(one, again) and not same_state(one, other)


@pytest.mark.parametrize("name", ["lr", "sigma", "width"])
def test_wrong_blocks(name: str) -> None:
    with pytest.raises(
        ValueError, match=rf"^vae_gan\.{name}: 0.* is (not in \(0, 1e\+30\]|under 1)"
    ):
        params.build(VaeGan, vars(BLOCK) | {name: 0}, "vae_gan")


def test_a_training_without_an_autoencoder() -> None:
    prior: ToyPrior = seeded(ToyPrior)
    assert begin(None, prior, 8, prior.latent_dim, runtime()) is None
    decode = partial(prior, labels=LABELS)
    fake = decode(torch.ones(4, 5))
    (wanted,) = torch.autograd.grad(fake.mean(), prior.linear.bias, retain_graph=True)
    backward(None, fake.mean(), decode, images(4))
    assert torch.equal(prior.linear.bias.grad, wanted)


def test_the_generator_is_pulled_and_the_encoder_moves() -> None:
    prior: ToyPrior = seeded(ToyPrior)
    beside = begin(BLOCK, prior, 8, prior.latent_dim, runtime())
    assert beside is not None
    encoder, decode, x = snapshot(beside._encoder), partial(prior, labels=LABELS), images(4)
    torch.manual_seed(1)
    pull = BLOCK.weight * beside.loss(decode, x)
    loss = decode(torch.ones(4, 5)).mean()
    (wanted,) = torch.autograd.grad(loss + pull, prior.linear.bias)
    beside._encoder.load_state_dict(encoder)  # its running statistics, too
    torch.manual_seed(1)
    backward(beside, decode(torch.ones(4, 5)).mean(), decode, x)
    assert torch.allclose(prior.linear.bias.grad, wanted, atol=1e-6)
    assert not torch.equal(beside._encoder.state_dict()["body.0.weight"], encoder["body.0.weight"])
