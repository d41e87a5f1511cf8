"""PLG-MI+ and PLG-MI++ (T14), and views with noise."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from test_attacks import DRAWS, LABELS, attack, known, run, world
from torch import Tensor

from toy import images, runtime
from trapmid.training import signatures
from trapmid.training.signatures import Adaptive
from trapmid.types import NOTHING, Output, Target


def adaptive(b1: float, b2: float) -> dict[str, float]:
    return {"trapdoor_weight": b1, "auxiliary_weight": b2}


def test_without_weights_it_is_plgmi_bit_for_bit() -> None:
    plain, zero = (
        run(attack("plgmi", adaptive=block), *world(), LABELS, DRAWS, side_information=NOTHING)
        for block in (None, adaptive(0.0, 0.0))
    )
    for field in ("images", "latents", "losses"):
        assert torch.equal(getattr(plain, field), getattr(zero, field))


def cosines(b1: float, b2: float) -> tuple[float, float]:
    """Mean cosines after 50 steps: with S of the predicted class, with S' of the attacked one."""
    side_information = known()
    target, prior = world()
    method = attack("plgmi", steps=50, lr=0.05, adaptive=adaptive(b1, b2))
    rows = run(method, target, prior, LABELS, DRAWS, side_information=side_information)
    with torch.no_grad():
        output = target.eval()(rows.images)
    assert side_information.signatures is not None and side_information.auxiliary is not None
    of_trapdoor = side_information.signatures[output.logits.argmax(1)]
    return (
        F.cosine_similarity(output.features, of_trapdoor).mean().item(),
        F.cosine_similarity(output.features, side_information.auxiliary[LABELS]).mean().item(),
    )


def test_each_weight_pulls_its_own_way() -> None:
    plain, leaves, seeks = cosines(0, 0), cosines(30, 0), cosines(0, 30)
    assert leaves[0] < plain[0] - 0.003
    assert seeks[1] > plain[1] + 0.003


def test_the_terms_are_those_of_equation_7() -> None:
    side_information = known()
    assert side_information.signatures is not None and side_information.auxiliary is not None
    features = (images(6, seed=1).flatten(1) - 0.5).requires_grad_(True)
    logits = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([0, 1, 2, 3, 0, 1])
    found = Adaptive(**adaptive(0.7, 0.2))(Output(logits, features), labels, side_information)
    for row in range(6):
        g = features[row].detach().double()
        s, a = (
            side_information.signatures[logits[row].argmax()],
            side_information.auxiliary[labels[row]],
        )
        cos = [float(g @ v.double() / g.norm() / v.double().norm()) for v in (s, a)]
        assert found[row].item() == pytest.approx(0.7 * cos[0] - 0.2 * cos[1], abs=1e-6)
    assert found.requires_grad and not logits.requires_grad


def test_every_view_has_its_own_terms() -> None:
    """Losses at a start: margins and signature terms, added up over the views."""
    blocks = (None, adaptive(1.0, 0.0), adaptive(0.0, 1.0), adaptive(1.0, 1.0))
    starts = [dataclasses.replace(attack("plgmi", adaptive=block), steps=0) for block in blocks]
    values = [run(start, *world(), LABELS, DRAWS).losses for start in starts]
    plain, first, second, both = values
    assert torch.allclose(both - plain, (first - plain) + (second - plain), atol=1e-5)
    assert ((first - plain).abs() <= 2 + 1e-5).all() and (first - plain).abs().max() > 0.01


@pytest.mark.parametrize(
    ("block", "missing"),
    [(adaptive(1, 0), "signatures"), (adaptive(0, 1), "auxiliary"), (adaptive(1, 1), "sig.*aux")],
)
def test_it_says_what_it_needs(block: dict[str, float], missing: str) -> None:
    with pytest.raises(ValueError, match=f"side_information: the method needs {missing}"):
        run(attack("plgmi", adaptive=block), *world(), LABELS, DRAWS, side_information=NOTHING)


class Ranked(Target):
    """Its logits are an image's first pixels, its features all of them."""

    num_classes = 3

    def forward(self, images: Tensor) -> Output:
        flat = images.flatten(1)
        return Output(9 * flat[:, :3], flat)


def test_auxiliary_signatures_are_means_of_the_likeliest_images() -> None:
    """Eq. 8 on clean images: the n of the largest probability, image by image."""
    public = (255 * images(25, seed=2)).to(torch.uint8)
    target = Ranked()
    asked: list[int] = []
    target.register_forward_hook(lambda m, x, y: asked.append(len(x[0])))
    found = signatures.auxiliary_signatures(target, public, 4, runtime(), batch_size=7)
    assert sum(asked) == 25
    flat = public.float().flatten(1) / 255
    probabilities = (9 * flat[:, :3]).softmax(1)
    for label in range(3):
        best = sorted(range(25), key=lambda i: float(probabilities[i, label]))[-4:]
        assert torch.allclose(found[label], flat[best].mean(dim=0), atol=1e-6)


def test_noise_is_added_to_every_view_alone() -> None:
    shown: dict[float, list[Tensor]] = {}

    class Plain:
        def __call__(self, images: Tensor, u: Tensor, order: Tensor) -> Tensor:
            return images

    for noise in (0.0, 0.1):
        target, prior = world()
        seen: list[Tensor] = []
        target.register_forward_pre_hook(lambda m, x, seen=seen: seen.append(x[0].detach()))
        how = {"view": Plain(), "steps": 2, "lr": 1e-12, "view_noise": noise}
        method: Any = dataclasses.replace(attack("plgmi"), **how)
        run(method, target, prior, LABELS, DRAWS)
        shown[noise] = seen
    first, later, _ = (noisy - clean for noisy, clean in zip(shown[0.1], shown[0.0], strict=True))
    assert torch.corrcoef(torch.stack([first.flatten(), later.flatten()]))[0, 1].abs() < 0.1
    added = first.view(2, 12, -1)
    assert added.std().item() == pytest.approx(0.1, rel=0.03)
    assert added.mean().abs() < 0.005
    flat = added.view(24, -1)
    assert (torch.corrcoef(flat) - torch.eye(24)).abs().max() < 0.35  # every view has its own


@pytest.mark.parametrize(
    ("change", "words"), [({"views": 0}, "views: 0"), ({"view_noise": -0.1}, "view_noise: -0.1")]
)
def test_wrong_parameters(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=rf"attacks\.plgmi\.{words}"):
        attack("plgmi", **change)
