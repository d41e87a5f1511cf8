"""Discriminators: what each is made of, and what they say."""

from __future__ import annotations

from functools import partial

import pytest
import torch
import torch.nn.functional as F

from toy import ToyTarget, images, plan, runtime, seeded
from trapmid.training import fit, hiding
from trapmid.types import Output, Setting


def setting(side: int = 8, seed: int = 0) -> Setting:
    return Setting(
        image_shape=(3, side, side),
        num_classes=5,
        new_network=lambda outputs: seeded(ToyTarget, outputs, seed=outputs),
        new_optimizer=partial(fit.make_optimizer, plan()),
        rt=runtime(seed),
    )


def test_a_discriminator_is_the_target_or_a_small_network() -> None:
    own, small = hiding.image_critic(setting(), None), hiding.image_critic(setting(), 2)
    assert isinstance(own, ToyTarget) and own.num_classes == 1
    weights = sum(p.numel() for p in small.parameters())
    assert weights == 3 * 25 * 2 + 2 + 2 * 4 * 4 + 1  # a 5x5 convolution, and a head on 4x4 pixels
    for critic in (own, small):
        assert hiding.score(critic, images(6)).shape == (6,)


def test_a_small_discriminator_starts_from_its_seed_alone() -> None:
    one, other, third = (hiding.image_critic(setting(seed=s), 2) for s in (0, 0, 1))
    values = [next(critic.parameters()) for critic in (one, other, third)]
    assert torch.equal(values[0], values[1]) and not torch.equal(values[0], values[2])


def test_an_image_that_cannot_be_halved_is_refused() -> None:
    with pytest.raises(ValueError, match="image_size: 36 is not"):
        hiding.image_critic(setting(36), 2)


@pytest.mark.parametrize("truth", [0.0, 0.5, 1.0])
def test_bce_is_that_of_probabilities(truth: float) -> None:
    scores = torch.tensor([-3.0, 0.0, 2.0])
    wanted = F.binary_cross_entropy(scores.sigmoid(), torch.full((3,), truth))
    assert hiding.bce(scores, truth).item() == pytest.approx(wanted.item(), rel=1e-6)


def test_the_feature_input_is_features_and_the_predicted_class() -> None:
    features = torch.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    logits = torch.tensor([[0.0, 5.0, 1.0], [7.0, 0.0, 1.0]], requires_grad=True)
    made = hiding.feature_input(Output(logits, features))
    assert made.tolist() == [[1, 2, 0, 1, 0], [3, 4, 1, 0, 0]]
    made.sum().backward()
    assert logits.grad is None and features.grad is not None
