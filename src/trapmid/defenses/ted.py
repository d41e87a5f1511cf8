"""TeD: fixed patch trapdoors (Shan et al., CCS 2020), as Trap-MID compares with it (App. D.1).

Every benign image is joined by a poisoned one; the original replaces some images by poisoned ones.
"""

from __future__ import annotations

from dataclasses import dataclass

from trapmid import trapdoors, types
from trapmid.types import Setting


@dataclass(frozen=True, kw_only=True)
class Defense(types.Defense):
    alpha: float  # blend ratio on the squares
    beta: float  # weight of the trapdoor loss
    squares: int  # per trigger
    square: int  # their side, in pixels

    def __post_init__(self) -> None:
        for name in ("alpha", "beta"):
            trapdoors.check_share(name, getattr(self, name))
        for name in ("squares", "square"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: {getattr(self, name)} is under 1")

    def objective(self, setting: Setting) -> types.Objective:
        trapdoor = trapdoors.patch_trapdoor(setting, self.alpha, self.squares, self.square)
        mix = trapdoors.Mix(
            beta=self.beta, augmentation=None, smoothing=None, smoothed_terms="main"
        )
        return trapdoors.Objective(trapdoor, mix, None, setting)
