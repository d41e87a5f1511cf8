"""The few types that compute something."""

from __future__ import annotations

import pytest
import torch

from toy import InMemory, ToyPrior, ToyTarget, images, same_state, seeded, snapshot


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


def test_a_run_in_one_piece_keeps_its_curve_and_no_state() -> None:
    checkpointer, model = InMemory(), seeded(ToyTarget, 2)
    before = snapshot(model)
    checkpointer.log({"loss": 0.5}, 1)
    checkpointer.log({"loss": 0.25, "accuracy": 1.0}, 2)
    checkpointer.save({"model": model}, 2)
    assert checkpointer.rows == [
        {"step": 1, "loss": 0.5},
        {"step": 2, "loss": 0.25, "accuracy": 1.0},
    ]
    model.load_state_dict({name: value + 1 for name, value in before.items()})
    assert checkpointer.restore({"model": model}) == 0
    assert not same_state(model.state_dict(), before)
