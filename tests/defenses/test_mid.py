"""MID: the bottleneck against the official network, its loss against torch's own divergence."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch.distributions import Normal, kl_divergence

import official
from toy import ToyNet, ToyTarget, images, seeded, setting
from trapmid import wiring
from trapmid.defenses.mid import Bottleneck, Defense
from trapmid.runtime import eval_mode
from trapmid.types import Progress

MEAN = Defense(weight=0.5, width=6, noise="mean")
NAMES = {"code": "st_layer", "classifier": "fc_layer"}


def bottleneck(*, fresh: bool = False) -> Bottleneck:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Bottleneck(seeded(ToyNet, 4), 6, fresh=fresh)


def parameters(arch: str, width: int) -> int:
    with torch.device("meta"):
        model = Defense(weight=0.003, width=width, noise="mean").adapt(
            wiring.target(arch)(1000, 64)
        )
    return sum(p.numel() for p in model.parameters())


def test_numbers_of_parameters() -> None:
    assert parameters("vgg16", 1024) == 19_944_488  # official VGG16_vib
    # The IR networks keep their last layer (512 to 1,000) and gain one of 512 to 2 x 512.
    assert parameters("facenet64", 512) == 35_437_224 + 512 * 1024 + 1024
    assert parameters("ir152", 512) == 62_599_848 + 512 * 1024 + 1024


def test_vgg16_computes_what_the_official_network_does() -> None:
    """Its noise is another at every call, so features, means and deviations are compared."""
    with torch.device("meta"):
        model = Defense(weight=0.003, width=1024, noise="mean").adapt(
            wiring.target("vgg16")(1000, 64)
        )
    model = model.to_empty(device="cpu")
    assert isinstance(model, Bottleneck)

    def official_name(name: str) -> str:
        if name.startswith("trunk.features."):
            return "feature." + name.removeprefix("trunk.features.")
        head, rest = name.split(".", 1)
        return f"{NAMES[head]}.{rest}"

    official.fill(model, official_name)
    with torch.no_grad(), eval_mode(model):
        code = model.encode(official.images())
    feature, _, mean, deviation = official.outputs("vgg16_vib")
    official.compare(code.embedding.vector, feature)
    official.compare(code.mean, mean)
    official.compare(code.deviation, deviation)


def test_the_loss() -> None:
    model, x, y = bottleneck().train(), images(8), torch.arange(8) % 4
    torch.manual_seed(5)
    loss = MEAN.objective(setting())(model, x, y, Progress(0, 1, 0, 1))
    torch.manual_seed(5)
    code = bottleneck().train().encode(x)
    sampled = code.mean + code.deviation * torch.randn_like(code.mean)
    main = F.cross_entropy(model.classifier(sampled), y)
    information = kl_divergence(Normal(code.mean, code.deviation), Normal(0.0, 1.0)).sum(1).mean()
    assert torch.allclose(loss.parts["main_loss"], main)
    assert torch.allclose(loss.parts["information"], information, rtol=1e-5)
    assert torch.allclose(loss.total, main + 0.5 * information, rtol=1e-5)


def test_noise_in_eval_mode_is_a_choice() -> None:
    x = images(3)
    for fresh in (False, True):
        model = bottleneck(fresh=fresh).eval()
        assert model.stochastic == fresh
        assert torch.equal(model(x).logits, model(x).logits) != fresh
        assert torch.equal(model(x).features, model(x).features)
    still = bottleneck().eval()
    assert torch.equal(still(x).logits, still.classifier(still.encode(x).mean))
    assert not torch.equal(still.train()(x).logits, still(x).logits)


@pytest.mark.parametrize(("noise", "differs"), [("mean", False), ("fresh", True)])
def test_a_block_says_whether_answers_are_noisy(noise: str, differs: bool) -> None:
    block, x = {"weight": 0.1, "width": 6, "noise": noise}, images(3)
    model = wiring.defense("mid", block, "mid").adapt(seeded(ToyNet, 4)).eval()
    assert model.stochastic is differs
    assert torch.equal(model(x).logits, model(x).logits) is not differs


def test_the_trunk_loses_its_head() -> None:
    plain, model = seeded(ToyNet, 4), bottleneck()
    assert {n for n in model.state_dict() if "classifier" in n} == {
        "classifier.weight",
        "classifier.bias",
    }
    assert model.classifier.weight.shape == (4, 6)
    with eval_mode(plain, model):
        assert torch.equal(model(images(2)).features, plain.embed(images(2)).vector)
        assert len(model(images(2)).hidden) == 2


def test_a_network_without_a_trunk_is_refused() -> None:
    """The least target has classes and a forward pass, and nothing that a bottleneck could join."""
    with pytest.raises(ValueError, match=r"^arch: toy has no trunk apart from its head$"):
        MEAN.adapt(seeded(ToyTarget, 4))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weight": -1.0}, r"mid\.weight: -1\.0 is not in \[0, 1e\+30\]"),
        ({"width": 0}, r"mid\.width: 0 is under 1"),
        ({"noise": "none"}, r"mid\.noise: 'none' is not one of fresh, mean"),
    ],
)
def test_wrong_blocks_name_themselves(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        wiring.defense("mid", {"weight": 0.1, "width": 2, "noise": "mean"} | changes, "mid")
