"""MID: a variational information bottleneck before the logits (Wang et al., "Improving Robustness
to Model Inversion Attacks via Mutual Information Regularization", AAAI 2021).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trapmid import losses, types
from trapmid.config.bounds import Count, NonNegative
from trapmid.nets.on_trunk import OnTrunk
from trapmid.runtime import Runtime
from trapmid.types import Embedding, Loss, Output, Progress, Setting, Target


@dataclass(frozen=True, kw_only=True)
class Defense(types.Defense):
    alters_network: ClassVar[bool] = True

    weight: NonNegative  # of the mutual information's bound, beside the cross-entropy
    width: Count  # of the bottleneck
    noise: Literal["fresh", "mean"]  # in eval mode: drawn at every forward (official), or none

    def adapt(self, model: Target) -> Target:
        return Bottleneck(model, self.width, fresh=self.noise == "fresh")

    def objective(self, setting: Setting) -> types.Objective:
        return Objective(self.weight, setting.rt)


class Code(NamedTuple):
    """What the bottleneck knows of an image: a normal distribution over its own space."""

    mean: Tensor  # (N, K)
    deviation: Tensor  # (N, K), positive
    embedding: Embedding


class Bottleneck(OnTrunk):
    """The trunk of another network, then a normal code of `width` numbers, then the logits.

    `features` are the trunk's, as the attacks' official code reads them, not the noisy code.

    Args:
        trunk: it loses its head.
        width: K.
        fresh: whether the code is noisy in eval mode, too.

    Raises:
        ValueError: the network has no head that could be taken off.
    """

    def __init__(self, trunk: Target, width: int, *, fresh: bool) -> None:
        super().__init__(trunk)
        self.stochastic = fresh
        self.code = nn.Linear(trunk.embedding_dim, 2 * width)
        self.classifier = nn.Linear(width, trunk.num_classes)

    def encode(self, images: Tensor) -> Code:
        embedding = self.embed(images)
        mean, raw = self.code(embedding.vector).chunk(2, dim=1)
        return Code(mean, F.softplus(raw.float() - 5), embedding)

    def answer(self, code: Code) -> Output:
        sampled = code.mean
        if self.training or self.stochastic:
            sampled = code.mean + code.deviation * torch.randn_like(code.deviation)
        return Output(self.classifier(sampled), code.embedding.vector, code.embedding.hidden)

    def forward(self, images: Tensor) -> Output:
        return self.answer(self.encode(images))


class Objective(types.Objective):
    """Cross-entropy plus `weight` times KL(code || standard normal), summed over the code."""

    def __init__(self, weight: float, rt: Runtime) -> None:
        super().__init__()
        self._weight, self._rt = weight, rt

    def forward(self, model: Target, images: Tensor, labels: Tensor, progress: Progress) -> Loss:
        del progress
        assert isinstance(model, Bottleneck)
        with self._rt.autocast():
            code = model.encode(images)
            logits = model.answer(code).logits.float()
        mean, deviation = code.mean.float(), code.deviation
        information = 0.5 * (mean**2 + deviation**2 - 1 - 2 * deviation.log()).sum(dim=1).mean()
        main = losses.cross_entropy(logits, labels).mean()
        return Loss(
            main + self._weight * information,
            {
                "main_loss": main.detach(),
                "information": information.detach(),
                "train_accuracy": (logits.argmax(dim=1) == labels).float().mean(),
            },
        )
