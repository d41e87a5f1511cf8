"""Every promise of `types.Target` for every architecture, and the official VGG16 itself."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from _pytest.mark.structures import ParameterSet
from torch import Tensor
from torchvision.models import resnet18

import official
from toy import images, same_state, seeded, snapshot
from trapmid import wiring
from trapmid.runtime import eval_mode
from trapmid.types import Target

# name -> (a small size it takes, one it refuses, features at that size, hidden layers)
ROWS = {
    "densenet169": (32, 31, 1664, 4),
    "inception_v3": (32, 31, 2048, 4),
    "resnest101": (32, 31, 2048, 4),
    "resnet152": (32, 31, 2048, 4),
    "facenet64": (32, 40, 512, 4),
    "facenet112": (16, 8, 512, 4),
    "ir152": (32, 40, 512, 4),
    "ir18": (16, 15, 512, 4),
    "medium_vgg": (32, 40, 128, 4),
    "small_ir": (16, 20, 128, 3),
    "small_resnet": (8, 7, 128, 3),
    "small_vgg": (16, 20, 256, 3),
    "vgg16": (32, 31, 512, 5),
}
CLASSES = 4
HEAVY = {  # tens of millions of weights
    *("densenet169", "facenet64", "facenet112", "inception_v3", "ir152", "resnest101", "resnet152"),
    "vgg16",
}


def heavy_are_slow(names: Iterable[str]) -> list[ParameterSet]:
    return [pytest.param(n, marks=pytest.mark.slow if n in HEAVY else ()) for n in names]


NAMES = heavy_are_slow(ROWS)


@pytest.mark.parametrize("name", ["small_vgg", pytest.param("vgg16", marks=pytest.mark.slow)])
def test_the_last_hidden_layer_is_the_normalised_one(name: str) -> None:
    """BiDO constrains what the head sees, not the map before its normalisation."""
    size = ROWS[name][0]
    model = seeded(wiring.target(name), CLASSES, size).train()
    output = model(images(4, size=size))
    assert torch.equal(output.hidden[-1], output.features)


ENSEMBLES = {"efficientnets", "small_students"}  # test_ensembles.py
FROZEN = {"dlib_head"}  # test_dlib_head.py


def test_every_architecture_has_a_row() -> None:
    rows = set(ROWS) | ENSEMBLES | FROZEN | {"exported"}  # test_exported.py
    wrong = sorted(rows ^ set(wiring.names("targets")))
    assert not wrong, (
        f"ROWS in tests/targets/test_targets.py and the files of "
        f"src/trapmid/targets differ by {wrong}"
    )


class Made(dict[str, Target]):
    """Every row's network at its small size, made when it is asked for."""

    def __missing__(self, name: str) -> Target:
        network = seeded(wiring.target(name), CLASSES, ROWS[name][0], statistics=False)
        self[name] = network
        return network


@pytest.fixture(scope="module")
def made() -> dict[str, Target]:
    return Made()


@pytest.mark.parametrize("name", NAMES)
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
        last = [m for m in model.modules() if isinstance(m, torch.nn.Linear)][-1]
        assert torch.equal(last(output.features), output.logits)
        assert not torch.allclose(output.logits.exp().sum(dim=1), torch.ones(3), atol=1e-2)


@pytest.mark.parametrize("name", NAMES)
def test_eval_is_deterministic_and_row_by_row(name: str, made: dict[str, Target]) -> None:
    model, x = made[name], images(3, size=ROWS[name][0])
    with eval_mode(model), torch.no_grad():
        before = snapshot(model)
        whole = model(x).logits
        assert torch.equal(model(x).logits, whole)
        alone = torch.cat([model(image[None]).logits for image in x])
        assert torch.allclose(alone, whole, rtol=1e-4, atol=1e-5)
        assert same_state(before, snapshot(model))


@pytest.mark.parametrize("name", NAMES)
def test_convolutions_pad_with_zeros(name: str, made: dict[str, Target]) -> None:
    """As Opacus, and so `dpsgd`, supposes: findings/opacus_padding_is_zeros.sh."""
    modes = {m.padding_mode for m in made[name].modules() if isinstance(m, torch.nn.Conv2d)}
    assert modes == {"zeros"}


@pytest.mark.parametrize("name", NAMES)
def test_gradients_reach_the_image(name: str, made: dict[str, Target]) -> None:
    x = images(2, size=ROWS[name][0]).requires_grad_(True)
    with eval_mode(made[name]):
        (slope,) = torch.autograd.grad(made[name](x).logits[:, 0].sum(), x)
    assert slope.isfinite().all() and (slope != 0).flatten(1).any(dim=1).all()


@pytest.mark.parametrize("name", NAMES)
def test_sizes_that_do_not_fit(name: str) -> None:
    with pytest.raises(ValueError, match=rf"image_size: {name} needs .*, not {ROWS[name][1]}"):
        wiring.target(name)(CLASSES, ROWS[name][1])


