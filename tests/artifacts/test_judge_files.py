"""Judges in files: what was saved comes back, and what does not fit is refused in one line."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from toy import ToyTarget, runtime, seeded
from trapmid.artifacts import checkpoints, judges
from trapmid.artifacts.checkpoints import CheckpointError
from trapmid.artifacts.classifiers import LoadedClassifier
from trapmid.artifacts.judges import LearntFrom, LearntFromPublic, Opened
from trapmid.artifacts.lineage import Lineage, Traced, check_together
from trapmid.config.study import AttackRunRow
from trapmid.judges import portrait, verifier

WHO = LearntFrom(maker="synthetic", seed=0, first=1_000_000, last=1_000_099)
IMAGES = torch.rand(3, 3, 16, 16)


@pytest.fixture
def none(tmp_path: Path) -> Path:
    (tmp_path / "none").write_text("none\n", encoding="utf-8")
    return tmp_path / "none"


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    file = tmp_path / "verifier.pt"
    judges.save_weights(file, "verifier", seeded(verifier.Judge, 16).eval(), 16, WHO)
    return file


def test_weights_come_back_in_half_precision(weights: Path) -> None:
    opened = judges.open_weights("verifier", weights, 99, runtime())
    assert (opened.method, opened.image_size, opened.learnt_from) == ("verifier", 16, WHO)
    assert not opened.judge.training
    assert not any(parameter.requires_grad for parameter in opened.judge.parameters())
    with torch.no_grad():
        before = seeded(verifier.Judge, 16).eval()(IMAGES)
        assert torch.allclose(opened.judge(IMAGES), before, atol=5e-3)


def test_a_judge_of_a_study_comes_back(weights: Path, tmp_path: Path) -> None:
    opened = judges.open_weights("verifier", weights, 16, runtime())
    file = tmp_path / "judges" / "verifier.pt"
    judges.save(file, opened, {"templates": torch.eye(3)}, "people")
    loaded = judges.load(file, runtime())
    assert loaded is not None
    assert torch.equal(loaded.reference["templates"], torch.eye(3))
    assert loaded.traced == (file, "people", None)
    with torch.no_grad():
        assert torch.equal(loaded.judge(IMAGES), opened.judge(IMAGES))


def row(verifier: Path, identity: Path, second: Path) -> AttackRunRow:
    names = ("attack", "method", "target", "queried_model", "side_information", "prior")
    return AttackRunRow(
        **dict.fromkeys((*names, "evaluator", "data"), "x"),
        verifier=str(verifier),
        identity=str(identity),
        second_evaluator=str(second),
        seed=0,
    )


def test_no_judge_is_none(none: Path) -> None:
    assert judges.load(none, runtime()) is None
    panel = judges.load_panel(row(none, none, none), runtime())
    assert panel == judges.NO_JUDGES and panel.traced == []


def test_a_second_evaluator_is_of_the_same_people_and_no_target() -> None:
    second = LoadedClassifier(
        model=ToyTarget(3),
        trapdoor=None,
        meta={},
        path=Path("second.pt"),
        digest="its own",
        image_size=8,
        lineage=Lineage(people="p", target=None),
    )
    panel = judges.Panel(None, None, second)
    assert panel.traced == [Traced(Path("second.pt"), "p", None)]
    check_together(Traced(Path("target.pt"), "p", "the target"), *panel.traced)


def test_the_second_evaluator_is_the_file_that_the_row_names(
    none: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = tmp_path / "second.pt"
    second.write_bytes(b"weights")
    monkeypatch.setattr(judges.classifiers, "load", lambda path, rt: path)
    found: object = judges.load_panel(row(none, none, second), runtime()).second_evaluator
    assert found == second


def test_a_judge_of_the_other_kind_is_refused(weights: Path, none: Path, tmp_path: Path) -> None:
    file = tmp_path / "judge.pt"
    opened = judges.open_weights("verifier", weights, 16, runtime())
    judges.save(file, opened, {}, "people")
    assert judges.load_panel(row(file, none, none), runtime()).verifier is not None
    with pytest.raises(ValueError, match=rf"^identity: {file} holds no reader$"):
        judges.load_panel(row(none, file, none), runtime())
    judges.save(file, Opened(portrait.Judge(16), "portrait", 16, WHO), {}, "people")
    with pytest.raises(ValueError, match=rf"^verifier: {file} holds no verifier$"):
        judges.load_panel(row(file, none, none), runtime())


def test_weights_of_another_method_are_refused(weights: Path) -> None:
    with pytest.raises(
        CheckpointError, match=rf"^{weights}: holds a judge 'verifier', not 'portrait'"
    ):
        judges.open_weights("portrait", weights, 16, runtime())


def test_a_method_needs_the_weights_that_it_needs(none: Path, weights: Path) -> None:
    with pytest.raises(ValueError, match=r"^judge verifier: model: needs a file with weights, is "):
        judges.open_weights("verifier", none, 16, runtime())
    with pytest.raises(ValueError, match=r"^judge dlib: model: needs no file, weights/none, is "):
        judges.open_weights("dlib", weights, 16, runtime())


def test_public_people_are_said_by_their_numbers(tmp_path: Path) -> None:
    file = tmp_path / "model.pt"
    whom = LearntFromPublic(data="faces", people=3, images=9, identities=(4, 7))
    judges.save_weights(file, "verifier", verifier.Judge(16), 16, whom)
    found = judges.open_weights("verifier", file, 16, runtime()).learnt_from
    assert found == whom and set(found.numbers) == {4, 7}
    assert str(found) == "3 public people of faces (9 images)"
    assert 1_000_099 in WHO.numbers and 1_000_100 not in WHO.numbers


def test_a_verifier_takes_no_truth(weights: Path, none: Path, tmp_path: Path) -> None:
    opened = judges.open_weights("verifier", weights, 16, runtime())
    assert judges.truth_of(opened, none, []) is None
    with pytest.raises(ValueError, match=r"^judge verifier: truth: it reads none; needs weights/n"):
        judges.truth_of(opened, tmp_path / "table.csv", [])


@pytest.mark.parametrize("change", [{"learnt_from": {"maker": "x"}}, {"learnt_from": None}])
def test_weights_that_do_not_say_of_whom_are_refused(
    weights: Path, change: dict[str, object]
) -> None:
    checkpoints.save(weights, checkpoints.load(weights) | change)
    with pytest.raises(CheckpointError, match="learnt_from") as error:
        judges.open_weights("verifier", weights, 16, runtime())
    assert "\n" not in str(error.value)


def test_a_judge_of_other_code_is_refused(weights: Path, tmp_path: Path) -> None:
    file = tmp_path / "judge.pt"
    judges.save(file, judges.open_weights("verifier", weights, 16, runtime()), {}, "people")
    checkpoints.save(file, checkpoints.load(file) | {"code": "older"})
    with pytest.raises(CheckpointError, match="made by another version of"):
        judges.load(file, runtime())


def test_what_is_no_judge_is_refused(weights: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="not a judge of a study"):
        judges.load(weights, runtime())
    with pytest.raises(CheckpointError, match="no such file"):
        judges.load(tmp_path / "absent.pt", runtime())


def test_what_a_full_disk_left_is_named(none: Path, tmp_path: Path) -> None:
    """Shorter than weights/none may be, and no text."""
    file = tmp_path / "judge.pt"
    file.write_bytes(b"\x80\x02}q")
    with pytest.raises(CheckpointError, match=rf"^{file}: damaged, or not written by this version"):
        judges.load_panel(row(none, file, none), runtime())


def test_numbers_that_are_not_finite_are_not_saved(weights: Path, tmp_path: Path) -> None:
    opened = judges.open_weights("verifier", weights, 16, runtime())
    with pytest.raises(CheckpointError, match="templates is not finite"):
        judges.save(tmp_path / "x.pt", opened, {"templates": torch.tensor(torch.nan)}, "people")
