"""What an attacker knows, between files and memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor

from toy import BLOCKS, PEOPLE, Memory, images, plan, private, runtime, same_state, snapshot
from trapmid import types, wiring
from trapmid.artifacts import checkpoints, classifiers, side_information
from trapmid.artifacts.checkpoints import CheckpointError
from trapmid.artifacts.classifiers import LoadedClassifier
from trapmid.artifacts.lineage import Lineage, file_digest
from trapmid.config.study import SurrogateRow, TargetRow
from trapmid.types import NOTHING, Checkpointer, SideInformation, Target

CLASSES, SIZE = 3, 16
RT = runtime()


@dataclass(frozen=True)
class Copycat(types.Surrogate):
    """Learns nothing."""

    stolen: ClassVar[bool] = False

    def fit(
        self, student: Target, teacher: Target, public: Tensor, rt: Any, checkpointer: Checkpointer
    ) -> Mapping[str, Tensor]:
        return {"feature_mean": torch.arange(4.0)}


class Thief(Copycat):
    stolen = True


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    for word in ("random", "none"):
        (folder / word).write_text(f"{word}\n")
    return folder


def saved(folder: Path, weights: Path, name: str) -> Path:
    """A target under the defence `name`, trained for an epoch."""
    method, block = BLOCKS[name]
    row = TargetRow(
        data="faces",
        arch="small_vgg",
        defense=name,
        method=method,
        block="none",
        training="target",
        init=str(weights / "random"),
        seed=0,
    )
    defense = wiring.defense(method, block, name)
    trained = classifiers.train(
        row, plan(epochs=1), defense, private(CLASSES, SIZE), runtime(), Memory()
    )
    path = folder / f"{name}.pt"
    classifiers.save(path, f"{name}-0", row, trained, SIZE, PEOPLE)
    return path


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory, weights: Path) -> Path:
    return saved(tmp_path_factory.mktemp("target"), weights, "trapmid")


def row(weights: Path, **changes: Any) -> SurrogateRow:
    fields: dict[str, Any] = {
        "data": "faces",
        "target": "trapmid-0",
        "arch": "small_resnet",
        "surrogate": "students",
        "method": "distil",
        "init": str(weights / "random"),
        "seed": 4,
    }
    return SurrogateRow(**(fields | changes))


def loaded(path: Path) -> LoadedClassifier:
    return classifiers.load(path, RT)


def test_a_surrogate_comes_back(tmp_path: Path, target: Path, weights: Path) -> None:
    start = side_information.start_surrogate(row(weights), Copycat(), target, SIZE, RT)
    assert all(p.requires_grad for p in start.student.parameters())
    learnt = {"feature_mean": torch.arange(4.0)}
    path = tmp_path / "model.pt"
    side_information.save_surrogate(path, "s-0", row(weights), start, loaded(target), learnt)
    back = loaded(path)
    assert same_state(snapshot(back.model), snapshot(start.student))
    assert back.trapdoor is None and back.meta["defense"] == "trapmid"
    assert back.lineage.sources == {"init": file_digest(weights / "random")}
    known = side_information.load(path, loaded(target), RT)
    assert known.students is not None and known.feature_mean is not None
    assert same_state(snapshot(known.students), snapshot(start.student))
    assert not any(p.requires_grad for p in known.students.parameters())
    assert known.feature_mean.tolist() == [0, 1, 2, 3]
    assert known.signatures is None and known.auxiliary is None


def test_what_is_not_finite_is_neither_saved_nor_known(
    tmp_path: Path, target: Path, weights: Path
) -> None:
    start = side_information.start_surrogate(row(weights), Copycat(), target, SIZE, RT)
    path, victim = tmp_path / "model.pt", loaded(target)
    wrong = {"feature_mean": torch.tensor([0, torch.nan])}
    with pytest.raises(CheckpointError, match=r"model\.pt: feature_mean is not finite"):
        side_information.save_surrogate(path, "s-0", row(weights), start, victim, wrong)
    with pytest.raises(CheckpointError, match=r"model\.pt: auxiliary is not finite"):
        side_information.save_signatures(path, victim, auxiliary=wrong["feature_mean"])
    with torch.no_grad():
        next(start.student.parameters()).fill_(torch.inf)
    with pytest.raises(CheckpointError, match=r"model\.pt: [\w.]+ is not finite"):
        side_information.save_surrogate(path, "s-0", row(weights), start, victim, {})
    assert not path.exists()
    lineage = Lineage(people=PEOPLE, target=victim.digest).to_content()
    checkpoints.save(path, {"signatures": wrong, "lineage": lineage})
    with pytest.raises(CheckpointError, match=r"model\.pt: feature_mean is not finite"):
        side_information.load(path, victim, RT)


@pytest.mark.parametrize("name", ["none", "trapmid", "mid", "dpsgd"])
def test_a_stolen_copy_is_the_target(tmp_path: Path, weights: Path, name: str) -> None:
    """Adapted networks, too; and training the copy leaves the target alone."""
    path = saved(tmp_path, weights, name)
    thief = row(weights, arch="small_vgg")
    start = side_information.start_surrogate(thief, Thief(), path, SIZE, RT)
    victim = loaded(path)
    assert same_state(snapshot(start.student), snapshot(victim.model))
    with torch.no_grad():
        next(start.student.parameters()).add_(1)
    copy = tmp_path / "copy.pt"
    side_information.save_surrogate(copy, "s-0", thief, start, victim, {})
    assert same_state(snapshot(loaded(copy).model), snapshot(start.student))
    assert not same_state(snapshot(loaded(copy).model), snapshot(loaded(path).model))


def test_a_copy_has_the_targets_architecture(target: Path, weights: Path) -> None:
    with pytest.raises(ValueError, match="arch: distil copies the target, which is small_vgg, not"):
        side_information.start_surrogate(row(weights), Thief(), target, SIZE, RT)


def test_nothing_is_known_by_choice(target: Path, weights: Path, tmp_path: Path) -> None:
    assert side_information.load(weights / "none", loaded(target), RT) is NOTHING
    with pytest.raises(CheckpointError, match=r"gone: no such file"):
        side_information.load(tmp_path / "gone", loaded(target), RT)


def test_signatures_come_back_as_floats(tmp_path: Path, target: Path) -> None:
    path, one = tmp_path / "s.pt", torch.rand(CLASSES, 5, dtype=torch.float64)
    side_information.save_signatures(path, loaded(target), signatures=None, auxiliary=one)
    known = side_information.load(path, loaded(target), RT)
    assert known.auxiliary is not None and torch.equal(known.auxiliary, one.float())
    assert known.signatures is None and known.students is None
    with pytest.raises(
        ValueError, match="side_information: the method needs signatures; name a file"
    ):
        known.need("auxiliary", "signatures")


def test_knowledge_of_another_checkpoint_is_refused(
    tmp_path: Path, target: Path, weights: Path
) -> None:
    """The official code of LOMMA reuses another target's statistics without a word."""
    path = tmp_path / "s.pt"
    side_information.save_signatures(path, loaded(target), auxiliary=torch.rand(CLASSES, 5))
    other = replace(loaded(target), digest="another")
    with pytest.raises(CheckpointError, match=r"s\.pt: knows another checkpoint"):
        side_information.load(path, other, RT)
    start = side_information.start_surrogate(row(weights), Copycat(), target, SIZE, RT)
    side_information.save_surrogate(path, "s-0", row(weights), start, other, {})
    with pytest.raises(CheckpointError, match=r"s\.pt: knows another checkpoint"):
        side_information.load(path, loaded(target), RT)


