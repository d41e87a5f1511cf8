"""IF-GMI against a loop of its own, its ball, and who chooses the layer."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from test_attacks import CLASSES, DRAWS, IFGMI, LABELS, attack, run, world
from torch import Tensor, nn

from toy import ToyBlockPrior, ToyPrior, ToyTarget, seeded
from trapmid import losses, wiring
from trapmid.augment import ResizedCrop
from trapmid.runtime import counter_uniform
from trapmid.search import latents
from trapmid.types import BlockPrior, Features, Output, Prior

# Steps that are too large: a layer may end worse than it began.
HARSH: dict[str, Any] = {"lr": 1.5, "realism_weight": 0.0}


def project(x: list[float], radius: float) -> list[float]:
    """Onto the l1 ball, by bisection of what is taken from every size."""
    if sum(map(abs, x)) <= radius:
        return x
    low, high = 0.0, max(map(abs, x))
    for _ in range(100):
        middle = (low + high) / 2
        inside = sum(max(abs(v) - middle, 0.0) for v in x) <= radius
        low, high = (low, middle) if inside else (middle, high)
    return [(1 if v > 0 else -1) * max(abs(v) - high, 0.0) for v in x]


def test_it_equals_one_search_after_the_other() -> None:
    """Row by row: Adam on the codes; then a new Adam on codes and features, and a projection."""
    target, prior = world("ifgmi")
    assert isinstance(prior, BlockPrior)
    target.eval(), prior.eval()
    radius, rate = 0.6, 0.05
    method = attack(
        "ifgmi", steps=5, layers=[{"steps": 4, "radius": radius}], layer=1, lr=rate, loss="ce"
    )
    found = run(method, target, prior, LABELS, DRAWS)
    keys = latents.row_keys(LABELS, DRAWS, 0, "views")
    starts = latents.start(LABELS, DRAWS, 5, seed=0)
    binding = False
    for row in range(len(LABELS)):
        label = LABELS[row : row + 1]

        def loss(images: Tensor, step: int, row: int = row, label: Tensor = label) -> Tensor:
            view = method.view(images, counter_uniform(keys[row : row + 1] + step, 22))
            identity = losses.cross_entropy(target(view).logits, label)
            return (identity - 0.01 * prior.realism(images, label)).sum() / 6

        z = starts[row : row + 1].clone().requires_grad_(True)
        adam = torch.optim.Adam([z], lr=rate, betas=(0.1, 0.1))
        for step in range(5):
            adam.zero_grad()
            loss(prior(z, label), step).backward()
            adam.step()
        with torch.no_grad():
            start = prior.norm(z) + prior.shift(label)  # type: ignore[operator]
        h = start.clone().requires_grad_(True)
        adam = torch.optim.Adam([h], lr=rate, betas=(0.1, 0.1))  # no later block sees codes
        for step in range(5, 9):
            adam.zero_grad()
            image = prior.linear(h).sigmoid().view(1, 3, 8, 8)  # type: ignore[operator]
            loss(image, step).backward()
            adam.step()
            moved = (h.detach() - start)[0].tolist()
            binding |= sum(map(abs, moved)) > radius
            h.data = start + torch.tensor([project(moved, radius)])
        with torch.no_grad():
            wanted = prior.linear(h).sigmoid().view(3, 8, 8)  # type: ignore[operator]
        assert torch.allclose(found.images[row], wanted, atol=1e-4)
        assert torch.allclose(found.latents[row], z[0], atol=1e-4)
    assert binding  # else the ball was not tested
    assert ResizedCrop.DRAWS == 22


@pytest.mark.parametrize("layer", [0, 1])
def test_a_fixed_layer(layer: int) -> None:
    """Layer 0 is the search of the codes alone, whatever comes after it."""
    found = run(attack("ifgmi", layer=layer), *world("ifgmi"), LABELS, DRAWS)
    assert found.counts["layer"].tolist() == [layer] * 12
    alone = run(attack("ifgmi", layers=[], layer=0), *world("ifgmi"), LABELS, DRAWS)
    assert torch.allclose(found.images, alone.images, atol=1e-6) is (layer == 0)


def test_the_target_chooses_the_layer() -> None:
    """Of each row that of the lower loss, which is not the same one everywhere."""
    both = [run(attack("ifgmi", layer=n, **HARSH), *world("ifgmi"), LABELS, DRAWS) for n in (0, 1)]
    found = run(attack("ifgmi", **HARSH), *world("ifgmi"), LABELS, DRAWS)
    target, _ = world("ifgmi")
    with torch.no_grad():
        losses_of = torch.stack(
            [losses.poincare(target.eval()(one.images).logits, LABELS) for one in both]
        )
    kept = losses_of.argmin(dim=0)
    assert 0 < kept.sum() < len(kept)
    assert torch.equal(found.counts["layer"], kept)
    assert torch.allclose(found.losses, losses_of.min(dim=0).values, atol=1e-6)
    wanted = torch.stack([both[n].images[row] for row, n in enumerate(kept.tolist())])
    assert torch.equal(found.images, wanted)


def test_no_evaluator_has_a_say() -> None:
    """No network but target and prior is asked while it searches and chooses."""
    target, prior = world("ifgmi")
    own = {id(part) for network in (target, prior) for part in network.modules()}
    asked: list[nn.Module] = []
    hook = nn.modules.module.register_module_forward_hook(lambda part, *_: asked.append(part))
    try:
        run(attack("ifgmi"), target, prior, LABELS, DRAWS)
    finally:
        hook.remove()
    assert asked and all(id(part) in own for part in asked)


def test_where_pixels_are_clipped() -> None:
    """In what comes out, and in the search alone where it is always so."""

    class Loud(ToyBlockPrior):
        def shown(self, last: Features) -> Tensor:
            return 4 * super().shown(last) - 2

    class Listening(ToyTarget):
        def forward(self, images: Tensor) -> Output:
            heard.append(images.detach())
            return super().forward(images)

    outside: dict[str, tuple[bool, bool]] = {}
    whole = {"area": [1.0, 1.0], "ratio": [1.0, 1.0]}
    for clip in ("never", "result", "always"):
        heard: list[Tensor] = []
        target, prior = seeded(Listening, CLASSES), seeded(Loud, CLASSES)
        rows = run(attack("ifgmi", clip=clip, view=whole), target, prior, LABELS, DRAWS)
        seen = torch.cat(heard)
        outside[clip] = (
            bool((rows.images != rows.images.clamp(0, 1)).any()),
            bool((seen < -1e-5).any() or (seen > 1 + 1e-5).any()),
        )
    assert outside == {"never": (True, True), "result": (False, True), "always": (False, False)}


def test_a_critic_without_weight_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The official weight is 0, and a critic's pass back and forth takes time."""
    target, prior = world("ifgmi")
    asked: list[int] = []
    realism = type(prior).realism

    def seen(self: Prior, images: Tensor, labels: Tensor) -> Tensor:
        asked.append(len(images))
        return realism(self, images, labels)

    monkeypatch.setattr(type(prior), "realism", seen)
    run(attack("ifgmi", realism_weight=0.0), target, prior, LABELS, DRAWS)
    assert not asked
    run(attack("ifgmi", realism_weight=0.1), target, prior, LABELS, DRAWS)
    assert asked


