"""How an image gets a trigger; how triggers are searched, `defenses/test_trapmid.py` tests."""

from __future__ import annotations

import torch

from toy import images
from trapmid.training.trapdoors import Blend


def test_a_trapdoor_blends() -> None:
    x, k = images(4), images(3, seed=1)
    trapdoor, y = Blend(k, 0.02), torch.tensor([2, 0, 0, 1])
    wanted = torch.stack([0.98 * x[i] + 0.02 * k[y[i]] for i in range(4)])
    assert torch.allclose(trapdoor(x, y), wanted, atol=1e-7)
    assert set(trapdoor.state_dict()) == {"triggers", "alpha"}
    assert list(trapdoor.parameters()) == []


def test_a_masked_trapdoor_is_saved_with_its_masks() -> None:
    x, k, m = images(2), images(2, seed=1), torch.zeros(2, 1, 8, 8)
    m[0, :, 2:4, 2:4] = 1
    trapdoor = Blend(k, 0.5, m)
    poisoned = trapdoor(x, torch.tensor([0, 1]))
    assert torch.equal(poisoned[1], x[1]) and set(trapdoor.state_dict()) == {
        "triggers",
        "alpha",
        "masks",
    }
    changed = (poisoned[0] != x[0]).any(dim=0)
    assert changed[2:4, 2:4].all() and changed.sum() == 4
    assert torch.allclose(poisoned[0, :, 2, 2], 0.5 * (x[0] + k[0])[:, 2, 2])


def test_examples_are_amplified() -> None:
    x, triggers = images(3), images(4, seed=1)
    found = Blend(triggers, 0.02).examples(x)
    assert torch.allclose(found, 0.8 * x + 0.2 * triggers[:3], atol=1e-6)
    found = Blend(triggers, 0.5).examples(x)
    assert torch.allclose(found, triggers[:3])
