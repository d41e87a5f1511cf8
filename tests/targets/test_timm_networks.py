"""Networks of the high-resolution track: published sizes, timm's own outputs, and their starts."""

from __future__ import annotations

import hashlib
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import Inception3

from toy import images, seeded
from trapmid import wiring
from trapmid.artifacts import initial
from trapmid.artifacts.checkpoints import CheckpointError
from trapmid.nets.timm_network import Input, TimmNetwork
from trapmid.types import Output

timm = pytest.importorskip("timm")
PUBLISHED = {
    "densenet169": 14_149_480,
    "inception_v3": 23_834_568,
    "resnest101": 48_275_016,
    "resnet152": 60_192_808,
}
"""Parameters at 1,000 classes; of Inception-v3 without its auxiliary head."""


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters(name: str) -> None:
    with torch.device("meta"):
        network = wiring.target(name)(1000, 224)
    assert sum(p.numel() for p in network.parameters()) == PUBLISHED[name]


class Small(TimmNetwork):
    """The smallest of a family, for what does not depend on the size."""

    timm_weights = ("resnet18.tv_in1k",)

    def __init__(self, num_classes: int, image_size: int) -> None:
        stages = (("conv1", "bn1", "act1", "maxpool", "layer1"), ("layer2",), ("layer3",))
        super().__init__(num_classes, image_size, "resnet18", (*stages, ("layer4",)))


def theirs(num_classes: int) -> Any:
    torch.manual_seed(2)
    return timm.create_model("resnet18", pretrained=False, num_classes=num_classes).eval()


@pytest.mark.parametrize("classes", [5, 7])
def test_it_starts_from_timm_and_answers_as_timm(classes: int) -> None:
    """The head is taken where it has as many classes, as in the released PPA code."""
    network, official = seeded(Small, classes, 32).eval(), theirs(7)
    before = network.classifier.weight.clone()
    network.start_from(official.state_dict())
    x = images(2, size=32)
    with torch.no_grad():
        found, wanted = network(x), official(2 * x - 1)
        pooled = official.forward_head(official.forward_features(2 * x - 1), pre_logits=True)
    assert torch.allclose(found.features, pooled, atol=1e-4)
    if classes == 7:
        assert torch.allclose(found.logits, wanted, atol=1e-4)
    else:
        assert torch.equal(network.classifier.weight, before)
    with pytest.raises(RuntimeError, match="Missing key"):
        network.start_from({"conv1.weight": official.conv1.weight})


def test_inception_sees_what_torchvision_transforms() -> None:
    """`transform_input` of torchvision's own network, on images scaled to [-1, 1]."""
    x = images(2, size=12)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its slow initialisation
        with torch.device("meta"):
            official = Inception3(transform_input=True, init_weights=False)
    wanted = official._transform_input(2 * x - 1)
    assert torch.allclose(Input(None, True)(x), wanted, atol=1e-6)
    assert torch.allclose(Input(None, False)(x), 2 * x - 1)
    assert Input(20, False)(x).shape == (2, 3, 20, 20)


def test_what_it_transforms_is_kept_with_the_weights() -> None:
    plain, transforming = Input(None, False), Input(None, True)
    plain.load_state_dict(transforming.state_dict())
    x = images(1, size=4)
    assert torch.equal(plain(x), transforming(x))


def put_into_cache(folder: Path, tag: str, state: dict[str, Tensor]) -> None:
    from safetensors.torch import save_file

    place = folder / f"models--timm--{tag}"
    (place / "refs").mkdir(parents=True)
    (place / "refs" / "main").write_text("abc")
    (snapshot := place / "snapshots" / "abc").mkdir(parents=True)
    save_file(state, snapshot / "model.safetensors")


def test_a_start_from_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import huggingface_hub.file_download as hub

    monkeypatch.setattr(hub.constants, "HF_HUB_CACHE", str(tmp_path))
    (init := tmp_path / "resnet18").write_text("timm resnet18.tv_in1k\n")
    network = seeded(Small, 5, 32)
    with pytest.raises(CheckpointError, match=r"timm/resnet18\.tv_in1k is not in the local cache"):
        initial.start(network, "small", init, 32)
    word = hashlib.sha256(init.read_bytes()).hexdigest()
    assert initial.files(init) == [init] and initial.sources(init) == {"init": word}
    official = theirs(7)
    put_into_cache(tmp_path, "resnet18.tv_in1k", official.state_dict())
    initial.start(network, "small", init, 32)
    assert torch.equal(network.network.conv1.weight, official.conv1.weight)
    (weights,) = tmp_path.rglob("model.safetensors")
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    assert capsys.readouterr().err == f"{init}: timm/resnet18.tv_in1k of SHA-256 {digest}\n"
    assert initial.files(init) == [init, weights]
    assert initial.sources(init) == {"init": word, "weights": digest}


class Plain(nn.Module):
    """A network of no library."""

    def forward(self, images: Tensor) -> Output:
        return Output(images, images)


def test_weights_of_another_network(tmp_path: Path) -> None:
    (init := tmp_path / "init").write_text("timm resnet152.tv_in1k")
    with pytest.raises(ValueError, match=r"does not fit small; timm's weights: resnet18\.tv_in1k"):
        initial.start(seeded(Small, 5, 32), "small", init, 32)
    with pytest.raises(ValueError, match="does not fit plain; timm's weights: none"):
        initial.start(Plain(), "plain", init, 32)  # type: ignore[arg-type]


def test_shipped_words_name_weights_of_these_networks() -> None:
    folder = Path(__file__).parents[2] / "weights/timm"
    words = {initial.initial_state(file) for file in folder.iterdir()}
    known = {tag for name in PUBLISHED for tag in wiring.target(name).timm_weights}
    assert words == {f"timm {tag}" for tag in known}
    assert {file.name for file in folder.iterdir()} == known
