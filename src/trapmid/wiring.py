"""From a name to a method: the only place where a string picks code.

A method is one module: `trapmid.attacks.plgmi` holds `Attack`, and so on. There is no registry, so
importing one method imports none of its siblings.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any, cast

from torch import Tensor

from trapmid.config import params
from trapmid.config.params import ParamsError
from trapmid.config.study import JudgeTraining
from trapmid.types import (
    Attack,
    Defense,
    Judge,
    LabelAttack,
    Learns,
    PaperScoring,
    PriorTraining,
    Surrogate,
    Target,
    Trapdoor,
)

_ROLES = {
    "attacks": "Attack",
    "defenses": "Defense",
    "priors": "Training",
    "surrogates": "Surrogate",
    "targets": "Network",
    "judges": "Judge",
    "data": "Reader",
}


def attack(name: str, block: Any, where: str | None = None) -> Attack | LabelAttack:
    """The attack `attacks/<name>.py` with the parameters of the block called `where`."""
    return cast(
        Attack | LabelAttack,
        params.build(_role("attacks", name), block, where or f"attacks.{name}"),
    )


def paper_scoring(name: str) -> PaperScoring | None:
    """How the released code of the attack `attacks/<name>.py` scores it."""
    kind = cast(type[Attack] | type[LabelAttack], _role("attacks", name))
    return kind.paper_scoring


def defense(name: str, block: Any, where: str) -> Defense:
    """The defence `defenses/<name>.py` with the parameters of the block called `where`."""
    return cast(Defense, params.build(_role("defenses", name), block, where))


def prior_training(name: str, block: Any, where: str | None = None) -> PriorTraining:
    """The prior training `priors/<name>.py` with the parameters of the block called `where`."""
    where = where or f"prior_training.{name}"
    return cast(PriorTraining, params.build(_role("priors", name), block, where))


def surrogate(name: str, block: Any, where: str | None = None) -> Surrogate:
    """The method `surrogates/<name>.py` with the parameters of the block called `where`."""
    return cast(
        Surrogate,
        params.build(_role("surrogates", name), block, where or f"surrogate_training.{name}"),
    )


def target(arch: str) -> type[Target]:
    """The network class of `targets/<arch>.py`."""
    return cast(type[Target], _role("targets", arch))


def judge(name: str) -> type[Judge]:
    """The judge class of `judges/<name>.py`."""
    return cast(type[Judge], _role("judges", name))


def judge_training(name: str, block: Any, where: str | None = None) -> JudgeTraining:
    """How the judge `judges/<name>.py` learns, by the block called `where`.

    Raises:
        ParamsError: it does not learn from the people of a study, or the block is wrong.
    """
    if not issubclass(judge(name), Learns):
        known = [other for other in names("judges") if issubclass(judge(other), Learns)]
        raise ParamsError(f"judges: {name!r} is not trained here; {', '.join(known)} are")
    return params.build(JudgeTraining, block, where or f"judge_training.{name}")


def trapdoor(triggers: Tensor, alpha: float, masks: Tensor | None) -> Trapdoor:
    """The trapdoor of a checkpoint, see `trapdoors.Blend`.

    By name, as a method: so the code of trapdoors is none of what undefended rows depend on.
    """
    module = importlib.import_module("trapmid.training.trapdoors")
    return cast(Trapdoor, module.Blend(triggers, alpha, masks))


def reader(name: str) -> Any:
    """A reader of the on-disk layout `data/<name>.py`."""
    return _role("data", name)()


def maker(name: str, options: Any, where: str) -> Any:
    """The maker of a raw folder in `data/<name>.py`."""
    return params.build(_role("data", name, "Maker"), options, where)


def names(kind: str) -> list[str]:
    """The methods of one kind, by file name."""
    package = importlib.import_module(f"trapmid.{kind}")
    return sorted(module.name for module in pkgutil.iter_modules(package.__path__))


def _role(kind: str, name: str, role: str | None = None) -> type[Any]:
    role = role or _ROLES[kind]
    if name not in names(kind):
        raise ParamsError(f"{kind}: no {name!r}; there are {', '.join(names(kind))}")
    module = importlib.import_module(f"trapmid.{kind}.{name}")
    if not hasattr(module, role):
        raise ParamsError(f"{kind}: {name!r} has no {role}")
    return cast(type[Any], getattr(module, role))
