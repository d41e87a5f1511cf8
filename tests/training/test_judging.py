"""How judges learn: batches, nobodies, the schedule, and that a judge does learn."""

from __future__ import annotations

import contextlib
import copy
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn

from toy import runtime
from trapmid.config.study import JudgeTraining
from trapmid.training import judging
from trapmid.training.judging import NOBODY, Faces
from trapmid.types import Checkpointer, FaceBatch, InMemory, Reader, Saving

PEOPLE, EACH, SIZE = 6, 3, 16


@pytest.fixture
def faces() -> Faces:
    colours = torch.rand(PEOPLE, 1, 3, 1, 1, generator=torch.Generator().manual_seed(0))
    images = (colours * 255).expand(PEOPLE, EACH, 3, SIZE, SIZE).to(torch.uint8)
    return Faces(images.flatten(0, 1), torch.full((PEOPLE,), EACH), colours.flatten(1))


def plan(**changes: float) -> JudgeTraining:
    usual = {"steps": 150, "people": 4, "images_each": 2, "nobodies": 3, "lr": 0.02}
    rest = {"weight_decay": 0.0, "keep_every": 2}
    return JudgeTraining(**{**usual, **rest, **changes})  # type: ignore[arg-type]


class Colour(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 3)

    def forward(self, images: Tensor) -> Tensor:
        return self.linear(images.mean(dim=(2, 3)))


def error(read: Tensor, batch: FaceBatch) -> Tensor:
    return (read[: len(batch.vectors)] - batch.vectors).square().mean()


def test_a_judge_learns_and_ends_in_eval_mode(faces: Faces) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        judge = Colour()
    first = faces.images[::EACH] / 255
    batch = FaceBatch(first, torch.arange(PEOPLE), faces.vectors)
    before = error(judge(first), batch)
    judging.fit(judge, error, faces, plan(), runtime())
    after = error(judge(first), batch)
    assert float(after.detach()) < 0.2 * float(before.detach())
    assert not judge.training


def test_a_training_repeats_itself(faces: Faces) -> None:
    found = []
    for _ in range(2):
        with torch.random.fork_rng():
            torch.manual_seed(1)
            judge = Colour()
        judging.fit(judge, error, faces, plan(steps=5), runtime())
        found.append(judge.linear.weight)
    assert torch.equal(*found)


def test_a_batch_is_people_with_their_vectors_and_then_nobody(faces: Faces) -> None:
    batch = judging._batch(faces, plan(), runtime())
    people = batch.people.tolist()
    assert people[8:] == [NOBODY] * 3 and len(set(people[:8])) == 4
    assert all(people.count(one) == 2 for one in people[:8])
    assert torch.equal(batch.vectors, faces.vectors[batch.people[:8]])
    assert batch.images.shape == (11, 3, SIZE, SIZE)


def test_more_images_than_a_person_has_are_all_of_them(faces: Faces) -> None:
    batch = judging._batch(faces, plan(images_each=9, people=50, nobodies=0), runtime())
    assert sorted(batch.people.tolist()) == sorted(list(range(PEOPLE)) * EACH)


