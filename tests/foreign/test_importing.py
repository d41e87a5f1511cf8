"""`trapmid import`: official files become networks that answer as the official ones."""

from __future__ import annotations

import hashlib
import os
import re
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from ruamel.yaml import YAML
from torch import Tensor, nn
from torchvision import models
from torchvision.models import efficientnet_b0, efficientnet_b1, efficientnet_b2, vgg16_bn

import official
from toy import TRAPMID, Memory, plan, private, runtime, seeded
from trapmid import wiring
from trapmid.artifacts import checkpoints, classifiers, initial, judges
from trapmid.cli import main
from trapmid.config.study import TargetRow
from trapmid.defenses.mid import Bottleneck
from trapmid.foreign import importing
from trapmid.foreign.classifiers import whole_classifier
from trapmid.nets import snresnet, stylegan2
from trapmid.priors import gmi, kedmi, plgmi
from trapmid.runtime import eval_mode

Wrap = Callable[[Mapping[str, Tensor]], Any]
WRAPPED: dict[str, Wrap] = {
    "bare": dict,
    "state_dict": lambda state: {
        "state_dict": {f"module.{name}": value for name, value in state.items()},
        "epoch": 44,
        "acc": np.float64(0.8201),
    },
    "model": lambda state: {"model": dict(state), "best": np.float32(1.0)},
    "bar": lambda state: {  # spectral normalisation as a module around the layer
        name.replace(".weight_orig", ".module.weight_bar")
        .replace(".weight_u", ".module.weight_u")
        .replace(".weight_v", ".module.weight_v"): value
        for name, value in state.items()
    },
}


def write(path: Path, content: Any, *, old: bool = False) -> Path:
    torch.save(content, path, _use_new_zipfile_serialization=not old)
    return path


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def take(file: Path, kind: str, *beside: Path) -> Path:
    """Imports a file as the command does; returns what it wrote."""
    out = file.with_name("ours.pt")
    importing.import_file(file, kind, out, beside, None, runtime())
    return out


def whole(out: Path) -> Any:
    """The classifier of an imported file, as a row with `training: given` takes it."""
    content = checkpoints.load(out)
    network: Any = whole_classifier(content, content.get("image_size", 64))
    initial.take(
        out, content["arch"], content.get("image_size", 64), content.get("adapted"), network, None
    )
    return network.eval()


# --- classifiers --------------------------------------------------------------------------------


class Row(NamedTuple):
    network: str  # in tests/reference
    wrap: str
    facts: tuple[str, int, int | None]  # arch, people, pixels
    old: bool = False  # written as PyTorch did before 1.6


CLASSIFIERS = {
    "vgg16": Row("vgg16", "state_dict", ("vgg16", 1000, 64)),
    "vgg16-bido": Row("vgg16_bido", "bare", ("vgg16", 1000, 64)),
    "facenet64": Row("facenet64", "model", ("facenet64", 1000, 64)),
    "ir152": Row("ir152", "state_dict", ("ir152", 1000, 64)),
    "facenet112": Row("facenet112", "state_dict", ("facenet112", 1000, None), old=True),
    "ir18": Row("ir18", "bare", ("ir18", 5, None)),
}
BOTTLENECKS = {
    "vgg16-mid": Row("vgg16_vib", "state_dict", ("vgg16", 1000, 64)),
    "ir152-mid": Row("ir152_vib", "bare", ("ir152", 1000, 64)),
}


def test_every_kind_has_a_row() -> None:
    tested = {*CLASSIFIERS, *BOTTLENECKS, *PAIRS, *PAIRS.values(), *STUDENTS}
    tested |= {*HIGH_RESOLUTION, "ppa-resnest101", "style-g"}
    tested |= {"tv-vgg16-bn", "ms1m-ir50", "ms1m-ir152", "facenet-vggface2", "facenet64-mid"}
    assert tested == set(importing.KINDS)


