"""A start with a teacher, from a row to its file, and a target that begins with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from toy import Memory, T, images, plan, runtime, same_state, snapshot
from trapmid import wiring
from trapmid.artifacts import checkpoints, classifiers, pretraining
from trapmid.artifacts.checkpoints import CheckpointError
from trapmid.artifacts.lineage import file_digest
from trapmid.augment import TrapAugmentation
from trapmid.config import params
from trapmid.config.study import PretrainedRow
from trapmid.nets import dlib_resnet
from trapmid.training import imitation
from trapmid.types import Target

CLASSES, SIZE = 4, 16
ROW: dict[str, Any] = {
    "data": "strangers",
    "arch": "small_vgg",
    "defense": "none",
    "method": "none",
    "block": "none_aug",
    "training": "people",
    "init": "weights/random",
    "seed": 3,
    "teacher": "dlib",
}
CONTENT = {"images": torch.zeros(1, 3, SIZE, SIZE, dtype=torch.uint8), "people": "people"}


class Recogniser:
    """Stands for dlib's, which is an extra: the means of 128 parts of an image."""

    def __call__(self, images: Tensor) -> Tensor:
        assert images.dtype == torch.float32 and images.max() <= 1
        return images.flatten(1).unfold(1, 6, 6)[:, :128].mean(dim=2)


@pytest.fixture
def learnt(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pretraining.Learnt:
    monkeypatch.setattr(dlib_resnet, "Recogniser", Recogniser)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights/random").write_text("random\n", encoding="utf-8")
    how = plan(epochs=2, select="last")
    public = images(80, size=SIZE).mul(255).to(torch.uint8)
    row = PretrainedRow(**ROW)
    view = wiring.defense("none", {"augmentation": T}, "none_aug")
    return pretraining.train(row, how, view, {"images": public}, runtime(3), Memory())


def test_its_body_is_where_a_target_begins(learnt: pretraining.Learnt, tmp_path: Path) -> None:
    assert learnt.model.num_classes == 128
    assert learnt.explained is not None and learnt.explained <= 1
    path = tmp_path / "start" / "model.pt"
    pretraining.save(path, "start", PretrainedRow(**ROW), learnt, CONTENT)
    content = checkpoints.load(path)
    assert content["meta"]["teacher"] == "dlib"
    assert content["meta"]["explained"] == learnt.explained
    sources = {"init": file_digest(Path("weights/random"))}
    assert content["lineage"] == {"people": "people", "target": None, "sources": sources}
    target = classifiers.new_network("small_vgg", CLASSES, SIZE, path, runtime())
    fresh = classifiers.new_network("small_vgg", CLASSES, SIZE, Path("weights/random"), runtime())

    def part(state: dict[str, Tensor], *, head: bool) -> dict[str, Tensor]:
        heads = tuple(f"{name}." for name in target.head)
        return {name: value for name, value in state.items() if name.startswith(heads) == head}

    begun, random, start = (snapshot(one) for one in (target, fresh, learnt.model))
    assert same_state(part(begun, head=False), part(start, head=False))
    assert same_state(part(begun, head=True), part(random, head=True))


class Given(NamedTuple):
    """What `pretraining.train` hands on."""

    model: Target
    faces: imitation.Faces
    augmentation: object
    plan: object


@pytest.fixture
def handed_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Given]:
    monkeypatch.setattr(dlib_resnet, "Recogniser", Recogniser)
    (tmp_path / "random").write_text("random\n", encoding="utf-8")

    def train(public: Tensor, seed: int = 3, init: Path = tmp_path / "random") -> Given:
        given: list[Given] = []

        def imitate(model: Target, faces: Any, teacher: Any, view: Any, how: Any, *_: Any) -> float:
            assert isinstance(teacher, Recogniser)
            given.append(Given(model, faces, view, how))
            return 0.5

        monkeypatch.setattr(imitation, "imitate", imitate)
        row = PretrainedRow(**(ROW | {"init": str(init)}))
        view = wiring.defense("none", {"augmentation": T}, "none_aug")
        how, rt = plan(select="last"), runtime(seed)
        learnt = pretraining.train(row, how, view, {"images": public}, rt, Memory())
        assert learnt.explained == 0.5 and learnt.model is given[0].model
        return given[0]

    return train


def test_every_twentieth_image_is_held_out_as_the_seed_says(
    handed_on: Callable[..., Given],
) -> None:
    """And none of those is learnt from, or `explained` would say how well they are remembered."""
    public = images(85, size=SIZE).mul(255).to(torch.uint8)
    places = {tuple(one.flatten().tolist()): place for place, one in enumerate(public)}

    def numbers(some: Tensor) -> list[int]:
        return [places[tuple(one.flatten().tolist())] for one in some]

    one, again, other = (handed_on(public, seed).faces for seed in (3, 3, 4))
    learnt, held_out = numbers(one.train), numbers(one.held_out)
    assert len(held_out) == 4 and sorted([*learnt, *held_out]) == list(range(85))
    assert held_out != list(range(4)) and learnt == numbers(again.train)
    assert set(held_out) != set(numbers(other.held_out))


def test_the_network_starts_from_its_file_and_sees_the_rows_views(
    handed_on: Callable[..., Given], tmp_path: Path
) -> None:
    public = images(20, size=SIZE).mul(255).to(torch.uint8)
    random = handed_on(public)
    assert random.augmentation == TrapAugmentation(**T) and random.plan == plan(select="last")
    other = classifiers.new_network("small_vgg", CLASSES, SIZE, tmp_path / "random", runtime(9))
    torch.save(other.state_dict(), tmp_path / "other.pt")
    begun, weight = handed_on(public, init=tmp_path / "other.pt"), "blocks.0.0.weight"
    assert torch.equal(begun.model.state_dict()[weight], other.state_dict()[weight])
    assert not torch.equal(random.model.state_dict()[weight], other.state_dict()[weight])


def test_a_weight_that_is_not_finite_is_not_written(
    learnt: pretraining.Learnt, tmp_path: Path
) -> None:
    with torch.no_grad():
        next(learnt.model.parameters()).fill_(torch.nan)
    path = tmp_path / "start" / "model.pt"
    with pytest.raises(CheckpointError, match="not finite"):
        pretraining.save(path, "start", PretrainedRow(**ROW), learnt, CONTENT)
    assert not path.exists()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"teacher": "facenet"}, r"pretrained\.x\.teacher"),
        ({"method": "trapmid"}, r"pretrained\.x\.method: trapmid defends names"),
    ],
)
def test_a_row_that_cannot_be(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(params.ParamsError, match=said):
        params.build(PretrainedRow, ROW | changed, "pretrained.x")


def test_no_teacher_is_a_classifier() -> None:
    without = {key: value for key, value in ROW.items() if key != "teacher"}
    assert params.build(PretrainedRow, without, "pretrained.x").teacher is None
