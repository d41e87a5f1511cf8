"""GMI's networks against the official ones."""

from __future__ import annotations

import pytest
import torch

import official
from toy import images, seeded
from trapmid.nets import dcgan

GENERATOR = {"stem.0": "l1.0", "stem.1": "l1.1"} | {
    f"body.{3 * i + j}": f"l2_5.{i}.{j}" for i in range(3) for j in range(2)
}
GENERATOR["body.9"] = "l2_5.3"
CRITIC = {"body.0": "ls.0", "head": "ls.5"} | {
    f"body.{3 * i - 1 + j}": f"ls.{i + 1}.{j}" for i in (1, 2, 3) for j in (0, 1)
}


def translate(table: dict[str, str], name: str) -> str:
    module, leaf = name.rsplit(".", 1)
    return f"{table[module]}.{leaf}"


def test_the_official_numbers_of_parameters() -> None:
    with torch.device("meta"):
        generator, critic = dcgan.Generator(100, 64, 64), dcgan.Critic(64, 64)
    assert sum(p.numel() for p in generator.parameters()) == 5_142_083
    assert sum(p.numel() for p in critic.parameters()) == 4_316_545


def test_the_generator_computes_what_the_official_one_does() -> None:
    model = dcgan.Generator(100, 64, 64).eval()
    official.fill(model, lambda name: translate(GENERATOR, name))
    with torch.no_grad():
        official.compare(model(official.latents(100)), official.outputs("gmi_generator")[0])


def test_the_critic_computes_what_the_official_one_does() -> None:
    model = dcgan.Critic(64, 64).eval()
    official.fill(model, lambda name: translate(CRITIC, name))
    with torch.no_grad():
        official.compare(model(official.images()), official.outputs("gmi_critic")[0])


@pytest.mark.parametrize("size", [8, 20, 28, 32, 48])
def test_other_sizes(size: int) -> None:
    made = seeded(dcgan.Generator, 5, size, 2)(torch.randn(2, 5))
    assert made.shape == (2, 3, size, size) and made.min() >= 0 and made.max() <= 1
    assert seeded(dcgan.Critic, size, 2)(made).shape == (2,)


def test_the_critic_scores_every_image_alone() -> None:
    critic, x = seeded(dcgan.Critic, 16, 4), images(4, size=16)
    alone = torch.cat([critic(image[None]) for image in x])
    assert torch.allclose(critic(x), alone, rtol=1e-4, atol=1e-6)