@pytest.mark.slow
@pytest.mark.parametrize("kind", CLASSIFIERS)
def test_a_classifier_answers_as_the_official_one(tmp_path: Path, kind: str) -> None:
    row = CLASSIFIERS[kind]
    state = official.state(row.network)
    file = write(tmp_path / "theirs.tar", WRAPPED[row.wrap](state), old=row.old)
    out = take(file, kind)
    content = checkpoints.load(out)
    assert (content["arch"], content["num_classes"], content.get("image_size")) == row.facts
    entry = row.wrap if row.wrap != "bare" else None
    sha256 = digest(file)
    source = {"file": "theirs.tar", "sha256": sha256, "entry": entry}
    assert content["imported"] == {kind: source}
    with torch.no_grad():
        output = whole(out)(official.images(112 if kind == "facenet112" else 64))
    *_, features, logits = official.outputs(row.network)
    official.compare(output.features, features)
    official.compare(output.logits, logits)


@pytest.mark.slow
@pytest.mark.parametrize("kind", BOTTLENECKS)
def test_a_bottleneck_codes_as_the_official_one(tmp_path: Path, kind: str) -> None:
    """Its noise is another at every call, so features, means and deviations are compared."""
    row = BOTTLENECKS[kind]
    state = official.state(row.network)
    out = take(write(tmp_path / "theirs.tar", WRAPPED[row.wrap](state)), kind)
    content = checkpoints.load(out)
    assert (content["arch"], content["num_classes"], content["image_size"]) == row.facts
    model = whole(out)
    assert isinstance(model, Bottleneck) and model.stochastic
    with torch.no_grad():
        code = model.encode(official.images())
    width = content["adapted"]["block"]["width"]
    feature, *between = official.outputs(row.network)
    mean, deviation = [one for one in between if one["shape"][1] == width]
    official.compare(code.embedding.vector, feature)
    official.compare(code.mean, mean)
    official.compare(code.deviation, deviation)
    head = [value for name, value in state.items() if name.startswith("fc_layer.")]
    assert torch.equal(model.classifier.weight, head[0])
    assert torch.equal(model.classifier.bias, head[1])


@pytest.mark.slow
def test_the_bottleneck_of_the_smaller_ir_network(tmp_path: Path) -> None:
    """No reference of its own: IR-152's code, layer for layer, with 24 units."""
    state = official.state("facenet64")
    state |= {"st_layer.weight": torch.ones(32, 512), "st_layer.bias": torch.ones(32)}
    state["fc_layer.weight"] = torch.ones(1000, 16)
    model = whole(take(write(tmp_path / "theirs.tar", state), "facenet64-mid"))
    with torch.no_grad():
        features = model(official.images()).features
    official.compare(features, official.outputs("facenet64")[0])


def test_the_row_of_a_bottleneck_names_the_defence() -> None:
    """Without it the file fits no row."""
    content = {"arch": "vgg16", "adapted": {"method": "mid", "block": {}}, "imported": {}}
    (line,) = importing._use("vgg16-mid", content, Path("w/mid.pt"))
    assert line == "row: {method: mid, arch: vgg16, training: given, init: w/mid.pt}"


def test_triggers_beside_a_bottleneck_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No defence has both: a row would take the one, and lose the other without a word."""
    monkeypatch.chdir(tmp_path)
    content = {"arch": "vgg16", "adapted": {"method": "mid", "block": {}}, "state": {}}
    source = {"file": "mid.tar", "sha256": "0", "entry": None}
    read = importing._part

    def part(file: Path, kind: str) -> Any:
        return read(file, kind) if kind == "trigger" else importing._Part(kind, content, source)

    monkeypatch.setattr(importing, "_part", part)  # a network of this kind takes seconds
    write(Path("trigger.tar"), torch.rand(3, 3, 32, 32))
    Path("mid.tar").touch()
    words = ["mid.tar", "--as", "vgg16-mid"]
    refused([*words, "--with", "trigger.tar"], "trigger.tar: triggers, but mid.tar has", capsys)
    assert main(["import", *words, "--out", "ours.pt"]) == 0
    assert "row: {method: mid, arch: vgg16" in capsys.readouterr().out


STUDENTS = {
    "efficientnet-b0": (efficientnet_b0, 1280),
    "efficientnet-b1": (efficientnet_b1, 1280),
    "efficientnet-b2": (efficientnet_b2, 1408),
}


@pytest.mark.slow
@pytest.mark.parametrize("nested", [False, True])
def test_three_students_are_one_ensemble(tmp_path: Path, nested: bool) -> None:
    """Against torchvision's networks; the order of the files after the first is no matter."""
    files, theirs = [], []
    for i, (make, width) in enumerate(STUDENTS.values()):
        network, head = seeded(make, seed=i).eval(), seeded(nn.Linear, width, 4, seed=i)
        place = "feature.0." if nested else "feature."
        state = {place + name: value for name, value in network.features.state_dict().items()}
        state |= {f"fc_layer.{name}": value for name, value in head.state_dict().items()}
        files.append(write(tmp_path / f"b{i}.tar", {"state_dict": state}))
        theirs.append((network, head))
    model = whole(take(files[0], "efficientnet-b0", files[2], files[1]))
    x = official.images()
    with torch.no_grad():
        wanted = [head(net.avgpool(net.features(x)).flatten(1)) for net, head in theirs]
        assert torch.allclose(model(x).logits, torch.stack(wanted).mean(dim=0), atol=1e-5)


