"""The IR unit against the operations that the literature writes down, one by one."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from toy import seeded, uniform
from trapmid.nets.irse import IrNetwork
from trapmid.nets.residual import Residual


def small(dropout: float = 0.5) -> IrNetwork:
    made: IrNetwork = seeded(
        IrNetwork, 3, 16, units=(1, 2), widths=(4, 6), embedding_dim=5, dropout=dropout
    )
    return made.eval()


def norm(x: torch.Tensor, layer: torch.nn.Module) -> torch.Tensor:
    return F.batch_norm(x, layer.running_mean, layer.running_var, layer.weight, layer.bias)


@pytest.mark.parametrize(("stage", "unit", "stride"), [(0, 0, 2), (1, 0, 2), (1, 1, 1)])
def test_a_unit(stage: int, unit: int, stride: int) -> None:
    part = small().body[stage][unit]
    bn1, conv1, prelu, conv2, bn2 = part.body
    x = uniform(2, conv1.in_channels, 8, 8)
    y = F.prelu(F.conv2d(norm(x, bn1), conv1.weight, padding=1), prelu.weight)
    y = norm(F.conv2d(y, conv2.weight, stride=stride, padding=1), bn2)
    if conv1.in_channels == conv1.out_channels:
        skip = x[..., ::stride, ::stride]
    else:
        skip = norm(F.conv2d(x, part.shortcut[0].weight, stride=stride), part.shortcut[1])
    assert prelu.weight.shape == (conv1.out_channels,)
    assert torch.allclose(part(x), y + skip, atol=1e-6)


def test_the_output_layer() -> None:
    model, x = small(), uniform(2, 3, 16, 16)
    vector, hidden = model.embed(x)
    bn2d, _, _, linear, bn1d = model.output
    last = hidden[-1].view(2, 6, 4, 4)
    assert torch.allclose(vector, norm(linear(norm(last, bn2d).flatten(1)), bn1d), atol=1e-6)
    assert [layer.shape for layer in hidden] == [(2, 4 * 64), (2, 6 * 16)]


def test_dropout_is_for_training_alone() -> None:
    model, x = small(), uniform(8, 3, 16, 16)
    with torch.no_grad():
        assert torch.equal(model(x).logits, model(x).logits)
        model.output[1].train()
        assert not torch.equal(model(x).logits, model(x).logits)


@pytest.mark.parametrize("scale", [1.0, 0.3, 0.0])
def test_a_weakened_skip(scale: float) -> None:
    body, shortcut, x = torch.nn.Linear(3, 3), torch.nn.Linear(3, 3), uniform(2, 3)
    unit = Residual(body, shortcut)
    unit.weaken(scale)
    assert torch.allclose(unit(x), body(x) + scale * shortcut(x), atol=1e-6)
    assert any("shortcut" in name for name, _ in unit.named_parameters()) == (scale != 0)
