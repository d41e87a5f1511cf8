"""TeD: fixed patch trapdoors (Shan et al., CCS 2020), as Trap-MID compares with it (App. D.1).

Every benign image is joined by a poisoned one; the original replaces some images by poisoned ones.
"""

from __future__ import annotations

from dataclasses import dataclass

from trapmid import types
from trapmid.training import injection
from trapmid.training.trapdoors import Patches
from trapmid.types import Setting


@dataclass(frozen=True, kw_only=True)
class Defense(Patches, types.Defense):
    def objective(self, setting: Setting) -> types.Objective:
        mix = injection.Mix(
            beta=self.beta, augmentation=None, smoothing=None, smoothed_terms="main"
        )
        return injection.Objective(self.trapdoor(setting), mix, None, setting)