# --- starts -------------------------------------------------------------------------------------


@pytest.mark.slow
def test_torchvisions_vgg16_gives_the_trunk(tmp_path: Path) -> None:
    theirs = seeded(vgg16_bn, seed=3).eval()
    out = take(write(tmp_path / "vgg16_bn.pth", theirs.state_dict()), "tv-vgg16-bn")
    model = classifiers.new_network("vgg16", 3, 64, out, runtime())
    x = official.images()
    with torch.no_grad(), eval_mode(model):
        assert torch.equal(model.embed(x).vector, theirs.features(x).flatten(1))


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "arch"), [("ms1m-ir50", "facenet112"), ("ms1m-ir152", "ir152")])
def test_a_backbone_gives_the_trunk(tmp_path: Path, kind: str, arch: str) -> None:
    """The weights of the official classifier, as a backbone's file would hold them."""
    state = {k.removeprefix("feature."): v for k, v in official.state(arch).items()}
    own = {k: state.pop(k) for k in list(state) if k.startswith(("output_layer", "fc_layer"))}
    if arch == "facenet112":  # it sees the 112 pixels for which the output layer was made
        state |= {k: v for k, v in own.items() if k.startswith("output_layer")}
    else:
        large = own | {"output_layer.3.weight": torch.zeros(512, 512 * 49)}
        state |= {k: v for k, v in large.items() if k.startswith("output_layer")}
    out = take(write(tmp_path / "backbone.pth", state), kind)
    model: Any = classifiers.new_network(arch, 3, 64, out, runtime())
    if arch == "ir152":
        layer = "output_layer."
        model.output.load_state_dict(
            {k.removeprefix(layer): v for k, v in own.items() if k.startswith(layer)}
        )
    with torch.no_grad(), eval_mode(model):
        vector = model.embed(official.images(112 if arch == "facenet112" else 64)).vector
    official.compare(vector, official.outputs(arch)[0])


