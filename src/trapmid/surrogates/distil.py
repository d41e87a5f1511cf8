"""Knowledge distillation: a student learns the target's answers on public images.

LOMMA's model augmentation (Nguyen et al., CVPR 2023, sec. 4.2) with three students at once; with
any student, the first half of an attack that avoids the target's trapdoor: what is on no public
image is not learnt.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from trapmid import types
from trapmid.config.bounds import Count
from trapmid.runtime import Runtime, eval_mode
from trapmid.training.distillation import Distillation
from trapmid.training.fit import to_float
from trapmid.types import Checkpointer, Target


@dataclass(frozen=True, kw_only=True)
class Surrogate(Distillation, types.Surrogate):
    statistics_images: Count | None  # public images of the feature mean, drawn by seed; null: all

    def fit(
        self,
        student: Target,
        teacher: Target,
        public: Tensor,
        rt: Runtime,
        checkpointer: Checkpointer,
    ) -> Mapping[str, Tensor]:
        """As `types.Surrogate.fit`; returns the mean feature (F,) of the *teacher*.

        The teacher is asked once about every image: they are never augmented for it, so its answers
        are the same in every epoch.
        """
        logits, features = self._ask(teacher, public, rt)
        self.learn(student, public, logits, rt, checkpointer)
        count = self.statistics_images or len(public)
        order = torch.randperm(len(public), generator=rt.generator("feature statistics"))
        return {"feature_mean": features[order[:count]].double().mean(dim=0).float()}

    @torch.no_grad()
    def _ask(self, teacher: Target, public: Tensor, rt: Runtime) -> tuple[Tensor, Tensor]:
        with eval_mode(teacher), rt.seeded("noise of a stochastic teacher"):
            outputs = [teacher(to_float(part.to(rt.device))) for part in public.split(512)]
        return (
            torch.cat([output.logits.float().cpu() for output in outputs]),
            torch.cat([output.features.float().cpu() for output in outputs]),
        )
