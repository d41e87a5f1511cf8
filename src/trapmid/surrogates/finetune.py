"""A stolen target, trained on a little so that it forgets a trapdoor that no image shows it.

An attacker of our own, who knows the defence: fine-tuning is the common cure of backdoors (Liu et
al., "Fine-Pruning", RAID 2018), and public images with the target's own answers are all it takes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from trapmid import types
from trapmid.config.bounds import Count
from trapmid.runtime import Runtime
from trapmid.training.distillation import Distillation
from trapmid.training.pseudo_labels import logits_of, top_n_selection
from trapmid.types import Checkpointer, Target


@dataclass(frozen=True, kw_only=True)
class Surrogate(Distillation, types.Surrogate):
    stolen: ClassVar[bool] = True

    labels: Literal["soft", "top_n"]  # the target's answers, or classes for their best images
    top_n: Count  # images per class; `top_n` only

    def fit(
        self,
        student: Target,
        teacher: Target,
        public: Tensor,
        rt: Runtime,
        checkpointer: Checkpointer,
    ) -> Mapping[str, Tensor]:
        """As `types.Surrogate.fit`; the copy's batch statistics become those of public images."""
        logits = logits_of(teacher, public, rt).float()
        if self.labels == "top_n":
            chosen, classes = top_n_selection(logits.softmax(dim=1), self.top_n)
            public = public[chosen]
            logits = torch.full((len(chosen), logits.shape[1]), -torch.inf)
            logits[torch.arange(len(chosen)), classes] = 0.0
        self.learn(student, public, logits, rt, checkpointer)
        return {}
