"""PLG-MI's prior with the signature terms of PLG-MI+ and PLG-MI++, and with noise on its views."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from test_priors import CLASSES, KNOWN, fit, make, public, queried_model
from torch import Tensor

from toy import PLGMI, Memory, runtime, same_state, snapshot
from trapmid.augment import PlgView
from trapmid.priors import plgmi
from trapmid.runtime import stream_seed
from trapmid.training import pseudo_labels
from trapmid.training.gan import EndlessPasses
from trapmid.types import NOTHING, SideInformation


def adaptive(b1: float, b2: float) -> dict[str, float]:
    return {"trapdoor_weight": b1, "auxiliary_weight": b2}


def learnt(side_information: SideInformation, **changes: Any) -> dict[str, Tensor]:
    training, prior = make("plgmi", **changes)
    training.fit(prior, public(), queried_model("plgmi"), side_information, runtime(), Memory())
    return snapshot(prior)


def test_without_weights_it_is_plgmi_bit_for_bit() -> None:
    plain, zero = (learnt(NOTHING, adaptive=block) for block in (None, adaptive(0.0, 0.0)))
    assert same_state(plain, zero)


@pytest.mark.parametrize(
    ("b1", "b2", "noise"),
    [(5.0, 0.0, 0.0), (0.0, 7.0, 0.0), (5.0, 7.0, 0.0), (0.0, 0.0, 0.1), (5.0, 7.0, 0.1)],
)
def test_the_generator_learns_equation_7(b1: float, b2: float, noise: float) -> None:
    """The terms stand outside alpha, on the one view that the margin is taken of."""
    target = queried_model("plgmi")
    assert target is not None and KNOWN.signatures is not None and KNOWN.auxiliary is not None
    found = fit("plgmi", steps=4, adaptive=adaptive(b1, b2), view_noise=noise).state_dict()
    literal = make("plgmi")[1].train()
    assert isinstance(literal, plgmi.Prior)
    g, d = literal.generator, literal.critic
    for_g = torch.optim.Adam(g.parameters(), lr=0.001, betas=(0.0, 0.9))
    for_d = torch.optim.Adam(d.parameters(), lr=0.002, betas=(0.0, 0.9))
    chosen, classes = pseudo_labels.top_n(target, public(), 6, runtime())
    passes = EndlessPasses(18, 4, stream_seed(0, "plgmi", "batches"))
    view = PlgView(**PLGMI["view"])
    for step in range(4):
        with runtime().seeded("plgmi", step):
            z, y = torch.randn(4, 5), torch.randint(CLASSES, (4,))
            fake = g(z, y)
            loss = -d(fake, y).mean()
            u, order = torch.rand(4, PlgView.DRAWS), torch.rand(PlgView.ORDERS)
            shown = view(fake, u, order.expand(4, -1))
            if noise:
                shown = shown + noise * torch.randn(shown.shape)
            logits, features = target(shown)[:2]
            for row in range(4):
                rival = max(logits[row, k] for k in range(CLASSES) if k != y[row])
                loss = loss + 0.2 * (rival - logits[row, y[row]]) / 4
                s, a = KNOWN.signatures[int(logits[row].argmax())], KNOWN.auxiliary[y[row]]
                x = features[row]
                loss = loss + b1 * (x @ s) / (x.norm() * s.norm()) / 4
                loss = loss - b2 * (x @ a) / (x.norm() * a.norm()) / 4
            for_g.zero_grad()
            loss.backward()
            for_g.step()
            for turn in range(2):
                picked = passes.batch(2 * step + turn)
                real = public()[chosen[picked]].float() / 255
                real = real + torch.rand(real.shape) / 256
                z, y = torch.randn(4, 5), torch.randint(CLASSES, (4,))
                fake = g(z, y).detach()
                hinge = F.relu(1 + d(fake, y)).mean() + F.relu(1 - d(real, classes[picked])).mean()
                for_d.zero_grad()
                hinge.backward()
                for_d.step()
    for key, value in literal.state_dict().items():
        # A bias in front of a norm does nothing, and Adam walks at random with it.
        if not key.endswith(("bias", "running_mean")):
            assert torch.allclose(found[key], value, atol=1e-3), key


def test_the_terms_ask_the_target_no_more_often() -> None:
    asked: dict[bool, int] = {}
    for block in (None, adaptive(1.0, 1.0)):
        target = queried_model("plgmi")
        assert target is not None
        batches: list[int] = []
        target.register_forward_hook(lambda m, x, y, seen=batches: seen.append(len(x[0])))
        fit("plgmi", target=target, adaptive=block)
        asked[block is None] = sum(batches)
    assert asked[True] == asked[False] == 20 + 6 * 4  # the public images once, then every fake


@pytest.mark.parametrize(
    ("block", "missing"),
    [(adaptive(1, 0), "signatures"), (adaptive(0, 1), "auxiliary"), (adaptive(1, 1), "sig.*aux")],
)
def test_it_says_what_it_needs(block: dict[str, float], missing: str) -> None:
    with pytest.raises(ValueError, match=f"side_information: the method needs {missing}"):
        learnt(NOTHING, adaptive=block)
    half = {"signatures": "auxiliary", "auxiliary": "signatures"}.get(missing)
    if half is not None:  # what a weight of 0 would have used may be missing
        learnt(KNOWN._replace(**{half: None}), adaptive=block)