def torchvisions(kind: str) -> nn.Module:
    """The network that PPA's code builds; its ResNeSt is no network of torchvision's."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the slow initialisation of Inception-v3
        return HIGH_RESOLUTION[kind]()


HIGH_RESOLUTION: dict[str, Callable[[], nn.Module]] = {
    "ppa-resnet152": lambda: models.resnet152(num_classes=5),
    "ppa-densenet169": lambda: models.densenet169(num_classes=5),
    "ppa-inception_v3": lambda: models.inception_v3(
        num_classes=5, transform_input=True, init_weights=False
    ),
}


def saved_by_ppa(network: nn.Module, between: str = "model.") -> dict[str, Any]:
    state = {between + name: value for name, value in network.state_dict().items()}
    return {"epoch": 100, "model_state_dict": state}


@pytest.mark.slow
@pytest.mark.parametrize("kind", HIGH_RESOLUTION)
def test_a_network_of_ppa_answers_as_torchvisions(tmp_path: Path, kind: str) -> None:
    """Of random weights; images of PPA are scaled to [-1, 1] before the network."""
    network = seeded(torchvisions, kind).eval()
    file = write(tmp_path / "theirs.pt", saved_by_ppa(network))
    ours = whole(take(file, kind))
    side = 299 if kind == "ppa-inception_v3" else 64
    x = torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        wanted = network(2 * x - 1)
        assert torch.allclose(ours(x).logits, wanted, atol=1e-4 * float(wanted.abs().max()))


@pytest.mark.slow
@pytest.mark.parametrize("between", ["model.", "model._orig_mod."])
def test_a_resnest_has_timms_names_and_those_of_its_authors(tmp_path: Path, between: str) -> None:
    timm = pytest.importorskip("timm")
    network = seeded(lambda: timm.create_model("resnest101e", num_classes=5)).eval()
    names = set(network.state_dict())
    assert {"conv1.0.weight", "layer1.0.conv2.bn0.weight", "layer1.0.downsample.1.weight"} <= names
    ours = whole(take(write(tmp_path / "a.pt", saved_by_ppa(network, between)), "ppa-resnest101"))
    x = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        wanted = network(2 * x - 1)
        assert torch.allclose(ours(x).logits, wanted, atol=1e-4 * float(wanted.abs().max()))


# --- priors -------------------------------------------------------------------------------------

PAIRS = {"gmi-g": "gmi-d", "kedmi-g": "kedmi-d", "plgmi-g": "plgmi-d"}


def pair(tmp_path: Path, kind: str, first: str, second: str, wrap: str = "bare") -> Any:
    one = write(tmp_path / "G.tar", WRAPPED["state_dict"](official.state(first)))
    two = write(tmp_path / "D.tar", WRAPPED[wrap](official.state(second)))
    return initial.initial_state(take(one, kind, two))


@pytest.mark.slow
def test_gmis_prior_draws_and_scores_as_the_official_one(tmp_path: Path) -> None:
    prior = gmi.Prior(100, 64, 64).eval()
    prior.start_from(pair(tmp_path, "gmi-g", "gmi_generator", "gmi_critic"))
    with torch.no_grad():
        drawn = prior(official.latents(100), official.LABELS)
        official.compare(drawn, official.outputs("gmi_generator")[0])
        scores = prior.realism(official.images(), official.LABELS)
    official.compare(scores, official.outputs("gmi_critic")[0])


@pytest.mark.slow
def test_kedmis_prior_draws_and_scores_as_the_official_one(tmp_path: Path) -> None:
    prior = kedmi.Prior(100, 1000, 64, 64).eval()
    prior.start_from(pair(tmp_path, "kedmi-g", "gmi_generator", "kedmi_discriminator"))
    prior.discriminator.train()  # officially minibatch discrimination counts in eval mode, too
    with torch.no_grad():
        drawn = prior(official.latents(100), official.LABELS)
        official.compare(drawn, official.outputs("gmi_generator")[0])
        features = prior.discriminator.features(official.images())
        official.compare(features, official.outputs("kedmi_discriminator")[0])
        logits = prior.discriminator.classify(features)
    official.compare(logits, official.outputs("kedmi_discriminator")[1])


@pytest.mark.slow
@pytest.mark.parametrize("wrap", ["bare", "bar"])
def test_plgmis_prior_draws_and_scores_as_the_official_one(tmp_path: Path, wrap: str) -> None:
    prior = plgmi.Prior(128, 1000, 64, 64).eval()
    prior.start_from(pair(tmp_path, "plgmi-g", "plgmi_generator", "plgmi_critic", wrap))
    with torch.no_grad():
        drawn = prior(official.latents(128), official.LABELS)
        official.compare(drawn, official.outputs("plgmi_generator")[0])
        scores = prior.realism(official.images(), official.LABELS)
    official.compare(scores, official.outputs("plgmi_critic")[0])


# --- judges -------------------------------------------------------------------------------------


def test_a_bare_stylegan2_draws_as_before(tmp_path: Path) -> None:
    """IF-GMI's `ffhq_G.pth` is the state of NVIDIA's generator, and nothing else."""
    size = stylegan2.Size(image_size=16, z_dim=6, w_dim=6, base=64, most=12, layers=3, clamp=256.0)
    generator = seeded(stylegan2.Generator, size).eval()
    generator.mapping.w_avg.fill_(0.3)
    file = write(tmp_path / "ffhq_G.pth", {"state_dict": generator.state_dict()})
    out = tmp_path / "ours.pt"
    *_, row = importing.import_file(file, "style-g", out, (), None, runtime())
    printed = YAML(typ="safe").load(row.removeprefix("row: "))
    assert printed["method"] == "style" and printed["init"] == str(out)
    unsaid = {"crop": 1.0, "candidates": None, "batch_size": 4, "lr": 0.1, "betas": [0.0, 0.9]}
    unsaid |= {"penalty": 1.0, "penalty_every": 1, "group": 4, "mirror": 0.0, "half_life": 1.0}
    unsaid |= {"precision": "fp32", "keep_every": 1}
    prior: Any = wiring.prior_training("style", printed["set"] | unsaid).make(16, 1)
    prior.start_from(initial.initial_state(out))
    z = torch.randn(3, 6, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        wanted = generator.synthesis(generator.mapping.repeated(generator.mapping(z)))
        found = prior.eval().paint(prior.styles(z, 1.0, None))
    assert torch.allclose(found, (wanted + 1) / 2, atol=1e-5)


@pytest.mark.slow
def test_facenet_embeds_as_the_published_one(tmp_path: Path) -> None:
    state = official.state("facenet") | {"logits.weight": torch.ones(8631, 512)}
    state["logits.bias"] = torch.ones(8631)
    out = take(write(tmp_path / "20180402-114759-vggface2.pt", state), "facenet-vggface2")
    opened = judges.open_weights("facenet", out, 64, runtime())
    assert opened.learnt_from is None
    assert sum(p.numel() for p in opened.judge.parameters()) == 23_482_624
    with torch.no_grad():
        official.compare(opened.judge(official.images(160)), official.outputs("facenet")[0])


# --- triggers, and scores on data ---------------------------------------------------------------


@pytest.fixture(scope="module")
def ir18(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ir18")
    return write(folder / "ir18.tar", WRAPPED["state_dict"](official.state("ir18")))


@pytest.mark.slow
@pytest.mark.parametrize("how", ["list", "entry", "ours"])
def test_triggers_complete_a_target(tmp_path: Path, ir18: Path, how: str) -> None:
    """And a row with a trapdoor takes both as they are."""
    triggers = torch.rand(5, 3, 16, 16)
    content = {"list": list(triggers), "entry": {"trigger": triggers}, "ours": triggers}[how]
    file = write(tmp_path / "trigger.tar", content)
    if how == "ours":
        file = take(file, "trigger").rename(tmp_path / "imported.pt")
    out = tmp_path / "target.pt"
    told = importing.import_file(ir18, "ir18", out, [file], None, runtime())
    defended = "method: trapmid, block: trapdoor, arch: ir18, training: given"
    assert told[-1] == f"row: {{{defended}, init: {out}}}"
    row = TargetRow(
        data="faces",
        arch="ir18",
        defense="trapmid",
        method="trapmid",
        block="trapdoor",
        training="given",
        init=str(out),
        seed=0,
    )
    defense, given = wiring.defense("trapmid", TRAPMID, "trapdoor"), plan(epochs=0, select="last")
    trained = classifiers.train(row, given, defense, private(5, 16), runtime(), Memory())
    trapdoor = trained.objective.trapdoor
    assert trapdoor is not None and torch.equal(trapdoor.triggers, triggers)
    with torch.no_grad():
        output = trained.model.eval()(official.images())
    official.compare(output.logits, official.outputs("ir18")[1])


@pytest.mark.slow
def test_accuracy_is_told_where_the_data_are(
    tmp_path: Path, ir18: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    data = private(5, 16)
    checkpoints.save(Path("data/prepared/faces/private.pt"), data)
    words = ["import", str(ir18), "--as", "ir18", "--out", "w/ir18.pt", "--data", "faces"]
    assert main(words) == 0
    with torch.no_grad():
        answers = whole(Path("w/ir18.pt"))(data["test_images"].float() / 255).logits.argmax(1)
    share = float((answers == data["test_labels"]).float().mean())
    told = capsys.readouterr().out
    assert f"accuracy on the 25 test images of data.faces: {share:.4f}" in told
    assert "ir18.tar: ir18, its entry 'state_dict'; sha256 " in told
    assert "row: {arch: ir18, training: given, init: w/ir18.pt}" in told
    checkpoints.save(Path("data/prepared/faces/private.pt"), private(3, 16))
    assert main([*words[:5], "w/other.pt", *words[6:]]) == 1
    assert capsys.readouterr().err == (
        f"trapmid import: error: {ir18}: knows 5 people, data.faces has 3\n"
    )
    assert not Path("w/other.pt").exists()


def test_the_weights_are_said_to_be_taken_beside_averaged_ones(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = {"state_dict": tiny(), "state_dict_ema": tiny()}
    lines = importing.import_file(
        write(tmp_path / "G.tar", content), "gmi-g", tmp_path / "o.pt", [], None, runtime()
    )
    assert "took 'state_dict', not 'state_dict_ema'" in capsys.readouterr().err
    assert lines[0].startswith("G.tar: gmi-g, its entry 'state_dict'")
    assert lines[-1] == "not whole: give the files of gmi-d by --with"


# --- bad files ----------------------------------------------------------------------------------


def tiny() -> dict[str, Tensor]:
    """GMI's generator of 16 pixels, in the official names."""
    shapes: dict[str, tuple[int, ...]] = {
        "l1.0.weight": (64, 5),
        "l2_5.0.0.weight": (4, 2, 5, 5),
        "l2_5.1.weight": (2, 3, 5, 5),
        "l2_5.1.bias": (3,),
    }
    for norm, channels in (("l1.1", 64), ("l2_5.0.1", 2)):
        for leaf in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{norm}.{leaf}"] = (channels,)
    return {name: torch.rand(shape) for name, shape in shapes.items()}


