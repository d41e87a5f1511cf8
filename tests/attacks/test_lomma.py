"""LOMMA against section 4.3 of the specification (T13), and KED-MI's search against 3.3."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from test_attacks import CLASSES, DRAWS, LABELS, attack, known, run, world
from torch import Tensor

from trapmid.runtime import counter_normal, stream_seed
from trapmid.search import latents
from trapmid.types import Output, Prior, SideInformation, Target

WEIGHTS: dict[str, Any] = {"identity_weight": 100.0, "feature_weight": 0.3, "reference_batch": 12}


def literal_loss(
    target: Target, prior: Prior, side_information: SideInformation, z: Tensor, y: Tensor
) -> Tensor:
    """Means over the batch, as the official code has them; two students here."""
    x = prior(z, y)
    assert side_information.students is not None and side_information.feature_mean is not None
    students = side_information.students.eval().members  # type: ignore[union-attr]
    networks = [target, *students]  # type: ignore[misc]
    logits = sum(F.nll_loss(network(x).logits, y) for network in networks) / 3
    regular = F.mse_loss(target(x).features, side_information.feature_mean.expand(len(y), -1))
    total: Tensor = -prior.realism(x, y).mean() + 100 * (logits + 0.3 * regular)
    return total


def test_lomma_equals_the_official_batch_loop() -> None:
    target, prior = world()
    target.eval(), prior.eval()
    side_information = known()
    z = latents.start(LABELS, DRAWS, prior.latent_dim, seed=0)
    v = torch.zeros_like(z)
    for _ in range(8):
        leaf = z.clone().requires_grad_(True)
        (g,) = torch.autograd.grad(
            literal_loss(target, prior, side_information, leaf, LABELS), leaf
        )
        before, v = v, 0.9 * v - 0.02 * g
        z = (z - 0.9 * before + 1.9 * v).clamp(-1, 1)
    method = attack("lomma", steps=8, **WEIGHTS)
    rows = run(method, target, prior, LABELS, DRAWS, side_information=side_information)
    assert torch.allclose(rows.latents, z, atol=2e-4)
    wanted = literal_loss(target, prior, side_information, z, LABELS)
    assert rows.losses.mean().item() == pytest.approx(wanted.item(), rel=1e-3)


def normals(scope: str, step: int, latent_dim: int, draws: list[int] | None = None) -> Tensor:
    keys = [
        stream_seed(0, scope, label, *(() if draws is None else (draw,)))
        for label in range(4)
        for draw in (draws or [0])
    ]
    return counter_normal(torch.tensor(keys) + step, latent_dim)


@pytest.mark.parametrize("name", ["kedmi", "lomma, distributions"])
def test_distributional_recovery_equals_adam_on_mu_and_log_variance(name: str) -> None:
    """One optimisation an identity, one sample a step; LOMMA clamps it, in the gradient, too."""
    target, prior = world()
    target.eval(), prior.eval()
    side_information, classes = known(), torch.arange(4)
    mu = torch.zeros(4, prior.latent_dim, requires_grad=True)
    log_variance = torch.ones(4, prior.latent_dim, requires_grad=True)
    adam = torch.optim.Adam([mu, log_variance], lr=0.1)
    clamped = name != "kedmi"

    def sample(normal: Tensor, rows: Tensor) -> Tensor:
        z = mu[rows] + torch.exp(log_variance[rows] / 2) * normal
        return z.clamp(-1, 1) if clamped else z

    for step in range(12):
        z = sample(normals("distribution", step, prior.latent_dim), classes)
        if clamped:
            loss = literal_loss(target, prior, side_information, z, classes)
        else:
            x = prior(z, classes)
            entropy = F.cross_entropy(target(x).logits, classes)
            loss = -prior.realism(x, classes).mean() + 100 * entropy
        adam.zero_grad()
        loss.backward()
        adam.step()
    changes = WEIGHTS if clamped else {"identity_weight": 100.0}
    method = attack(name, **(changes | {"steps": 12, "lr": 0.1, "reference_batch": 4}))
    rows = run(method, target, prior, LABELS, DRAWS, side_information=side_information)
    with torch.no_grad():
        wanted = sample(normals("draws", 0, prior.latent_dim, [0, 1, 2]), LABELS)
    assert torch.allclose(rows.latents, wanted, atol=2e-3)
    assert bool((rows.latents.abs() > 1).any()) is not clamped


@pytest.mark.parametrize("name", ["kedmi", "lomma, distributions"])
def test_rows_of_one_identity_share_their_search(name: str) -> None:
    """Its images differ by the draw alone, and as many searches run as there are identities."""
    target, prior = world()
    asked: list[int] = []
    target.register_forward_hook(lambda m, x, y: asked.append(len(x[0])))
    run(attack(name, steps=3), target, prior, LABELS, DRAWS)
    assert asked == [4, 4, 4, 4, 12]


@pytest.mark.parametrize("missing", ["students", "feature_mean"])
def test_lomma_says_what_it_needs(missing: str) -> None:
    side_information = known()._replace(**{missing: None})
    with pytest.raises(ValueError, match=f"side_information: the method needs {missing}"):
        run(attack("lomma"), *world(), LABELS, DRAWS, side_information=side_information)


@pytest.mark.parametrize("weight", [0.3, 0.0])
def test_a_target_without_features_has_none_to_be_held_to(weight: float) -> None:
    """An exported program that returns logits alone gives them twice."""
    target, prior = world()
    target.register_forward_hook(lambda m, x, y: Output(y.logits, y.logits.flatten(1)))
    side_information = known(features=CLASSES)
    method = attack("lomma", steps=2, **(WEIGHTS | {"feature_weight": weight}))
    if weight:
        with pytest.raises(ValueError, match=r"feature_weight: .* no features.* must be 0\.0"):
            run(method, target, prior, LABELS, DRAWS, side_information=side_information)
        return
    rows = run(method, target, prior, LABELS, DRAWS, side_information=side_information)
    assert rows.losses.isfinite().all()


def test_students_are_frozen_and_in_eval_mode() -> None:
    side_information = known()
    assert side_information.students is not None
    side_information.students.train()
    modes: list[bool] = []
    side_information.students.members[0].register_forward_hook(  # type: ignore[index, union-attr]
        lambda m, x, y: modes.append(m.training)
    )
    run(attack("lomma", steps=2), *world(), LABELS, DRAWS, side_information=side_information)
    assert not any(modes) and len(modes) == 3
    assert side_information.students.training
    assert all(p.grad is None and p.requires_grad for p in side_information.students.parameters())
