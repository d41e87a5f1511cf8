"""Every promise of `types.Target` for every architecture, and the official VGG16 itself."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

import official
from toy import images, same_state, seeded, snapshot
from trapmid import wiring
from trapmid.runtime import eval_mode
from trapmid.types import Target

# name -> (a small size it takes, one it refuses, features at that size, hidden layers)
ROWS = {
    "small_resnet": (8, 7, 128, 3),
    "small_vgg": (16, 20, 256, 3),
    "vgg16": (32, 31, 512, 5),
}
CLASSES = 4


def test_every_architecture_has_a_row() -> None:
    assert set(wiring.names("targets")) == set(ROWS)


@pytest.fixture(scope="module")
def made() -> dict[str, Target]:
    return {
        name: seeded(wiring.target(name), CLASSES, row[0], statistics=False)
        for name, row in ROWS.items()
    }


@pytest.mark.parametrize("name", ROWS)
def test_output(name: str, made: dict[str, Target]) -> None:
    size, _, width, hidden = ROWS[name]
    model, x = made[name], images(3, size=size)
    with eval_mode(model):
        output = model(x)
        assert model.num_classes == CLASSES
        assert output.logits.shape == (3, CLASSES) and output.features.shape == (3, width)
        assert len(output.hidden) == hidden
        assert all(layer.dim() == 2 and len(layer) == 3 for layer in output.hidden)
        # Features are what the last linear layer sees, and logits are no probabilities.
        (last,) = (m for m in model.modules() if isinstance(m, torch.nn.Linear))
        assert torch.equal(last(output.features), output.logits)
        assert not torch.allclose(output.logits.exp().sum(dim=1), torch.ones(3), atol=1e-2)


@pytest.mark.parametrize("name", ROWS)
def test_eval_is_deterministic_and_row_by_row(name: str, made: dict[str, Target]) -> None:
    model, x = made[name], images(3, size=ROWS[name][0])
    with eval_mode(model), torch.no_grad():
        before = snapshot(model)
        whole = model(x).logits
        assert torch.equal(model(x).logits, whole)
        alone = torch.cat([model(image[None]).logits for image in x])
        assert torch.allclose(alone, whole, rtol=1e-4, atol=1e-5)
        assert same_state(before, snapshot(model))


@pytest.mark.parametrize("name", ROWS)
def test_gradients_reach_the_image(name: str, made: dict[str, Target]) -> None:
    x = images(2, size=ROWS[name][0]).requires_grad_(True)
    with eval_mode(made[name]):
        (slope,) = torch.autograd.grad(made[name](x).logits[:, 0].sum(), x)
    assert slope.isfinite().all() and (slope != 0).flatten(1).any(dim=1).all()


@pytest.mark.parametrize("name", ROWS)
def test_sizes_and_weights_that_do_not_fit(name: str) -> None:
    with pytest.raises(ValueError, match=rf"image_size: {name} needs .*, not {ROWS[name][1]}"):
        wiring.target(name)(CLASSES, ROWS[name][1])
    if wiring.target(name).torchvision_weights is None:
        with pytest.raises(ValueError, match=rf"init: trapmid\.targets\.{name} knows no initial"):
            wiring.target(name)(CLASSES, ROWS[name][0]).start_from({})


@pytest.mark.parametrize("name", ["small_vgg", "vgg16"])
def test_the_bias_before_the_head_is_frozen_at_zero(name: str) -> None:
    with torch.device("meta"):
        model = wiring.target(name)(CLASSES, 32)
    frozen = [n for n, p in model.named_parameters() if not p.requires_grad]
    assert frozen == ["norm.bias"]


# --- VGG16, as published ------------------------------------------------------------------------

NAMES = {"feature": "features", "bn": "norm", "fc_layer": "classifier"}


def vgg16(num_classes: int) -> Target:
    with torch.device("meta"):
        return wiring.target("vgg16")(num_classes, 64)


def test_vgg16_has_the_official_numbers_of_parameters() -> None:
    parameters = list(vgg16(1000).parameters())
    assert sum(p.numel() for p in parameters) == 16_776_232
    assert sum(p.numel() for p in parameters if p.requires_grad) == 16_774_184
    assert sum(p.numel() for p in vgg16(1).parameters()) == 14_729_281


def test_vgg16_computes_what_the_official_network_does() -> None:
    model = vgg16(1000).to_empty(device="cpu")

    def official_name(name: str) -> str:
        head, rest = name.split(".", 1)
        return f"{ {v: k for k, v in NAMES.items()}[head] }.{rest}"

    official.fill(model, official_name)
    with torch.no_grad(), eval_mode(model):
        output = model(official.images())
    for ours, wanted in zip(
        (output.features, output.logits), official.outputs("vgg16"), strict=True
    ):
        official.compare(ours, wanted)


def test_vgg16_takes_torchvisions_convolutions() -> None:
    model = vgg16(3).to_empty(device="cpu")
    torch.nn.init.constant_(model.classifier.weight, 7.0)
    state = {f"features.{k}": torch.full_like(v, 2) for k, v in model.features.state_dict().items()}
    state |= {"classifier.0.weight": torch.zeros(2, 2)}
    model.start_from(state)
    assert all((v == 2).all() for k, v in model.state_dict().items() if k.startswith("features."))
    head: Tensor = model.classifier.weight
    assert (head == 7).all()
    del state["features.0.weight"]
    with pytest.raises(RuntimeError, match=r"Missing key.*0\.weight"):
        model.start_from(state)


def test_the_reference_says_where_it_comes_from() -> None:
    reference = json.loads((Path(__file__).parent.parent / "reference/networks.json").read_text())
    assert "ntuaislab/Trap-MID" in reference["vgg16"]["origin"]