class Payload:
    """What runs when a file is unpickled without care."""

    def __reduce__(self) -> Any:
        return os.system, ("touch payload-ran",)


def without(name: str) -> dict[str, Tensor]:
    return {key: value for key, value in tiny().items() if key != name}


BAD: dict[str, tuple[Any, str, str]] = {
    "another kind": (
        *(tiny(), "vgg16"),
        r"is no vgg16: \d+ weights unknown, first l1\.0\.weight; "
        r"its names are those of gmi-g, kedmi-g",
    ),
    "a critic for a generator": (
        *({"ls.0.weight": torch.ones(1)}, "gmi-g"),
        r"is no gmi-g: 1 weights unknown, first ls\.0\.weight; its names are those of gmi-d",
    ),
    "a payload": (
        *({"state_dict": tiny(), "log": Payload()}, "gmi-g"),
        r"holds a posix\.system; only tensors, .* and nothing was run",
    ),
    "a whole module": (
        *({"model": nn.Linear(2, 2)}, "gmi-g"),
        r"holds a torch\.nn\.modules\.linear\.Linear; .* save its state_dict\(\) instead",
    ),
    "a list": ([torch.ones(2)], "gmi-g", r"must hold weights by name, is a list"),
    "no weights": ({"epoch": 3}, "gmi-g", r"must hold a network's state"),
    "a missing layer": (without("l1.0.weight"), "gmi-g", r"is no gmi-g: has no stem\.0\.weight"),
    "a missing weight": (
        *(without("l2_5.0.1.bias"), "gmi-g"),
        r"is no gmi-g: 1 weights missing, first body\.1\.bias",
    ),
    "another shape": (
        *(tiny() | {"l2_5.1.bias": torch.ones(4)}, "gmi-g"),
        r"is no gmi-g: 1 of another shape, first size mismatch for body\.3\.bias",
    ),
    "a weight twice": (
        *(tiny() | {"l2_5.0.weight": torch.ones(4, 2, 5, 5)}, "gmi-g"),
        r"is no gmi-g: l2_5\.0\.weight and another name are the same weight, body\.0\.weight",
    ),
    "no numbers": (
        *(tiny() | {"l1.1.bias": torch.full((64,), torch.nan)}, "gmi-g"),
        r"l1\.1\.bias is not finite",
    ),
    "complex weights": (
        *(tiny() | {"l1.1.bias": torch.ones(64) * 1j}, "gmi-g"),
        r"theirs\.tar: l1\.1\.bias is in complex64; allowed are dense tensors of real numbers",
    ),
    "sparse weights": (
        *(tiny() | {"l1.0.weight": torch.eye(64, 5).to_sparse()}, "gmi-g"),
        r"l1\.0\.weight is a sparse tensor \(sparse_coo\); allowed are dense tensors",
    ),
    "a key that is no text": (tiny() | {3: torch.ones(1)}, "gmi-g", "the key 3 is of type int"),
    "a number for a head": (
        *({"fc_layer.weight": torch.tensor(1.0)}, "vgg16"),
        r"is no vgg16: fc_layer\.weight is a single number, must be a tensor with rows; its names",
    ),
    "a number for a layer": (
        *(tiny() | {"l1.0.weight": torch.tensor(1.0)}, "gmi-g"),
        r"is no gmi-g: l1\.0\.weight is a single number, must be a tensor with rows",
    ),
    "triggers of nobody": (
        *(torch.ones(0, 3, 8, 8), "trigger"),
        r"triggers are \(0, 3, 8, 8\), which is none; one per person",
    ),
    "triggers of no pixels": (
        *({"trigger": torch.ones(3, 3, 0, 0)}, "trigger"),
        r"triggers are \(3, 3, 0, 0\), which is none; one per person",
    ),
    "an empty list of triggers": ([], "trigger", r"must hold one tensor, triggers \(C, 3, S, S\)"),
    "complex triggers": (
        *([torch.ones(3, 8, 8) * 1j] * 2, "trigger"),
        "triggers is in complex64; allowed are dense tensors",
    ),
    "triggers out of range": (
        *({"trigger": 2 * torch.ones(3, 3, 8, 8)}, "trigger"),
        r"triggers must lie in \[0, 1\], are 2 to 2",
    ),
    "no triggers": (tiny(), "trigger", r"must hold one tensor, triggers \(C, 3, S, S\), holds \["),
}


