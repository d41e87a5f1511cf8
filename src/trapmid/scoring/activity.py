"""Whether a target's defence did anything at all: a row must be what its name says.

A weight of 0, or a schedule that the kept epoch never reached, trains an undefended network whose
row still has the defence's name; no rate shows it, and what the row says of the defence is false.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from trapmid.losses import Smoothing
from trapmid.scoring.checks import Check
from trapmid.scoring.described import Loaded


class Training(NamedTuple):
    """How a target was trained."""

    method: str  # module of `trapmid.defenses`
    block: Mapping[str, Any]  # the defence's parameters, with what its row changes
    epochs: int  # 0: the network was taken as a file gave it


def defense_is_active(loaded: Loaded, training: Training) -> Check | None:
    """The defence takes part in the loss or the network that was kept; None: there is no defence.

    A method that is not in `_IDLE` cannot be turned off: DP-SGD's noise and AT-AT's weight are
    above 0, MIDRE erases a pixel at least. What a trapdoor's weight achieves is `trapdoor_success`.
    """
    if training.method == "none":
        return None
    rule = _IDLE.get(training.method)
    why = None if rule is None else rule(loaded, training)
    return Check("defense_is_active", why is None, why or f"{training.method} takes part")


Rule = Callable[[Loaded, Training], str | None]
"""Why the defence does nothing; None: it does something."""


def _trapdoor(loaded: Loaded, training: Training) -> str | None:
    trapdoor = loaded.trapdoor
    if trapdoor is None:
        return "the checkpoint has no trapdoor"
    if float(trapdoor.alpha) == 0:
        return "alpha is 0: no image carries a trigger"
    if trapdoor.masks is not None and not trapdoor.masks.any():
        return "the masks are 0: no image carries a trigger"
    if training.block["beta"] == 0:
        return "beta is 0: the trapdoor is not learnt"
    return _negls(loaded, training) if training.block.get("smoothing") else None


def _bido(loaded: Loaded, training: Training) -> str | None:
    del loaded
    idle = training.block["input_weight"] == training.block["label_weight"] == 0
    return "input_weight and label_weight are 0" if idle else None


def _mid(loaded: Loaded, training: Training) -> str | None:
    # By name: the class would make every target's scores depend on MID's code.
    if type(loaded.model).__name__ != "Bottleneck":
        return f"the network has no bottleneck, it is a {type(loaded.model).__name__}"
    return "weight is 0" if training.block["weight"] == 0 else None


def _loft(loaded: Loaded, training: Training) -> str | None:
    del training
    if type(loaded.model).__name__ != "LowRank":
        return f"the network's head is whole, it is a {type(loaded.model).__name__}"
    return None


def _negls(loaded: Loaded, training: Training) -> str | None:
    smoothing = Smoothing(**training.block["smoothing"])
    if smoothing.factor == 0:
        return "smoothing.factor is 0"
    kept = loaded.meta["epoch"]  # counted from 1
    if not training.epochs or smoothing.at(kept - 1, training.epochs) != 0:
        return None  # of a finished network from elsewhere no epoch is known
    return f"smoothing.factor is 0 in the kept epoch, {kept} of {training.epochs}"


def _rolss(loaded: Loaded, training: Training) -> str | None:
    del loaded
    return "scale is 1: skip connections are whole" if training.block["scale"] == 1 else None


def _transfer(loaded: Loaded, training: Training) -> str | None:
    del training  # a stage at least is frozen
    learnt = loaded.meta["init"] != "weights/random"
    return None if learnt else "init is weights/random: the frozen stages have learnt nothing"


_IDLE: dict[str, Rule] = {
    **dict.fromkeys(("trapmid", "ted", "ted_plus"), _trapdoor),
    "bido": _bido,
    "loft": _loft,
    "mid": _mid,
    "negls": _negls,
    "rolss": _rolss,
    "transfer": _transfer,
}
