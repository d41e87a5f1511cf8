"""dlib's frozen recogniser under a linear classifier: an evaluator that no attack can follow."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest
import torch
from torch import Tensor

from toy import images, seeded
from trapmid.nets import dlib_resnet
from trapmid.runtime import eval_mode
from trapmid.targets import dlib_head

HAS_FACES = all(importlib.util.find_spec(name) for name in ("dlib", "face_recognition_models"))
needs_faces = pytest.mark.skipif(not HAS_FACES, reason="the extra `faces` is not installed")


class Means:
    """Stands for dlib: an image's embedding is its mean, 128 times; it counts."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, images: Tensor) -> Tensor:
        self.asked += len(images)
        return images.mean(dim=(1, 2, 3))[:, None].expand(-1, dlib_resnet.DIM)


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(dlib_resnet, "Recogniser", Means)
    return seeded(dlib_head.Network, 3, 8, statistics=False)


def test_an_image_is_embedded_once(network: Any) -> None:
    x = images(4, size=8)
    first = network.embed(x).vector
    again = network.embed(x.flip(0)).vector
    assert network._recogniser.asked == 4
    assert torch.equal(again, first.flip(0))
    network.embed(torch.cat([x[:2], 1 - x[:1]]))
    assert network._recogniser.asked == 5


def test_the_head_is_linear_in_the_normed_embedding(network: Any) -> None:
    """In eval mode by the statistics of the training, in training mode by those of the batch."""
    x = images(4, size=8)
    vector = network.embed(x).vector
    network.norm.running_mean.fill_(0.3)
    network.norm.running_var.fill_(4.0)
    with torch.no_grad(), eval_mode(network):
        output = network(x)
    assert torch.allclose(output.features, (vector - 0.3) / 2, atol=1e-4)
    head = network.classifier
    assert torch.allclose(output.logits, output.features @ head.weight.T + head.bias, atol=1e-5)
    spread = (vector.var(dim=0, unbiased=False) + network.norm.eps).sqrt()
    found = network.train()(x).features
    assert torch.allclose(found, (vector - vector.mean(dim=0)) / spread, atol=1e-4)


def test_the_state_is_the_head(network: Any) -> None:
    names = {name.split(".")[0] for name in network.state_dict()}
    assert names == set(network.head)
    assert sum(p.numel() for p in network.parameters()) == 128 * 3 + 3 + 2 * 128


def test_the_image_gets_no_gradient(network: Any) -> None:
    x = images(4, size=8).requires_grad_()
    with eval_mode(network):
        loss = network(x).logits.square().sum()
    loss.backward()
    assert x.grad is None
    assert float(network.classifier.weight.grad.abs().sum()) > 0


@needs_faces
def test_embeddings_are_dlibs_own() -> None:
    network, x = seeded(dlib_head.Network, 3, 32, statistics=False), torch.rand(3, 3, 32, 32)
    expected = dlib_resnet.Recogniser()(x)
    found = torch.cat([network.embed(x[:1]).vector, network.embed(x).vector[1:]])
    assert torch.allclose(found, expected, atol=1e-5)
    assert float((expected[0] - expected[1]).abs().max()) > 1e-4
