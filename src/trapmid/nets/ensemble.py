"""Several classifiers that answer as one: LOMMA's students."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from trapmid.types import Output, Target


class Member(nn.Module):
    """A body (N, 3, S, S) -> (N, F) and a linear classifier."""

    def __init__(self, features: nn.Module, width: int, num_classes: int) -> None:
        super().__init__()
        self.features, self.classifier = features, nn.Linear(width, num_classes)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        features = self.features(images)
        return self.classifier(features), features


class Ensemble(Target):
    """Logits are the members' mean, features theirs one after the other."""

    def __init__(self, members: Sequence[Member], num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.members = nn.ModuleList(members)
        self.embedding_dim = sum(member.classifier.in_features for member in members)
        self.head = tuple(f"members.{i}.classifier" for i in range(len(members)))

    def forward(self, images: Tensor) -> Output:
        answers = [member(images) for member in self.members]
        logits = torch.stack([logits for logits, _ in answers]).mean(dim=0)
        return Output(logits, torch.cat([features for _, features in answers], dim=1))

    def member_logits(self, images: Tensor) -> tuple[Tensor, ...]:
        return tuple(member(images)[0] for member in self.members)

    def start_from(self, state: Mapping[str, Tensor]) -> None:
        """Takes another such ensemble, or published weights: member i's under `i.`."""
        if not any(name.startswith("members.") for name in state):
            state = {f"members.{name}": value for name, value in state.items()}
        self.take_trunk(state)
