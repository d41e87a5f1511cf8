"""TL-DMI: early layers learnt elsewhere and frozen (Ho et al., "Model Inversion Robustness: Can
Transfer Learning Help?", CVPR 2024).

What the frozen layers know is public, so it cannot leak. They must have learnt somewhere: give the
row an `init` of another classifier, or of published weights.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from trapmid import types
from trapmid.config.bounds import Count
from trapmid.runtime import Runtime, eval_mode
from trapmid.training.objectives import Classify
from trapmid.types import Loss, Progress, Setting, Target


@dataclass(frozen=True, kw_only=True)
class Defense(types.Defense):
    frozen_stages: Count  # how many of `Target.stages()`, from the image on
    freeze_statistics: bool  # their batch statistics, too, stay as they were

    def adapt(self, model: Target) -> Target:
        for stage in self.frozen(model):
            stage.requires_grad_(False)
        return model

    def objective(self, setting: Setting) -> types.Objective:
        return Objective(self, setting.rt)

    def frozen(self, model: Target) -> tuple[nn.Module, ...]:
        """The stages of `model` that do not learn."""
        stages = model.stages()
        if self.frozen_stages > len(stages):
            raise ValueError(
                f"frozen_stages: {self.frozen_stages} is over {len(stages)}, all that the "
                "architecture has"
            )
        return stages[: self.frozen_stages]


class Objective(Classify):
    """Cross-entropy; the frozen stages normalise by what they learnt elsewhere."""

    def __init__(self, defense: Defense, rt: Runtime) -> None:
        super().__init__(rt)
        self._defense = defense

    def forward(self, model: Target, images: Tensor, labels: Tensor, progress: Progress) -> Loss:
        still = self._defense.frozen(model) if self._defense.freeze_statistics else ()
        with eval_mode(*still):
            return super().forward(model, images, labels, progress)