@pytest.mark.parametrize("name", NAMES)
def test_a_trunk_and_its_head(name: str, made: dict[str, Target]) -> None:
    """`embed` and the modules of `head`, in order, are the network; `stages` are its hidden."""
    size = 112 if name == "facenet112" else ROWS[name][0]  # which resizes to it first
    model, x = made[name], images(2, size=size)
    assert len(model.stages()) == ROWS[name][3]
    with eval_mode(model), torch.no_grad():
        vector, hidden = model.embed(x)
        assert vector.shape == (2, model.embedding_dim) and len(hidden) == ROWS[name][3]
        output = vector
        for part in model.head:
            output = getattr(model, part)(output)
        assert torch.equal(output, model(x).logits)
        for stage, layer in zip(model.stages(), hidden, strict=True):
            x = stage(x)
            assert torch.equal(x.flatten(1), layer)


@pytest.mark.parametrize("name", NAMES)
def test_the_stages_are_all_that_learns_before_the_head(name: str, made: dict[str, Target]) -> None:
    """From the image on: frozen stages must leave no layer below them that learns."""
    model = made[name]
    inside = {id(p) for stage in model.stages() for p in stage.parameters()}
    outside = {n.split(".")[0] for n, p in model.named_parameters() if id(p) not in inside}
    assert outside - {"output"} == set(model.head)


@pytest.mark.parametrize("name", NAMES)
def test_a_trunk_passes_to_another_network(name: str, made: dict[str, Target]) -> None:
    """Of another number of classes; the head stays as it was."""
    model = seeded(wiring.target(name), CLASSES + 1, ROWS[name][0], seed=5)
    before, theirs = snapshot(model), made[name].state_dict()
    model.start_from(theirs)
    for key, value in model.state_dict().items():
        source = before if key.split(".")[0] in model.head else theirs
        assert torch.equal(value, source[key]), key
    with pytest.raises(RuntimeError, match="Missing key"):
        model.start_from({})


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


def test_vgg16_has_bidos_hidden_layers() -> None:
    """The official network of BiDO is VGG16 cut in five; its fifth layer is the normalised one."""
    model = vgg16(1000).to_empty(device="cpu")
    layers = [len(stage) for stage in model.stages()]

    def official_name(name: str) -> str:
        head, rest = name.split(".", 1)
        if head != "features":
            return f"{ {v: k for k, v in NAMES.items()}[head] }.{rest}"
        index, leaf = rest.split(".", 1)
        stage, inside = 0, int(index)
        while inside >= layers[stage]:
            stage, inside = stage + 1, inside - layers[stage]
        return f"layer{stage + 1}.{inside}.{leaf}"

    official.fill(model, official_name)
    with torch.no_grad(), eval_mode(model):
        output = model(official.images())
    *taps, logits = official.outputs("vgg16_bido")
    assert [layer.shape[1] for layer in output.hidden] == [65536, 32768, 16384, 8192, 2048]
    for ours, wanted in zip((*output.hidden, output.logits), (*taps, logits), strict=True):
        official.compare(ours.view(wanted["shape"]), wanted)


def test_the_reference_says_where_it_comes_from() -> None:
    reference = json.loads((Path(__file__).parent.parent / "reference/networks.json").read_text())
    assert "ntuaislab/Trap-MID" in reference["vgg16"]["origin"]


# --- residual networks, as published ------------------------------------------------------------

COUNTS = {
    "facenet64": (1000, 35_437_224),
    "ir152": (1000, 62_599_848),
    "facenet112": (1000, 44_087_976),
    "ir18": (5, 11_179_077),
}
UNITS = {"facenet64": (3, 4, 14, 3), "ir152": (3, 8, 36, 3), "facenet112": (3, 4, 14, 3)}


def published(name: str) -> Target:
    with torch.device("meta"):
        return wiring.target(name)(COUNTS[name][0], 64)


def published_backbone_name(name: str, units: tuple[int, ...]) -> str:
    """A tensor of an IR network as face.evoLVe's files call it."""
    head, rest = name.split(".", 1)
    if head == "body":
        stage, unit, part, leaf = rest.split(".", 3)
        number = sum(units[: int(stage)]) + int(unit)
        return f"body.{number}.{ {'body': 'res_layer', 'shortcut': 'shortcut_layer'}[part] }.{leaf}"
    return f"{ {'stem': 'input_layer', 'output': 'output_layer'}[head] }.{rest}"


def official_name(name: str, key: str) -> str:
    """A tensor of ours as the official classifiers call it."""
    if key.startswith("classifier."):
        return key.replace("classifier.", "fc_layer.")
    if name == "ir18":
        order = ["conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4"]
        part, rest = key.removeprefix("trunk.").split(".", 1)
        return f"feature.{order.index(part)}.{rest}"
    inside = published_backbone_name(key, UNITS[name])
    outside = key.startswith("output.") and name != "facenet112"
    return inside if outside else f"feature.{inside}"


