"""How judges learn: batches, nobodies, the schedule, and that a judge does learn."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from toy import runtime
from trapmid.training import judging
from trapmid.training.judging import NOBODY, Batch, Faces, Plan

PEOPLE, EACH, SIZE = 6, 3, 16


@pytest.fixture
def faces() -> Faces:
    colours = torch.rand(PEOPLE, 1, 3, 1, 1, generator=torch.Generator().manual_seed(0))
    images = (colours * 255).expand(PEOPLE, EACH, 3, SIZE, SIZE).to(torch.uint8)
    return Faces(images, colours.flatten(1))


def plan(**changes: float) -> Plan:
    usual = {"steps": 150, "people": 4, "images_each": 2, "nobodies": 3, "lr": 0.02}
    return Plan(**{**usual, "weight_decay": 0.0, **changes})  # type: ignore[arg-type]


class Colour(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 3)

    def forward(self, images: Tensor) -> Tensor:
        return self.linear(images.mean(dim=(2, 3)))


def error(read: Tensor, batch: Batch) -> Tensor:
    return (read[: len(batch.vectors)] - batch.vectors).square().mean()


def test_a_judge_learns_and_ends_in_eval_mode(faces: Faces) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        judge = Colour()
    before = error(
        judge(faces.images[:, 0] / 255), Batch(faces.images, faces.images, faces.vectors)
    )
    judging.fit(judge, error, faces, plan(), runtime())
    after = error(judge(faces.images[:, 0] / 255), Batch(faces.images, faces.images, faces.vectors))
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
