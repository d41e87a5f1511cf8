"""Two processes train as one does."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor

from toy import BLOCKS, Interrupted, ToyNet, plan, private, runtime
from trapmid import wiring
from trapmid.artifacts.scratch import scratch
from trapmid.training import classifier, parallel
from trapmid.training.classifier import Splits, Trained
from trapmid.training.shared import Shared
from trapmid.types import Checkpointer, InMemory, Output, Target

CLASSES = 4


class DoubleNet(ToyNet):
    """In float64, so that the order of sums weighs little; losses are float32, as ever."""

    def forward(self, images: Tensor) -> Output:
        return super().forward(images.double())


class Dropping(ToyNet):
    """Draws random numbers for every image of a batch."""

    def forward(self, images: Tensor) -> Output:
        return super().forward(torch.nn.functional.dropout(images, training=self.training))


def network(outputs: int) -> Target:
    return DoubleNet(outputs).double()


def single(outputs: int) -> Target:
    return ToyNet(outputs)


def dropping(outputs: int) -> Target:
    return Dropping(outputs)


def train(name: str, processes: int, saved: Checkpointer | None = None, epochs: int = 2) -> Trained:
    method, block = BLOCKS.get(name, BLOCKS["none"])
    defense = wiring.defense(method, block, name)
    how = plan(select="last", epochs=epochs, batch_size=8 if name == "bido" else 7)
    new = single if name.startswith("mid") else network  # MID's own layers are float32
    new = dropping if name == "dropout" else new
    given = (defense, new, Splits.of(private(CLASSES)), how, runtime(), saved or InMemory())
    return classifier.train(*given) if processes == 1 else parallel.train(processes, *given)


def apart(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> float:
    assert one.keys() == other.keys()
    return max(float((one[name].double() - other[name].double()).abs().max()) for name in one)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["trapmid", "bido", "transfer"])
def test_two_processes_end_where_one_does(name: str) -> None:
    """Batches of seven: one process has three rows, the other four."""
    one, two = train(name, 1), train(name, 2)
    assert apart(one.model.state_dict(), two.model.state_dict()) < 1e-6
    assert one.fitted == two.fitted
    assert two.defense == one.defense
    if one.objective.trapdoor is not None:
        assert two.objective.trapdoor is not None
        triggers = one.objective.trapdoor.triggers, two.objective.trapdoor.triggers
        moved = (triggers[0] - triggers[1]).abs() > 1e-6
        assert moved.double().mean() < 0.01  # a slope of zero may have either sign
    longer = train(name, 1, epochs=3)
    assert apart(longer.model.state_dict(), two.model.state_dict()) > 1e-4


@pytest.mark.slow
def test_a_training_that_was_cut_off_goes_on_in_both(tmp_path: Path) -> None:
    """Killed in the third epoch, the other process ends; then both begin with the saved state."""
    with (
        pytest.raises(KeyboardInterrupt),
        scratch(tmp_path, "toy", "trapmid") as saved,
    ):
        train("trapmid", 2, Interrupted(saved, 3), epochs=4)
    with scratch(tmp_path, "toy", "trapmid") as saved:
        resumed = train("trapmid", 2, saved, epochs=4)
        history = saved.history()
    whole = train("trapmid", 1, epochs=4)
    assert apart(resumed.model.state_dict(), whole.model.state_dict()) < 1e-6
    assert len(history.splitlines()) == 5  # of the names, and once of every epoch


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("dpsgd", "clips gradients image by image"),
        ("dropout", "draws random numbers"),
        ("mid", "does not ask the whole network"),  # whose gradients would be summed twice
        ("mid, fresh", "does not ask the whole network"),
    ],
)
def test_what_processes_cannot_share_is_refused(name: str, why: str) -> None:
    with pytest.raises(ValueError, match=f"{why}.*train it in one"):
        train(name, 2)


@pytest.mark.slow
def test_a_batch_has_an_image_for_every_process() -> None:
    method, block = BLOCKS["none"]
    given = (wiring.defense(method, block, "none"), network, Splits.of(private(CLASSES)))
    with pytest.raises(ValueError, match=r"^batch_size: 1 images are less than 2 processes$"):
        parallel.train(2, *given, plan(batch_size=1), runtime(), InMemory())


def test_afterwards_a_network_is_as_it_was() -> None:
    one = network(CLASSES).eval()
    images = torch.rand(3, 3, 8, 8)
    wanted = one(images).logits
    shared = Shared()
    shared.add(one)
    assert len(one._forward_hooks) == 1
    shared.release()
    assert not one._forward_hooks and not one._forward_pre_hooks
    assert torch.equal(one(images).logits, wanted)
    one.train()(images).logits.sum().backward()
    assert not any("forward" in vars(module) for module in one.modules())
