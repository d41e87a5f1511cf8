"""A classifier under its defence, in memory."""

from __future__ import annotations

import pytest
import torch

from toy import BLOCKS, InMemory, ToyNet, faces, plan, private, runtime, same_state
from trapmid import wiring
from trapmid.training import classifier, fit
from trapmid.training.classifier import Splits, Trained
from trapmid.types import Target

CLASSES = 4


def network(outputs: int) -> Target:
    """A network whose weights come from torch's global generator."""
    return ToyNet(outputs)


def train(name: str, seed: int = 0) -> Trained:
    method, block = BLOCKS[name]
    data = Splits.of(private(CLASSES))
    how = plan(select="last", epochs=2)
    defense = wiring.defense(method, block, name)
    return classifier.train(defense, network, data, how, runtime(seed), InMemory())


def test_splits_are_those_of_the_file() -> None:
    content = private(3)
    found = Splits.of(content)
    assert found.num_classes == 3
    for part in ("train", "val", "test"):
        assert torch.equal(getattr(found, part).images, content[f"{part}_images"])
        assert torch.equal(getattr(found, part).labels, content[f"{part}_labels"])


@pytest.mark.parametrize("name", BLOCKS)
def test_a_training_depends_on_its_seed_and_not_on_what_was_drawn_before(name: str) -> None:
    torch.manual_seed(1)
    one = train(name)
    torch.manual_seed(2)
    again, other = train(name), train(name, seed=1)
    assert same_state(one.model.state_dict(), again.model.state_dict())
    assert not same_state(one.model.state_dict(), other.model.state_dict())
    if one.objective.trapdoor is not None:
        assert again.objective.trapdoor is not None
        assert torch.equal(one.objective.trapdoor.triggers, again.objective.trapdoor.triggers)


def test_it_leaves_the_callers_stream_alone() -> None:
    torch.manual_seed(3)
    wanted = torch.rand(2)
    torch.manual_seed(3)
    train("none")
    assert torch.equal(torch.rand(2), wanted)


def test_what_was_fitted_is_what_the_network_gets_right() -> None:
    data = Splits(faces(10, 3, 0), faces(0, 3, 1), faces(5, 3, 2), 3)
    defense = wiring.defense("none", {"augmentation": None}, "none")
    checkpointer = InMemory()
    trained = classifier.train(defense, network, data, plan(select="last"), runtime(), checkpointer)
    assert trained.fitted.val_accuracy is None
    assert trained.fitted.test_accuracy == fit.accuracy(trained.model, data.test) > 0.6
    assert [row["step"] for row in checkpointer.rows] == [1, 2, 3, 4]