def test_candidates_of_the_target_are_where_it_begins() -> None:
    method = attack("ifgmi, styles", steps=1, lr=1e-12, layer=0)
    target, prior = world("ifgmi, styles")
    rows = run(method, target, prior, LABELS, DRAWS)
    assert torch.allclose(rows.latents, prior.candidates(LABELS, DRAWS)[:, 0])  # type: ignore[operator]
    assert method.images_of_each(5) == 3 and attack("ifgmi").images_of_each(5) == 5


def test_priors_that_do_not_fit() -> None:
    target, plain = world("ifgmi")[0], seeded(ToyPrior, CLASSES)
    assert isinstance(plain, Prior)
    with pytest.raises(ValueError, match="prior: its generator has no blocks"):
        run(attack("ifgmi"), target, plain, LABELS, DRAWS)
    layers = 2 * [{"steps": 1, "radius": 1.0}]
    with pytest.raises(ValueError, match="layers: 2 are searched, the prior has 1 blocks"):
        run(attack("ifgmi", layers=layers), *world("ifgmi"), LABELS, DRAWS)
    with pytest.raises(ValueError, match="prior: has no style codes"):
        run(attack("ifgmi, styles"), *world("ifgmi"), LABELS, DRAWS)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"loss": "mse"}, r"attacks\.ifgmi\.loss: 'mse' is not one of ce, margin, poincare, logit"),
        ({"layer": 2}, r"attacks\.ifgmi\.layer: 2, but layers has 1"),
        ({"layers": [{"steps": 0, "radius": 1.0}]}, r"attacks\.ifgmi\.layers.*steps"),
    ],
)
def test_wrong_blocks(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        wiring.attack("ifgmi", IFGMI | changes)
