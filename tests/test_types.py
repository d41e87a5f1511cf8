"""The few types that compute something."""

from __future__ import annotations

import pytest
import torch

from toy import ToyPrior, ToyTarget, images, seeded
from trapmid.types import Trapdoor


def test_a_trapdoor_blends() -> None:
    x, k = images(4), images(3, seed=1)
    trapdoor, y = Trapdoor(k, 0.02), torch.tensor([2, 0, 0, 1])
    wanted = torch.stack([0.98 * x[i] + 0.02 * k[y[i]] for i in range(4)])
    assert torch.allclose(trapdoor(x, y), wanted, atol=1e-7)
    assert set(trapdoor.state_dict()) == {"triggers", "alpha"}
    assert list(trapdoor.parameters()) == []


def test_a_masked_trapdoor_is_saved_with_its_masks() -> None:
    x, k, m = images(2), images(2, seed=1), torch.zeros(2, 1, 8, 8)
    m[0, :, 2:4, 2:4] = 1
    trapdoor = Trapdoor(k, 0.5, m)
    poisoned = trapdoor(x, torch.tensor([0, 1]))
    assert torch.equal(poisoned[1], x[1]) and set(trapdoor.state_dict()) == {
        "triggers",
        "alpha",
        "masks",
    }
    changed = (poisoned[0] != x[0]).any(dim=0)
    assert changed[2:4, 2:4].all() and changed.sum() == 4
    assert torch.allclose(poisoned[0, :, 2, 2], 0.5 * (x[0] + k[0])[:, 2, 2])


def test_a_plain_target_has_no_parts() -> None:
    model = seeded(ToyTarget, 2)
    with pytest.raises(ValueError, match="arch: toy has no trunk apart from its head"):
        model.embed(images(1))
    with pytest.raises(ValueError, match="arch: toy has no stages"):
        model.stages()


def test_a_prior_starts_from_one_of_fewer_classes_or_not_at_all() -> None:
    one, many = seeded(ToyPrior, 1).eval(), seeded(ToyPrior, 4, seed=1).eval()
    many.start_from(one.state_dict())
    z, y = torch.randn(4, 5), torch.arange(4)
    assert torch.equal(many(z, y), one(z, torch.zeros_like(y)))
    with pytest.raises(ValueError, match=r"init: .*size mismatch for shift\.weight") as caught:
        seeded(ToyPrior, 3).start_from(many.state_dict())
    assert "\n" not in str(caught.value)
    state = one.state_dict()
    del state["critic.bias"]
    with pytest.raises(ValueError, match=r"init: .*Missing key\(s\) .* \"critic\.bias\""):
        many.start_from(state)
