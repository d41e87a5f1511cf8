"""Classifiers between files and memory: made from a row, saved, and loaded with proof."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from trapmid import wiring
from trapmid.artifacts import checkpoints, initial
from trapmid.artifacts.checkpoints import CheckpointError
from trapmid.artifacts.lineage import Lineage, Traced, file_digest
from trapmid.config.params import ParamsError
from trapmid.config.study import ClassifierTraining, TargetRow
from trapmid.metrics import renaming
from trapmid.runtime import Runtime
from trapmid.training import classifier
from trapmid.training.classifier import Splits, Trained
from trapmid.training.fit import Labelled, to_float
from trapmid.types import Checkpointer, Defense, Target, Trapdoor

_ASKED = 8  # training images of every person, about which a program is asked


@dataclass(frozen=True)
class LoadedClassifier:
    """A classifier from its checkpoint: on the runtime's device, in eval mode, frozen."""

    model: Target
    trapdoor: Trapdoor | None
    meta: Mapping[str, Any]
    path: Path
    digest: str  # of the file
    image_size: int
    lineage: Lineage

    @property
    def target(self) -> str:
        """The digest of the target that it is or, a surrogate, stands for."""
        return self.lineage.target or self.digest

    @property
    def traced(self) -> Traced:
        """What `lineage.check_together` asks of it."""
        return Traced(self.path, self.lineage.people, self.target)


def new_network(arch: str, num_classes: int, image_size: int, init: Path, rt: Runtime) -> Target:
    """A network of `targets/<arch>.py` with its initial weights, on the runtime's device.

    The random part of the start depends on the seed, the architecture and the number of classes.
    """
    network = _unstarted(arch, num_classes, image_size, rt)
    initial.start(network, arch, init, image_size)
    return rt.place(network)


def _unstarted(arch: str, num_classes: int, image_size: int, rt: Runtime) -> Target:
    with rt.seeded("initial weights", arch, num_classes):
        network: Target = wiring.target(arch)(num_classes, image_size)
    return network


def train(
    row: TargetRow,
    plan: ClassifierTraining,
    defense: Defense,
    private: Mapping[str, Tensor],
    rt: Runtime,
    checkpointer: Checkpointer,
) -> Trained:
    """Trains one row under its defence; `private` is the content of private.pt.

    A plan without epochs takes the network that the row's `init` holds, as it is.

    Raises:
        CheckpointError: `init` cannot be used, or holds another network than the row's, or a
            program whose outputs are in another order than the labels.
        ValueError: the epoch is chosen on validation images, and there are none.
    """
    splits = Splits.of(private)
    size = splits.train.images.shape[-1]
    if plan.select == "val" and not len(splits.val):
        raise ValueError(
            f"classifier_training.{row.training}.select: val, "
            f"but data.{row.data} has no validation images "
            "(val_fraction: 0); choose test or last"
        )

    if plan.epochs == 0:
        fill = partial(initial.take, Path(row.init), row.arch, size, _adapted(row, defense))
        unstarted = partial(_unstarted, row.arch, image_size=size, rt=rt)
        taken = classifier.take(defense, unstarted, fill, splits, plan, rt, checkpointer)
        if row.arch == initial.PROGRAM:
            _check_order(row, taken.model, splits.train, rt)
        return taken

    def network(outputs: int) -> Target:
        return new_network(row.arch, outputs, size, Path(row.init), rt)

    return classifier.train(defense, network, splits, plan, rt, checkpointer)


@torch.no_grad()
def _check_order(row: TargetRow, model: Target, train: Labelled, rt: Runtime) -> None:
    """Refuses a program from elsewhere that has the people in another order.

    Nothing else would: every search convinces it, and of somebody else, so it looks protected.

    Raises:
        CheckpointError: under a renaming of its outputs it would be right far more often.
    """
    people = range(model.num_classes)
    first = torch.cat([(train.labels == one).nonzero().flatten()[:_ASKED] for one in people])
    images = train.images[first]
    parts = [model(to_float(part).to(rt.device)).logits for part in images.split(64)]
    found = renaming.readings(torch.cat(parts), train.labels[first])
    if found.is_another_order:
        raise CheckpointError(
            f"{row.init}: names {found.given:.0%} of {len(first)} training images, and "
            f"{found.renamed:.0%} if its outputs stood for other people; they must be in the order "
            f"of the labels of data/prepared/{row.data}/manifest.csv"
        )