def test_what_is_known_of_a_target_is_not_known_of_its_surrogate(
    tmp_path: Path, target: Path, weights: Path
) -> None:
    """Signatures are of the features of one network; a student has others."""
    known, copy = tmp_path / "s.pt", tmp_path / "copy.pt"
    side_information.save_signatures(known, loaded(target), auxiliary=torch.rand(CLASSES, 5))
    start = side_information.start_surrogate(row(weights), Copycat(), target, SIZE, RT)
    side_information.save_surrogate(copy, "s-0", row(weights), start, loaded(target), {})
    with pytest.raises(CheckpointError, match=r"s\.pt: knows another checkpoint"):
        side_information.load(known, loaded(copy), RT)


def test_knowledge_from_beside_other_people_is_refused(tmp_path: Path, target: Path) -> None:
    path, victim = tmp_path / "s.pt", loaded(target)
    lineage = Lineage(people="others", target=victim.digest).to_content()
    checkpoints.save(path, {"signatures": {}, "lineage": lineage})
    with pytest.raises(CheckpointError, match=r"s\.pt: belongs to other private people than"):
        side_information.load(path, victim, RT)


def test_other_files_are_refused(tmp_path: Path, target: Path) -> None:
    with pytest.raises(CheckpointError, match="neither signatures nor a surrogate"):
        side_information.load(target, loaded(target), RT)
    path = tmp_path / "s.pt"
    side_information.save_signatures(path, loaded(target), mood=torch.zeros(2))
    with pytest.raises(CheckpointError, match=r"unknown side information in \['mood'\]"):
        side_information.load(path, loaded(target), RT)


def test_agreement_is_a_share_of_images(target: Path) -> None:
    model = loaded(target).model
    public = (255 * images(7, seed=3, size=SIZE)).to(torch.uint8)
    assert side_information.agreement(model, model, public, RT) == 1

    class Constant(Target):
        num_classes = CLASSES

        def forward(self, images: Tensor) -> types.Output:
            logits = torch.tensor([0.0, 1.0, 0.0]).expand(len(images), -1)
            return types.Output(logits, logits)

    answers = model(public.float() / 255).logits.argmax(1)
    wanted = float((answers == 1).float().mean())
    assert side_information.agreement(model, Constant(), public, RT) == pytest.approx(wanted)


def test_every_part_can_be_asked_for() -> None:
    for part in SideInformation._fields:
        with pytest.raises(ValueError, match=part):
            NOTHING.need(part)