@pytest.mark.filterwarnings("ignore:Validating sparse tensor")  # torch's, of a long look at them
@pytest.mark.parametrize("case", BAD)
def test_bad_files_are_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], case: str
) -> None:
    monkeypatch.chdir(tmp_path)
    content, kind, message = BAD[case]
    write(Path("theirs.tar"), content)
    refused(["theirs.tar", "--as", kind], message, capsys)


def refused(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str], out: str = "out/ours.pt"
) -> None:
    before = sorted(Path().rglob("*"))
    assert main(["import", *words, "--out", out]) == 1
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.count("\n") == 1
    assert printed.err.startswith("trapmid import: error: ") and len(printed.err) < 600
    assert re.search(message, printed.err), printed.err
    assert sorted(Path().rglob("*")) == before  # nothing ran, and nothing is half-written


def test_files_that_cannot_be_read_or_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write(Path("G.tar"), tiny())
    Path("cut.tar").write_bytes(Path("G.tar").read_bytes()[:700])
    Path("page.tar").write_text("<html>quota exceeded</html>")
    gmi_g = ["--as", "gmi-g"]
    refused(["cut.tar", *gmi_g], r"cut\.tar: not a checkpoint", capsys)
    refused(["page.tar", *gmi_g], r"page\.tar: not a checkpoint", capsys)
    refused(["nothing.tar", *gmi_g], r"nothing\.tar: no such file$", capsys)
    refused(["G.tar", *gmi_g], r"G\.tar: is read, so it cannot be written", capsys, out="G.tar")
    refused(["G.tar", *gmi_g, "--with", "G.tar"], r"G\.tar: is no gmi-d: ", capsys)
    refused(["G.tar", *gmi_g, "--data", "faces"], r"is no classifier", capsys)
    torch.save(torch.rand(3, 3, 8, 8), "trigger.tar")
    alone = ["trigger.tar", "--as", "trigger", "--with", "G.tar"]
    refused(alone, r"G\.tar: nothing completes trigger", capsys)


