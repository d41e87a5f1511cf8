"""LoFt: logits that know only a few numbers of an image (Yu et al., "Rank Matters: Understanding
and Defending Model Inversion Attacks via Low-Rank Feature Filtering", KDD 2026; before, CALoR).

The head becomes two layers with tanh between them: what the logits say has that rank, and where
tanh is flat a search has no slope.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from trapmid import types
from trapmid.config.bounds import Count
from trapmid.nets.on_trunk import OnTrunk
from trapmid.training.objectives import Classify
from trapmid.types import Output, Setting, Target


@dataclass(frozen=True, kw_only=True)
class Defense(types.Defense):
    alters_network: ClassVar[bool] = True

    rank: Count  # numbers between trunk and logits

    def adapt(self, model: Target) -> Target:
        return LowRank(model, self.rank)

    def objective(self, setting: Setting) -> types.Objective:
        return Classify(setting.rt)


class LowRank(OnTrunk):
    """The trunk of another network, `rank` numbers in (-1, 1), then the logits.

    `features` are the trunk's, as for any network.

    Args:
        trunk: it loses its head.
        rank: r; with the bias, logits of a batch have at most the rank r + 1.

    Raises:
        ValueError: the network has no head that could be taken off, or r is not below D and C, so
            that nothing would be filtered.
    """

    def __init__(self, trunk: Target, rank: int) -> None:
        super().__init__(trunk)
        most = min(self.embedding_dim, self.num_classes) - 1
        if rank > most:
            raise ValueError(
                f"rank: {rank} is over {most}: of {self.embedding_dim} numbers and "
                f"{self.num_classes} classes nothing would be filtered"
            )
        self.norm = nn.BatchNorm1d(self.embedding_dim)
        self.neck = nn.Linear(self.embedding_dim, rank)
        self.classifier = nn.Linear(rank, self.num_classes)

    def forward(self, images: Tensor) -> Output:
        vector, hidden = self.embed(images)
        return Output(self.classifier(torch.tanh(self.neck(self.norm(vector)))), vector, hidden)
