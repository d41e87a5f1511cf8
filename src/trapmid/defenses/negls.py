"""NegLS: negative label smoothing (Struppek et al., "Be Careful What You Smooth For", ICLR 2024).

The defence is in the late epochs, where the factor is reached: an early checkpoint of a high
accuracy is an undefended one. Its block's official values are in the paper profile.
"""

from __future__ import annotations

from dataclasses import dataclass

from trapmid import types
from trapmid.losses import Smoothing
from trapmid.training.objectives import Classify
from trapmid.types import Setting


@dataclass(frozen=True, kw_only=True)
class Defense(types.Defense):
    smoothing: Smoothing

    def objective(self, setting: Setting) -> types.Objective:
        return Classify(setting.rt, smoothing=self.smoothing)