def save(
    path: Path, name: str, row: TargetRow, trained: Trained, image_size: int, people: str
) -> None:
    """Writes the checkpoint of a trained row; `people`: see `lineage.people_of`.

    Raises:
        CheckpointError: a weight or a trigger is not finite.
    """
    trapdoor, fitted = trained.objective.trapdoor, trained.fitted
    defense = trained.defense
    lineage = Lineage(people=people, target=None, sources=initial.sources(Path(row.init)))
    adapted = _adapted(row, defense)
    triggers = {} if trapdoor is None else {"triggers": trapdoor.triggers}
    checkpoints.check_finite(path, {**trained.model.state_dict(), **triggers})
    checkpoints.save(
        path,
        {
            "arch": row.arch,
            "num_classes": trained.model.num_classes,
            "image_size": image_size,
            "adapted": adapted,
            "state": trained.model.state_dict(),
            "trapdoor": None if trapdoor is None else _trapdoor_content(trapdoor),
            "code": checkpoints.code_digest(trained.model, *([defense] if adapted else [])),
            "lineage": lineage.to_content(),
            "meta": {
                "row": name,
                "defense": row.defense,
                "seed": row.seed,
                "init": row.init,
                "facts": trained.objective.facts(),
                "epoch": fitted.epoch,
                "select": fitted.select,
                "val_accuracy": fitted.val_accuracy,
                "test_accuracy": fitted.test_accuracy,
                "trapdoor_success": fitted.trapdoor_success,
            },
        },
    )


def _adapted(row: TargetRow, defense: Defense) -> dict[str, Any] | None:
    """By what a defence altered the network; None: it is as `arch` makes it."""
    if not defense.alters_network:
        return None
    return {"method": row.method, "block": asdict(cast(Any, defense))}


def _trapdoor_content(trapdoor: Trapdoor) -> dict[str, Any]:
    return {
        "triggers": trapdoor.triggers,
        "alpha": float(trapdoor.alpha),
        "masks": trapdoor.masks,
        "code": checkpoints.code_digest(trapdoor),
    }


def load(path: Path, rt: Runtime) -> LoadedClassifier:
    """A saved classifier, strictly: every weight has its place and the code is the one it had.

    Raises:
        CheckpointError: the file is missing, is no classifier, or belongs to other code.
    """
    content = checkpoints.load(path)
    defense = None
    try:
        network = wiring.target(content["arch"])
        model = network(content["num_classes"], content["image_size"])
        if (adapted := content["adapted"]) is not None:
            where = f"{path}: adapted"
            defense = wiring.defense(adapted["method"], adapted["block"], where)
            model = defense.adapt(model)
    except KeyError as error:
        raise CheckpointError(f"{path}: not a classifier; no {error}") from None
    except ParamsError as error:  # the defence has other parameters now
        raise CheckpointError(f"{error}; `dvc repro` renews it") from None
    checkpoints.check_code(path, content, model, *([] if defense is None else [defense]))
    checkpoints.load_strictly(path, model, content["state"])
    trapdoor = None
    if (saved := content["trapdoor"]) is not None:
        trapdoor = wiring.trapdoor(saved["triggers"], saved["alpha"], saved["masks"])
        checkpoints.check_code(path, saved, trapdoor)
        checkpoints.check_finite(path, saved)
        trapdoor = trapdoor.to(rt.device).requires_grad_(False).eval()
    return LoadedClassifier(
        model=rt.place(model).eval().requires_grad_(False),
        trapdoor=trapdoor,
        meta=content["meta"],
        path=path,
        digest=file_digest(path),
        image_size=content["image_size"],
        lineage=Lineage.read(path, content),
    )
