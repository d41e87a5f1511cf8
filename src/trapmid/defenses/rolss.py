"""RoLSS: no skip connections in the last stage (Koh et al., "On the Vulnerability of Skip
Connections to Model Inversion Attacks", ECCV 2024); a scale above 0 is the paper's SSF.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from trapmid import types
from trapmid.config.bounds import Count, Share
from trapmid.training.objectives import Classify
from trapmid.types import Setting, Target


@dataclass(frozen=True, kw_only=True)
class Defense(types.Defense):
    alters_network: ClassVar[bool] = True

    scale: Share  # of the last stage's skip connections; 0 removes them
    stages: Count  # how many stages, from the last one on

    def adapt(self, model: Target) -> Target:
        stages = model.stages()
        if self.stages > len(stages):
            raise ValueError(
                f"stages: {self.stages} is over {len(stages)}, all that the architecture has"
            )
        parts: list[Any] = [part for stage in stages[-self.stages :] for part in stage.modules()]
        skips = [part for part in parts if hasattr(part, "weaken")]
        if not skips:
            raise ValueError(
                f"arch: {type(model).__module__} has no skip connections that can be weakened"
            )
        for skip in skips:
            skip.weaken(self.scale)
        return model

    def objective(self, setting: Setting) -> types.Objective:
        return Classify(setting.rt)
