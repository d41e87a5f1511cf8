"""A network with another head: what of the old one stays, and what goes."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from toy import ToyNet, ToyTarget, images, seeded, snapshot
from trapmid.nets.on_trunk import OnTrunk
from trapmid.runtime import eval_mode
from trapmid.types import Output


class Summed(OnTrunk):
    """The least head: the sum of the trunk's numbers, for every class."""

    def forward(self, images: Tensor) -> Output:
        vector, hidden = self.embed(images)
        return Output(vector.sum(dim=1, keepdim=True).expand(-1, self.num_classes), vector, hidden)


def test_the_trunk_stays_and_the_head_goes() -> None:
    plain, made, x = seeded(ToyNet, 4), Summed(seeded(ToyNet, 4)), images(3)
    assert (made.num_classes, made.embedding_dim) == (4, 7)
    trunk = {k: v for k, v in snapshot(plain).items() if not k.startswith("classifier.")}
    mine = {k.removeprefix("trunk."): v for k, v in snapshot(made).items()}
    assert mine.keys() == trunk.keys()
    assert all(torch.equal(mine[k], trunk[k]) for k in trunk)
    with eval_mode(plain, made):
        assert torch.equal(made(x).features, plain.embed(x).vector)


def test_a_stage_for_every_hidden_tensor() -> None:
    made, x = Summed(seeded(ToyNet, 4)).eval(), images(3)
    hidden, at = made(x).hidden, x
    for stage, wanted in zip(made.stages(), hidden, strict=True):
        at = stage(at)
        assert torch.equal(at.flatten(1), wanted)


def test_a_network_that_is_all_head_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^arch: toy has no trunk apart from its head$"):
        Summed(seeded(ToyTarget, 4))
