"""Every class, every draw, in batches that leave no trace."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from toy import ToyPrior, ToyTarget, runtime, seeded
from trapmid import latents
from trapmid.attacks import random
from trapmid.inversion import invert_all
from trapmid.study import Inversion
from trapmid.types import Reconstruction

FIELDS = {"images", "labels", "draws", "latents", "losses"}


class Spy(random.Attack):
    """The random attack, and the batches that it was asked for."""

    def invert(self, target: Any, prior: Any, labels: Tensor, draws: Tensor, rt: Any) -> Any:
        asked.append(len(labels))
        return super().invert(target, prior, labels, draws, rt)


asked: list[int] = []


@pytest.mark.parametrize(
    ("batch_size", "batches"), [(None, [8]), (1, [1] * 8), (3, [3, 3, 2]), (100, [8])]
)
def test_every_row_once_in_order(batch_size: int | None, batches: list[int]) -> None:
    asked.clear()
    target, prior = seeded(ToyTarget, 4), seeded(ToyPrior, 4)
    plan = Inversion(images_per_class=2, batch_size=batch_size)
    found = invert_all(Spy(), target, prior, plan, runtime())
    assert asked == batches
    assert set(found) == FIELDS
    assert found["labels"].tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert found["draws"].tolist() == [0, 1] * 4
    wanted = latents.start(found["labels"], found["draws"], prior.latent_dim, 0)
    assert torch.equal(found["latents"], wanted)
    assert found["images"].shape == (8, 3, 8, 8)
    assert all(found[f].dtype == torch.float32 for f in ("images", "latents", "losses"))


def test_the_result_does_not_depend_on_the_batch() -> None:
    target, prior = seeded(ToyTarget, 4), seeded(ToyPrior, 4)
    whole, parts = (
        invert_all(
            random.Attack(),
            target,
            prior,
            Inversion(images_per_class=3, batch_size=size),
            runtime(),
        )
        for size in (None, 5)
    )
    for field in FIELDS:
        assert torch.allclose(whole[field], parts[field], atol=1e-6)


def test_results_are_detached_and_on_the_cpu() -> None:
    class Attached:
        def invert(self, target: Any, prior: Any, labels: Tensor, draws: Tensor, rt: Any) -> Any:
            z = torch.zeros(len(labels), 2, requires_grad=True)
            return Reconstruction(prior(z, labels), labels, draws, z, z.sum(dim=1))

    plan = Inversion(images_per_class=1, batch_size=None)
    prior = seeded(ToyPrior, 2, latent_dim=2)
    found = invert_all(Attached(), seeded(ToyTarget, 2), prior, plan, runtime())
    assert not any(found[field].requires_grad for field in FIELDS)