@pytest.mark.parametrize("name", COUNTS)
def test_official_numbers_of_parameters(name: str) -> None:
    assert sum(p.numel() for p in published(name).parameters()) == COUNTS[name][1]


@pytest.mark.parametrize("name", heavy_are_slow(COUNTS))
def test_it_computes_what_the_official_network_does(name: str) -> None:
    model = published(name).to_empty(device="cpu")
    official.fill(model, lambda key: official_name(name, key))
    x = official.images(112 if name == "facenet112" else 64)
    with torch.no_grad(), eval_mode(model):
        output = model(x)
    features, logits = official.outputs(name)
    official.compare(output.features, features)
    official.compare(output.logits, logits)


@pytest.mark.slow
def test_two_layers_changed_for_each_other_are_seen() -> None:
    """The tolerance that every processor needs still tells one convolution from another."""
    name = "facenet112"
    model = published(name).to_empty(device="cpu")
    official.fill(model, lambda key: official_name(name, key))
    state = model.state_dict()
    keys = [key for key, value in state.items() if value.shape == (256, 256, 3, 3)]
    state[keys[4]], state[keys[5]] = state[keys[5]].clone(), state[keys[4]].clone()
    model.load_state_dict(state)
    with torch.no_grad(), eval_mode(model):
        output = model(official.images(112))
    with pytest.raises(AssertionError):
        official.compare(output.features, official.outputs(name)[0])


@pytest.mark.parametrize("name", ["facenet64", "ir152"])
def test_the_hidden_layers_have_the_papers_sizes(name: str) -> None:
    with torch.device("meta"):
        model = wiring.target(name)(10, 64).eval()
        hidden = model.embed(torch.empty(1, 3, 64, 64)).hidden
    assert [layer.shape[1] for layer in hidden] == [65536, 32768, 16384, 8192]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["facenet64", "facenet112"])
def test_a_published_backbone_is_taken(name: str) -> None:
    """Its output layer, of 112 pixels, at that size alone; it must be whole."""
    donor = wiring.target("facenet112")(4, 64)
    state = {
        published_backbone_name(key, UNITS[name]): value
        for key, value in donor.state_dict().items()
        if not key.startswith("classifier.")
    }
    model = wiring.target(name)(3, 64)
    own = snapshot(model)
    model.start_from(state)
    theirs = donor.state_dict()
    for key, value in model.state_dict().items():
        kept = key.startswith("classifier.") or (key.startswith("output.") and name == "facenet64")
        assert torch.equal(value, own[key] if kept else theirs[key]), key
    needed = {"body.23.res_layer.4.weight": r"body\.3\.2\.body\.4\.weight"}
    if name == "facenet112":
        needed |= {f"output_layer.{k}.weight": rf"output\.{k}\.weight" for k in (0, 3, 4)}
    for key, ours in needed.items():
        with pytest.raises(RuntimeError, match=rf"Missing key.*{ours}"):
            model.start_from({k: v for k, v in state.items() if k != key})
    with pytest.raises(RuntimeError, match=r"Unexpected key.*logits\.weight"):
        model.start_from(state | {"logits.weight": torch.zeros(1)})


@pytest.mark.slow
def test_a_deeper_backbone_is_refused() -> None:
    donor, model = wiring.target("ir152")(4, 16), wiring.target("facenet64")(4, 16)
    state = {
        published_backbone_name(key, UNITS["ir152"]): value
        for key, value in donor.state_dict().items()
        if not key.startswith("classifier.")
    }
    with pytest.raises(RuntimeError, match=r"Unexpected key.*body\.49\."):
        model.start_from(state)


def test_ir18_takes_torchvisions_weights() -> None:
    state = {k: v + 1 for k, v in resnet18(weights=None).state_dict().items()}
    model = wiring.target("ir18")(3, 32)
    model.start_from(state)
    assert all(torch.equal(v, state[k]) for k, v in model.trunk.state_dict().items())


@pytest.mark.slow
def test_facenet112_enlarges_by_itself() -> None:
    model, x = seeded(wiring.target("facenet112"), 3, 64, statistics=False), images(1, size=64)
    with eval_mode(model), torch.no_grad():
        large = F.interpolate(x, (112, 112), mode="bilinear", align_corners=True)
        assert torch.equal(model(x).logits, model(large).logits)
    assert torch.equal(large[..., 0, 0], x[..., 0, 0])  # corners stay


def test_ir_backbones_start_as_the_official_ones() -> None:
    """Xavier-uniform convolutions: a bound of sqrt(6 / (fan_in + fan_out)), reached."""
    model = wiring.target("small_ir")(3, 32)
    for conv in (m for m in model.modules() if isinstance(m, torch.nn.Conv2d)):
        assert conv.bias is None
        area = conv.kernel_size[0] * conv.kernel_size[1]
        bound = (6 / (area * (conv.in_channels + conv.out_channels))) ** 0.5
        assert 0.9 * bound < conv.weight.abs().max() <= bound
