"""A classifier under its defence, from images in memory to a trained network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, Self

from torch import Tensor

from trapmid.config.study import ClassifierTraining
from trapmid.runtime import Runtime
from trapmid.training import fit
from trapmid.training.fit import Fitted, Labelled
from trapmid.types import Checkpointer, Defense, Objective, Setting, Target, Trapdoor


class Splits(NamedTuple):
    """The private images of one training."""

    train: Labelled
    val: Labelled  # empty: there is no validation split
    test: Labelled
    num_classes: int

    @classmethod
    def of(cls, private: Mapping[str, Tensor]) -> Self:
        """The splits in the content of a private.pt, see `trapmid.data.prepare.Prepared`."""
        train, val, test = (
            Labelled(private[f"{part}_images"], private[f"{part}_labels"])
            for part in ("train", "val", "test")
        )
        return cls(train, val, test, len(private["identities"]))


@dataclass(frozen=True)
class Trained:
    """A network and what its training leaves."""

    defense: Any  # a `types.Defense`: a frozen dataclass
    model: Target  # on the runtime's device, with the weights of the kept epoch
    objective: Objective  # its trapdoor, if any, is that of the kept epoch
    fitted: Fitted


def train(
    defense: Defense,
    new_network: Callable[[int], Target],
    splits: Splits,
    plan: ClassifierTraining,
    rt: Runtime,
    checkpointer: Checkpointer,
) -> Trained:
    """Trains a new network under `defense`.

    Args:
        defense: how the network and its loss differ from a plain classifier's.
        new_network: makes a network with so many outputs; what it draws from torch's global
            generator depends on the seed of `rt` alone.
        splits: what is trained on, and what the epochs are scored on.
        plan: how it is trained.
        rt: where to compute; its seed starts the weights, the batches and the triggers.
        checkpointer: where the curve and the state of the unfinished training are kept.
    """
    model, objective = _begin(defense, new_network, splits, plan, rt)
    fitted = fit.fit(model, objective, *splits[:3], plan, rt, checkpointer)
    return Trained(defense, model, objective, fitted)


def take(
    defense: Defense,
    new_network: Callable[[int], Target],
    fill: Callable[[Target, Trapdoor | None], None],
    splits: Splits,
    plan: ClassifierTraining,
    rt: Runtime,
    checkpointer: Checkpointer,
) -> Trained:
    """A finished network under the defence that it was trained with: it is scored, not trained.

    Args:
        fill: gives the network, adapted, and the trapdoor of `defense` what they had learnt.
        new_network, splits, plan, rt, checkpointer: as in `train`.
    """
    model, objective = _begin(defense, new_network, splits, plan, rt)
    fill(model, objective.trapdoor)
    fitted = fit.take(model, objective.trapdoor, splits.val, splits.test, rt, checkpointer)
    return Trained(defense, model, objective, fitted)


def _begin(
    defense: Defense,
    new_network: Callable[[int], Target],
    splits: Splits,
    plan: ClassifierTraining,
    rt: Runtime,
) -> tuple[Target, Objective]:
    """The network and its objective before the first epoch."""

    def network(outputs: int) -> Target:
        with rt.seeded("initial weights", outputs):
            return rt.place(new_network(outputs))

    with rt.seeded("initial weights", "hardened"):  # of what the defence adds
        model = rt.place(defense.adapt(network(splits.num_classes)))
    channels, height, width = splits.train.images.shape[1:]
    setting = Setting(
        image_shape=(channels, height, width),
        num_classes=splits.num_classes,
        new_network=network,
        new_optimizer=partial(fit.make_optimizer, plan),
        rt=rt,
    )
    return model, defense.objective(setting)
