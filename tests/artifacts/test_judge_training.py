"""Judges that learn from public people: from whom, and that they do learn."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from toy import runtime
from trapmid.artifacts import judge_training, judges
from trapmid.artifacts.judge_training import Public
from trapmid.config.study import JudgeTraining, TrainedJudgeRow
from trapmid.training import judging
from trapmid.training.judging import Faces
from trapmid.types import InMemory, Person, Reader

SIZE, PEOPLE = 16, 24
PLAN = JudgeTraining(
    steps=40, people=12, images_each=2, nobodies=2, lr=5e-3, weight_decay=0.0, keep_every=40
)


@pytest.fixture(scope="module")
def none(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("weights") / "none"
    file.write_text("none\n", encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def public() -> Public:
    """24 people of a colour each, with 2 or 3 images; then one with one image."""
    generator = torch.Generator().manual_seed(0)
    colours, images, people = torch.rand(PEOPLE + 1, 3, 1, 1, generator=generator), [], []
    for number, colour in enumerate(colours):
        count = 1 if number == PEOPLE else 2 + number % 2
        rows = tuple(range(len(images), len(images) + count))
        identity = 100 + number if number % 3 else None
        people.append(Person(identity, tuple(f"celeba/{row}.jpg" for row in rows), rows))
        images += [(colour * 255).expand(3, SIZE, SIZE).to(torch.uint8)] * count
    return Public(torch.stack(images), people)


def row(truth: Path, method: str = "verifier", min_images: int = 1) -> TrainedJudgeRow:
    return TrainedJudgeRow(
        data="faces",
        method=method,
        block="judge_training.x",
        min_images=min_images,
        truth=str(truth),
        seed=0,
    )


def test_a_verifier_learns_people_with_two_images(none: Path, public: Public) -> None:
    checkpointer = InMemory()
    found = judge_training.train(row(none), PLAN, public, runtime(), checkpointer)
    assert not found.judge.training and found.image_size == SIZE
    whom = found.learnt_from
    assert (whom.data, whom.people, whom.images) == ("faces", PEOPLE, 12 * 2 + 12 * 3)
    assert whom.identities == tuple(100 + n for n in range(PEOPLE) if n % 3)
    losses = [point["loss"] for point in checkpointer.rows]
    assert len(losses) == PLAN.steps and sum(losses[-10:]) < 0.9 * sum(losses[:10])


def test_a_training_repeats_itself_and_depends_on_the_seed(none: Path, public: Public) -> None:
    short = replace(PLAN, steps=2)
    weights = [
        judge_training.train(
            row(none), short, public, runtime(seed), InMemory()
        ).judge.trunk.head.weight.detach()  # type: ignore[union-attr]
        for seed in (0, 0, 1)
    ]
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])


def test_too_few_people_are_named(none: Path, public: Public) -> None:
    with pytest.raises(
        ValueError,
        match=r"^data faces: 12 of 25 public people have 3 images or more \(min_images\); the "
        r"judge verifier needs 20 of them$",
    ):
        judge_training.train(row(none, min_images=3), PLAN, public, runtime(), InMemory())


def test_a_reader_learns_and_says_how_far_it_can_be_relied_on(
    tmp_path: Path, public: Public
) -> None:
    """A bright face smiles: that can be read. Nobody is bald."""
    table = tmp_path / "list_attr_celeba.txt"
    bright = public.images.float().mean(dim=(1, 2, 3)) > 128
    lines = [f"{row}.jpg {1 if smiles else -1} -1" for row, smiles in enumerate(bright)]
    text = [str(len(lines)), "Smiling Bald", *lines]
    table.write_text("\n".join(text) + "\n", encoding="utf-8")
    many = _four_times(public)
    plan = replace(PLAN, steps=80, people=40, images_each=1, nobodies=0)
    found = judge_training.train(row(table, "attributes"), plan, many, runtime(), InMemory())
    judge = found.judge
    assert isinstance(judge, Reader) and found.learnt_from.people == 4 * (PEOPLE + 1)
    reliability = dict(zip(judge.names, judge.reliability.tolist(), strict=True))
    assert reliability["Smiling"] > 0.5
    assert reliability["Bald"] == reliability["Mustache"] == 0
    marks = judge.marks(torch.zeros(1, 40))
    assert "Smiling" in marks and "Bald" not in marks


def test_a_reader_is_measured_on_people_from_whom_it_did_not_learn(
    tmp_path: Path, public: Public, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every image has a value of its own, which says who learnt and who was held out."""
    seen: dict[str, list[Faces]] = {}
    fits = lambda judge, loss, faces, *_: seen.update(learnt=[faces])  # noqa: E731
    monkeypatch.setattr(judging, "fit", fits)
    monkeypatch.setattr(judging, "calibrate", lambda _, *faces: seen.update(measured=[*faces[:2]]))
    table = tmp_path / "list_attr_celeba.txt"
    lines = [f"{row}.jpg 1" for row in range(len(public.images))]
    table.write_text("\n".join([str(len(lines)), "Smiling", *lines]) + "\n", encoding="utf-8")
    numbered = torch.arange(len(public.images), dtype=torch.uint8)[:, None, None, None]
    faces = Public(numbered.expand_as(public.images), public.people)
    judge_training.train(row(table, "attributes"), PLAN, faces, runtime(), InMemory())
    (learnt,), (known, held_out) = seen["learnt"], seen["measured"]
    shown = [set(part.images[:, 0, 0, 0].tolist()) for part in (learnt, known, held_out)]
    assert shown[0] == shown[1] and not shown[0] & shown[2]
    assert shown[0] | shown[2] == set(range(len(public.images)))
    assert len(held_out.counts) == 2  # a tenth of 25 people
    assert int(held_out.counts.sum()) == len(held_out.images)


def _four_times(public: Public) -> Public:
    """Enough people to hold some out: four of each colour, with the same files."""
    return Public(public.images, [*public.people] * 4)


def test_a_reader_without_a_table_is_refused(none: Path, public: Public) -> None:
    with pytest.raises(ValueError, match=r"^judge attributes: truth: needs a table, is "):
        judge_training.train(row(none, "attributes"), PLAN, public, runtime(), InMemory())


def test_a_trained_judge_is_opened_as_a_shipped_one(
    none: Path, public: Public, tmp_path: Path
) -> None:
    found = judge_training.train(row(none), replace(PLAN, steps=1), public, runtime(), InMemory())
    file = tmp_path / "model.pt"
    judges.save_weights(file, "verifier", *found)
    opened = judges.open_weights("verifier", file, 99, runtime())
    assert (opened.image_size, opened.learnt_from) == (SIZE, found.learnt_from)


@pytest.mark.parametrize(("pixels", "works"), [(8, 16), (32, 32), (63, 56), (64, 64), (112, 64)])
def test_a_judge_works_on_a_multiple_of_8(pixels: int, works: int) -> None:
    assert judge_training.image_size(pixels) == works
