"""The few types that compute something."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from toy import InMemory, ToyPrior, ToyTarget, images, same_state, seeded, snapshot
from trapmid.artifacts.scratch import Scratch
from trapmid.types import UNSAVED, Saving


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


class Diary(Scratch):
    """A scratch that keeps a diary: how far the bar is, which step was saved."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "toy")
        self.diary: list[tuple[str, int]] = []

    def progress(self, done: int, total: int) -> None:
        assert total == 7
        self.diary.append(("done", done))

    def save(self, parts: Mapping[str, Any], step: int) -> None:
        self.diary.append(("saved", step))
        super().save(parts, step)


def test_steps_are_saved_at_intervals_but_not_the_last(tmp_path: Path) -> None:
    model, checkpointer = seeded(ToyTarget, 2), Diary(tmp_path)
    for step in Saving(checkpointer, 7).steps({"model": model}, 7):
        checkpointer.diary.append(("step", step))
    assert checkpointer.diary == [
        (w, n + (w == "done")) for n in range(7) for w in ("step", "done")
    ]
    checkpointer.diary.clear()
    for step in Saving(checkpointer, 3).steps({"model": model}, 7):
        if step == 4:  # the state of step 3, and of no later one, is there
            break
        model.classifier.bias.data.fill_(step)
    assert checkpointer.diary == [("done", 1), ("done", 2), ("done", 3), ("saved", 3), ("done", 4)]


def test_steps_go_on_from_the_saved_state(tmp_path: Path) -> None:
    model = seeded(ToyTarget, 2)
    for step in Saving(Diary(tmp_path), 3).steps({"model": model}, 7):
        model.classifier.bias.data.fill_(step)
    left = []
    for step in Saving(Diary(tmp_path), 3).steps({"model": model}, 7):
        left.append((step, model.classifier.bias[0].item()))
    assert left == [(6, 5.0)]


def test_unsaved_steps_begin_again() -> None:
    model = seeded(ToyTarget, 2)
    for _ in range(2):
        assert list(UNSAVED.steps({"model": model}, 3)) == [0, 1, 2]
    assert list(UNSAVED.steps({"model": model}, 0)) == []
