"""LoFt: the rank of what the logits say, the numbers of parameters, the formula."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from toy import ToyNet, ToyTarget, images, seeded
from trapmid import wiring
from trapmid.defenses.loft import Defense, LowRank
from trapmid.runtime import eval_mode


def low_rank(rank: int, classes: int = 9) -> LowRank:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = Defense(rank=rank).adapt(seeded(ToyNet, classes))
    assert isinstance(model, LowRank)
    return model


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_the_rank_of_the_logits(rank: int) -> None:
    """Of any batch at most r, and one more for the bias; and really that, not less."""
    model = low_rank(rank).double().eval()
    logits = model(images(40).double()).logits
    assert torch.linalg.matrix_rank(logits) == rank + 1
    assert torch.linalg.matrix_rank(logits - model.classifier.bias) == rank


def test_the_head_by_its_formula() -> None:
    """tanh(A norm(f) + a) B + b, of the trunk's features f as the plain network computes them."""
    plain, model, x = seeded(ToyNet, 9), low_rank(2), images(6)
    with eval_mode(plain, model):
        vector = plain.embed(x).vector
        mean, variance = model.norm.running_mean, model.norm.running_var
        assert mean is not None and variance is not None
        normed = (vector - mean) / (variance + model.norm.eps).sqrt()
        neck = torch.tanh(F.linear(normed, model.neck.weight, model.neck.bias))
        output = model(x)
        assert torch.allclose(output.logits, F.linear(neck, *model.classifier.parameters()))
        assert torch.equal(output.features, vector) and len(output.hidden) == 2


@pytest.mark.parametrize(("arch", "embedding"), [("vgg16", 2048), ("facenet64", 512)])
def test_numbers_of_parameters(arch: str, embedding: int) -> None:
    """Added: 2F of the normalisation, Fr + r of the neck, rC + C of the classifier."""
    classes, rank = 1000, 50
    with torch.device("meta"):
        plain = wiring.target(arch)(classes, 64)
        head = sum(p.numel() for name in plain.head for p in getattr(plain, name).parameters())
        before = sum(p.numel() for p in plain.parameters())
        model = Defense(rank=rank).adapt(wiring.target(arch)(classes, 64))
    assert plain.embedding_dim == embedding
    added = 2 * embedding + embedding * rank + rank + rank * classes + classes
    assert sum(p.numel() for p in model.parameters()) == before - head + added


@pytest.mark.parametrize(("rank", "classes"), [(4, 4), (9, 30)])
def test_a_rank_that_filters_nothing_is_refused(rank: int, classes: int) -> None:
    with pytest.raises(ValueError, match=rf"^rank: {rank} is over \d+: of \d+ numbers and "):
        Defense(rank=rank).adapt(seeded(ToyNet, classes))


def test_the_largest_rank_that_filters() -> None:
    """Of seven numbers and three classes two."""
    assert low_rank(2, classes=3).neck.out_features == 2
    assert low_rank(6, classes=30).neck.out_features == 6


def test_a_network_without_a_trunk_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^arch: toy has no trunk apart from its head$"):
        Defense(rank=2).adapt(seeded(ToyTarget, 4))


def test_wrong_blocks_name_themselves() -> None:
    with pytest.raises(ValueError, match=r"loft\.rank: 0 is under 1"):
        wiring.defense("loft", {"rank": 0}, "loft")
