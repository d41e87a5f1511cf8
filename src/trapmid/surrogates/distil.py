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
from trapmid.training.signatures import of_answers
from trapmid.types import Checkpointer, Target


@dataclass(frozen=True, kw_only=True)
class Surrogate(Distillation, types.Surrogate):
    statistics_images: Count | None  # public images of the feature mean, drawn by seed; null: all
    signature_images: Count | None
    """Public images of every class whose mean feature is kept (Trap-MID, eq. 8), for a search that
    seeks it; null: none is kept. The paper's LOMMA has none."""

    def fit(
        self,
        student: Target,
        teacher: Target,
        public: Tensor,
        rt: Runtime,
        checkpointer: Checkpointer,
    ) -> Mapping[str, Tensor]:
        """As `types.Surrogate.fit`; returns the mean feature (F,) of the *teacher*, also by class.

        The teacher is asked once about every image: they are never augmented for it, so its answers
        are the same in every epoch.

        Raises:
            ValueError: `signature_images` is more than there are; before anything is learnt.
        """
        logits, features = self._ask(teacher, public, rt)
        by_class = self._by_class(logits, features)
        self.learn(student, public, logits, rt, checkpointer)
        count = self.statistics_images or len(public)
        order = torch.randperm(len(public), generator=rt.generator("feature statistics"))
        return {"feature_mean": features[order[:count]].double().mean(dim=0).float(), **by_class}

    def _by_class(self, logits: Tensor, features: Tensor) -> dict[str, Tensor]:
        """`auxiliary` (C, F), where it is kept."""
        if self.signature_images is None:
            return {}
        if self.signature_images > len(logits):
            raise ValueError(
                f"signature_images: {self.signature_images} is more than the {len(logits)} "
                "public images"
            )
        return {"auxiliary": of_answers(logits.softmax(dim=1), features, self.signature_images)}

    @torch.no_grad()
    def _ask(self, teacher: Target, public: Tensor, rt: Runtime) -> tuple[Tensor, Tensor]:
        with eval_mode(teacher), rt.seeded("noise of a stochastic teacher"):
            outputs = [teacher(to_float(part.to(rt.device))) for part in public.split(512)]
        return (
            torch.cat([output.logits.float().cpu() for output in outputs]),
            torch.cat([output.features.float().cpu() for output in outputs]),
        )
