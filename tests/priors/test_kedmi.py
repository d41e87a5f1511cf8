"""KED-MI's prior against section 3.1 of Chen et al., written out (T1, T6, T7)."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from test_priors import CLASSES, GMI, KEDMI, SIZE, fit, make, public, start
from torch import Tensor

from toy import LINEAGE, Memory, ToyTarget, images, runtime, same_state, seeded, snapshot
from trapmid.artifacts import priors
from trapmid.artifacts.checkpoints import CheckpointError
from trapmid.nets.minibatch import ClassDiscriminator, Closeness
from trapmid.priors import kedmi
from trapmid.runtime import stream_seed
from trapmid.training.gan import Passes
from trapmid.types import NOTHING

# --- the discriminator --------------------------------------------------------------------------


def test_the_official_size() -> None:
    """T1: the table of the specification, layer by layer."""
    network = ClassDiscriminator(1000, 64, 64)
    counts = [sum(p.numel() for p in part.parameters()) for part in network.body]
    layers = [4_864, 128, 0, 204_928, 256, 0, 819_456, 512, 0, 590_080, 512, 0, 0]
    assert counts == layers
    assert network.closeness.kernels.shape == (4096, 64, 50)
    assert network.head.weight.shape == (1000, 4160)
    assert sum(p.numel() for p in network.parameters()) == 18_888_936
    x, shapes = torch.rand(2, 3, 64, 64), []
    for part in network.body:
        x = part(x)
        shapes.append(tuple(x.shape[1:]))
    assert shapes[::3][:4] == [(64, 32, 32), (128, 16, 16), (256, 8, 8), (256, 4, 4)]
    assert shapes[-1] == (4096,)


def literal_closeness(features: Tensor, kernels: Tensor) -> Tensor:
    rows = []
    for i in range(len(features)):
        total = torch.zeros(kernels.shape[1])
        for j in range(len(features)):
            if j != i:
                mine, theirs = (torch.einsum("f,fok->ok", features[at], kernels) for at in (i, j))
                total += torch.exp(-(mine - theirs).abs().sum(dim=1))
        rows.append(total)
    return torch.stack(rows)


def test_closeness_equals_the_loop() -> None:
    torch.manual_seed(0)
    layer = Closeness(6, 3)
    features = 0.01 * torch.randn(5, 6)
    wanted = literal_closeness(features, layer.kernels)
    assert wanted.max() > 0.05
    assert torch.allclose(layer(features), wanted, atol=1e-5)


def test_closeness_is_dead_on_different_images_and_alive_on_copies() -> None:
    """T6: exactly 0 with exactly no gradient on random batches; near-duplicates wake it."""
    torch.manual_seed(0)
    network = ClassDiscriminator(5, 32, 16).train()
    x = images(8, size=32)
    features = network.features(x)
    close = network.closeness(features)
    assert torch.equal(close, torch.zeros(8, 16))
    (gradient,) = torch.autograd.grad(close.sum(), network.closeness.kernels)
    assert torch.equal(gradient, torch.zeros_like(gradient))
    twins = network.closeness(network.features(x[:1] + 1e-7 * images(2, seed=1, size=32)))
    assert (twins > 0).all()


def test_in_a_search_every_image_is_alone() -> None:
    network = ClassDiscriminator(5, 32, 16).eval()
    x = images(1, size=32).expand(3, -1, -1, -1)
    assert torch.allclose(network(x), network(x[:1]).expand(3, -1), atol=1e-5)
    assert torch.equal(network.closeness(network.features(x)), torch.zeros(3, 16))


# --- the training -------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_kedmi_equals_the_literal_training(mode: str) -> None:
    """T7: soft labels by the target in either mode, D each step, G each second, sums and means."""
    target = seeded(ToyTarget, CLASSES)
    found = fit("kedmi", target=target, target_mode=mode, batch_size=5, entropy_weight=0.3)
    literal = make("kedmi")[1].train()
    assert isinstance(literal, kedmi.Prior)
    g, d = literal.generator, literal.discriminator
    teacher = seeded(ToyTarget, CLASSES).train(mode == "train")
    for_g = torch.optim.Adam(g.parameters(), lr=0.001, betas=(0.5, 0.999))
    for_d = torch.optim.Adam(d.parameters(), lr=0.002, betas=(0.5, 0.999))
    passes = [
        Passes(20, 5, stream_seed(0, "kedmi", name)) for name in ("labelled", "real", "matched")
    ]
    for step in range(6):
        x, u1, u2 = (public()[p.batch(step)].float() / 255 for p in passes)
        with runtime().seeded("kedmi", step):
            with torch.no_grad():
                soft = teacher(x).logits.softmax(1)
            fake = g(torch.randn(5, 5)).detach()
            real, false = (d(i).exp().sum(1) for i in (u1, fake))
            loss = -(soft * d(x).softmax(1).log()).sum() / 5
            loss = loss - 0.5 * (real / (1 + real)).log().mean()
            loss = loss - 0.5 * (1 / (1 + false)).log().mean()
            for_d.zero_grad()
            loss.backward()
            for_d.step()
            if step % 2 == 1:
                fake = g(torch.randn(5, 5))
                h, wanted = d.features(fake), d.features(u2).detach()
                p = d(fake).softmax(1)
                match = (h.mean(0) - wanted.mean(0)).abs().mean()
                for_g.zero_grad()
                (match - 0.3 * (p * p.log()).sum()).backward()
                for_g.step()
    assert isinstance(found, kedmi.Prior)
    for key, value in literal.generator.state_dict().items():
        assert torch.allclose(found.generator.state_dict()[key], value, atol=2e-4), key
    x = images(
        6, seed=8
    )  # biases in front of a norm do nothing, and Adam walks at random with them
    with torch.no_grad():
        mine, theirs = found.discriminator.eval()(x), literal.discriminator.eval()(x)
    assert torch.allclose(mine, theirs, atol=2e-3) and theirs.std() > 0.05


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_the_mode_of_the_target_changes_its_labels_but_never_the_target(mode: str) -> None:
    """Running statistics move on a copy alone; where they move, the prior is another one."""
    target = seeded(ToyTarget, CLASSES)
    before = snapshot(target)
    found = fit("kedmi", target=target, target_mode=mode).state_dict()
    assert same_state(before, snapshot(target))
    other = fit("kedmi", target=target, target_mode="eval").state_dict()
    assert same_state(found, other) is (mode == "eval")


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_running_statistics_of_the_asked_copy_move_in_train_mode_alone(
    monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    """T7, on the copy that labels."""
    copies: list[Any] = []
    real = copy.deepcopy

    def spy(x: Any, memo: Any = None) -> Any:
        made = real(x, memo)
        copies.extend([made] if isinstance(made, ToyTarget) else [])
        return made

    monkeypatch.setattr("copy.deepcopy", spy)
    target = seeded(ToyTarget, CLASSES)
    fit("kedmi", target=target, target_mode=mode)
    (asked,) = copies
    moved = not torch.equal(asked.norm.running_mean, target.norm.running_mean)
    assert moved is (mode == "train")
    assert torch.equal(asked.classifier.weight, target.classifier.weight)


def test_realism_is_the_log_probability_of_being_real() -> None:
    prior = make("kedmi")[1].eval()
    assert isinstance(prior, kedmi.Prior)
    x = images(4)
    with torch.no_grad():
        scores = prior.realism(x, torch.zeros(4, dtype=torch.int64))
        odds = prior.discriminator(x).double().exp().sum(dim=1)
        assert scores.tolist() == pytest.approx([math.log(o / (1 + o)) for o in odds], abs=1e-5)
        lse = prior.discriminator(x).logsumexp(dim=1)
        assert torch.allclose(-scores, F.softplus(lse) - lse, atol=1e-6)  # the official prior loss


def test_kedmi_needs_a_target() -> None:
    training, prior = make("kedmi")
    with pytest.raises(ValueError, match="training: kedmi learns from a target"):
        training.fit(prior, public(), None, NOTHING, runtime(), Memory())


# --- starts -------------------------------------------------------------------------------------


def test_it_may_start_from_gmis_generator(tmp_path: Path) -> None:
    gmi = fit("gmi")
    priors.save(tmp_path / "gmi.pt", "gmi", GMI, SIZE, gmi, LINEAGE)
    (tmp_path / "random").write_text("random")
    began, fresh = (start("kedmi", tmp_path / name, CLASSES) for name in ("gmi.pt", "random"))
    assert isinstance(began, kedmi.Prior) and isinstance(fresh, kedmi.Prior)
    wanted = {
        key.removeprefix("generator."): value
        for key, value in gmi.state_dict().items()
        if key.startswith("generator.")
    }
    assert same_state(began.generator.state_dict(), wanted)
    assert same_state(began.discriminator.state_dict(), fresh.discriminator.state_dict())


def test_it_may_start_from_another_of_its_kind(tmp_path: Path) -> None:
    earlier = fit("kedmi")
    priors.save(tmp_path / "kedmi.pt", "kedmi", KEDMI, SIZE, earlier, LINEAGE)
    assert same_state(
        start("kedmi", tmp_path / "kedmi.pt", CLASSES).state_dict(), earlier.state_dict()
    )
    with pytest.raises(CheckpointError, match="size mismatch"):
        start("kedmi", tmp_path / "kedmi.pt", CLASSES + 1)