def test_parts_of_two_sizes_are_no_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write(Path("G.tar"), tiny())
    shapes = {"ls.0": (2, 3, 5, 5), "ls.2.0": (4, 2, 5, 5), "ls.3.0": (8, 4, 5, 5)}
    critic = {f"{name}.weight": torch.rand(shape) for name, shape in shapes.items()}
    critic |= {f"{name}.bias": torch.rand(shape[0]) for name, shape in shapes.items()}
    for norm, channels in (("ls.2.1", 4), ("ls.3.1", 8)):
        critic |= {f"{norm}.{leaf}": torch.rand(channels) for leaf in ("weight", "bias")}
    critic |= {"ls.4.weight": torch.rand(1, 8, 4, 4), "ls.4.bias": torch.rand(1)}
    write(Path("D.tar"), critic)
    words = ["G.tar", "--as", "gmi-g", "--with", "D.tar"]
    refused(words, r"D\.tar: image_size is 32, that of G\.tar is 16", capsys)


GENERATOR = (
    (r"linear\.", "l1."),
    (r"blocks\.(\d)\.norm(\d)\.norm\.", r"block\1.b\2."),
    (r"blocks\.(\d)\.norm(\d)\.gain\.", r"block\1.b\2.weights."),
    (r"blocks\.(\d)\.norm(\d)\.bias\.", r"block\1.b\2.biases."),
    (r"blocks\.(\d)\.conv(\d)\.", r"block\1.c\2."),
    (r"blocks\.(\d)\.shortcut\.", r"block\1.c_sc."),
    (r"norm\.", "b9."),
    (r"to_rgb\.", "conv9."),
)
CRITIC = (
    (r"blocks\.(\d)\.conv(\d)\.", r"block\1.c\2."),
    (r"blocks\.(\d)\.shortcut\.", r"block\1.c_sc."),
    (r"linear\.", "l9."),
    (r"embedding\.", "l_y."),
    (r"parametrizations\.weight\.original", "weight_orig"),
    (r"parametrizations\.weight\.0\.", "weight_"),
)