def test_nobodies_look_like_reconstructions_too(
    faces: Faces, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sharp blank among blurred faces would be known by its sharpness."""
    seen: list[int] = []
    monkeypatch.setattr(judging, "degrade", lambda images: seen.append(len(images)) or images / 2)
    batch = judging._batch(faces, plan(), runtime())
    assert seen == [11] and batch.images.max() <= 0.5


def test_weights_that_nothing_teaches_decay(faces: Faces) -> None:
    """AdamW: by the rate of each step, times the decay; of five steps the first is the highest."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        judge = Colour()
    before = judge.linear.weight.detach().clone()
    how = plan(steps=5, lr=0.1, weight_decay=0.5)
    judging.fit(judge, lambda read, batch: 0 * read.sum(), faces, how, runtime())
    left = 1.0
    for share in (1.0, 1.0, 0.853553, 0.5, 0.146447):  # (1 + cos(pi t / 4)) / 2
        left *= 1 - 0.1 * share * 0.5
    assert torch.allclose(judge.linear.weight, left * before, rtol=1e-5)


class CutOff(InMemory):
    """Saves one state, in memory, and ends the run there; the next run begins with it."""

    def __init__(self) -> None:
        super().__init__()
        self.saved: dict[str, Any] = {}

    def restore(self, parts: Any) -> int:
        for name, state in self.saved.items():
            parts[name].load_state_dict(state)
        return 2 if self.saved else 0

    def save(self, parts: Any, step: int) -> None:
        if not self.saved:
            self.saved = copy.deepcopy({name: part.state_dict() for name, part in parts.items()})
            raise KeyboardInterrupt


def test_a_resumed_training_equals_an_undisturbed_one(faces: Faces) -> None:
    def fitted(checkpointer: Checkpointer, runs: int = 1) -> Tensor:
        for _ in range(runs):
            with torch.random.fork_rng():
                torch.manual_seed(1)
                judge = Colour()
            with contextlib.suppress(KeyboardInterrupt):
                judging.fit(judge, error, faces, plan(steps=5), runtime(), Saving(checkpointer, 2))
        return judge.linear.weight.detach()

    assert torch.equal(fitted(CutOff(), runs=2), fitted(InMemory()))


def test_people_have_as_many_images_as_they_have() -> None:
    """Three people with 1, 4 and 2 images: rows 0, 1 to 4, and 5 and 6."""
    counts, seen = torch.tensor([1, 4, 2]), set()
    for seed in range(40):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            found = judging._chosen(counts, torch.tensor([2, 1, 0]), 3)
        assert found.people.tolist() == [2, 2, 1, 1, 1, 0]
        rows = found.images.tolist()
        assert set(rows[:2]) == {5, 6} and len(set(rows[2:5])) == 3 and rows[5] == 0
        assert set(rows[2:5]) < {1, 2, 3, 4}
        seen |= set(rows[2:5])
    assert seen == {1, 2, 3, 4}


class Reads(Reader):
    """The first parameter is read without error, the second one not at all."""

    names = ("red", "constant")
    groups: ClassVar = {}

    def forward(self, images: Tensor) -> Tensor:
        return torch.stack([self.told, torch.full_like(self.told, 0.5)], dim=1)[: len(images)]

    def marks(self, vectors: Tensor) -> dict[str, Tensor]:
        return {}

    truth = staticmethod(lambda table, people: torch.zeros(0))


def test_a_reader_is_calibrated_on_people_from_whom_it_did_not_learn() -> None:
    learnt = torch.tensor([[0.0, 1.0], [1.0, 1.0], [0.5, 1.0]])
    held_out = torch.tensor([[0.2, 0.0], [0.6, 1.0]])
    counts = torch.tensor([1, 3])
    judge = Reads(16).eval()
    judge.told = held_out[:, 0].repeat_interleave(counts)
    images = torch.zeros(4, 3, SIZE, SIZE, dtype=torch.uint8)
    judging.calibrate(
        judge,
        Faces(images[:3], torch.ones(3, dtype=torch.int64), learnt),
        Faces(images, counts, held_out),
        runtime(),
    )
    # 1 - SSE / SST of (0, 1, 1, 1) read as 0.5: 1 - 1 / 0.75, which is below 0
    assert judge.reliability.tolist() == pytest.approx([1, 0])
    assert judge.mean.tolist() == pytest.approx([0.5, 1.0])
    assert judge.deviation.tolist() == pytest.approx([0.5, 1e-6])


def test_nobody_is_a_mean_flat_or_noise() -> None:
    images = torch.rand(40, 3, SIZE, SIZE)
    found = judging.nobody(images, 8)
    spread = found.std(dim=(2, 3)).mean(dim=1)
    single = float(images.std(dim=(2, 3)).mean())
    for number in (1, 5):
        assert float(spread[number]) < 1e-6  # flat
    for number in (3, 7):
        assert float(spread[number]) > 0.8 * single  # noise
    for number in (0, 2, 4, 6):
        assert float(spread[number]) < 0.8 * single  # a mean varies less than any image
    assert judging.nobody(images, 0).shape == (0, 3, SIZE, SIZE)


def test_the_rate_rises_falls_and_ends_near_0() -> None:
    shares = [judging._share(step, 100) for step in range(100)]
    assert shares[:10] == pytest.approx([k / 10 for k in range(1, 11)])
    assert shares[10] == 1 and shares[55] == pytest.approx(0.5) and shares[99] < 0.001
    assert shares[10:] == sorted(shares[10:], reverse=True)