def theirs(network: nn.Module, rules: tuple[tuple[str, str], ...], first: int) -> dict[str, Tensor]:
    """A state of ours in the official names, whose blocks are counted from `first`."""
    state = {}
    for name, value in network.state_dict().items():
        for pattern, becomes in rules:
            name = re.sub(f"^{pattern}" if pattern[0] != "p" else pattern, becomes, name, count=1)
        state[re.sub(r"^block(\d)", lambda m: f"block{int(m[1]) + first}", name)] = value
    return state


def test_a_critic_of_another_size_than_plgmis_generator(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write(Path("G.tar"), theirs(snresnet.Generator(5, 3, 16, 2), GENERATOR, 2))
    for size in (16, 32):
        critic = snresnet.ProjectionDiscriminator(3, size, 2)
        write(Path(f"D{size}.tar"), theirs(critic, CRITIC, 1))
    words = ["G.tar", "--as", "plgmi-g", "--with"]
    refused([*words, "D32.tar"], r"D32\.tar: doublings is 3, that of G\.tar is 2", capsys)
    assert main(["import", *words, "D16.tar", "--out", "ours.pt"]) == 0
    assert "prior plgmi, num_classes 3, image_size 16" in capsys.readouterr().out


def test_inception_is_nvidias_file_or_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """TorchScript is code: it is copied byte for byte after its digest, and never opened."""
    monkeypatch.chdir(tmp_path)
    Path("theirs.pt").write_bytes(b"PK" + bytes(100))
    words, name = ["theirs.pt", "--as", "inception"], "out/inception-2015-12-05.pt"
    refused(words, r"is not NVIDIA's inception-2015-12-05\.pt: sha256 [0-9a-f]{64}", capsys, name)
    refused(words, r"out/ours\.pt: clean-fid opens a file of the name", capsys)
    refused(["no.pt", *words[1:]], r"no\.pt: no such file", capsys, name)
    monkeypatch.setattr(importing, "_INCEPTION", digest(Path("theirs.pt")))
    assert main(["import", *words, "--out", name]) == 0
    assert Path(name).read_bytes() == Path("theirs.pt").read_bytes()
    assert "evaluation: {inception_weights: out/inception" in capsys.readouterr().out


def test_an_unknown_kind_lists_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import", "x.tar", "--as", "vgg17", "--out", "y.pt"]) == 2
    assert capsys.readouterr().err.startswith(
        "trapmid import: error: --as: no 'vgg17'; there are vgg16, vgg16-bido, "
    )


def test_numbers_of_numpy_are_read_and_other_types_are_not(tmp_path: Path) -> None:
    numbers = {"f8": np.float64(0.5), "f4": np.float32(2), "i8": np.int64(3), "b": np.bool_(True)}
    found = checkpoints.load_foreign(write(tmp_path / "x.pt", {"a": torch.ones(1), **numbers}))
    assert {name: found[name] for name in numbers} == numbers
    write(tmp_path / "y.pt", {"a": np.ones(3)})
    with pytest.raises(checkpoints.CheckpointError, match=r"holds a numpy\S+; only tensors"):
        checkpoints.load_foreign(tmp_path / "y.pt")
