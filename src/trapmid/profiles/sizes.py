"""Whether networks, priors and judges can be made at the size of the images that they shall see.

A stage makes its network itself, and refuses the size when everything before it has run. Here each
is made once, with weights that have a shape and no numbers.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from torch._subclasses.fake_tensor import FakeTensorMode

from trapmid import wiring
from trapmid.artifacts.initial import PROGRAM
from trapmid.config import params

_CLASSIFIERS = ("evaluators", "pretrained", "targets", "surrogates")
_PRIORS = ("public_priors", "guided_priors")
_JUDGES = ("trained_judges", "judges")
_KEY = "image_size: "
"""How networks begin what they say of a size."""


class _Kind(NamedTuple):
    """What a row's network is, equal where two rows have the same."""

    section: str
    method: str  # of a classifier its `arch`
    settings: str  # of a prior its block, as JSON
    people: int


def problems(content: Mapping[str, Any]) -> Iterator[str]:
    """Sizes of images for which a network cannot be made; one line for each reason.

    What needs a package that is not installed here is passed over, since `trapmid doctor` names
    it, and so is what cannot be made without numbers.

    Args:
        content: a params.yaml in which every row is complete and what it names is there.
    """
    refused: dict[str, list[str]] = {}
    for section in (*_CLASSIFIERS, *_PRIORS, *_JUDGES):
        for name, row in content[section].items():
            data = content["data"][row["data"]]
            kind = _kind(content, section, name, data["identities"])
            if why := _refusal(kind, data["image_size"]):
                line = f"data.{row['data']}.image_size: {why}"
                refused.setdefault(line, []).append(f"{section}.{name}")
    for line, (first, *others) in refused.items():
        yield f"{line} ({first}{f' and {len(others)} more' if others else ''})"


def _kind(content: Mapping[str, Any], section: str, name: str, people: int) -> _Kind:
    row = content[section][name]
    if section in _CLASSIFIERS:
        return _Kind("targets", row["arch"], "", people)
    if section in _JUDGES:
        return _Kind("judges", row["method"], "", 0)
    settings = json.dumps(params.of_row(content, section, name), sort_keys=True)
    return _Kind("priors", row["method"], settings, 1 if section == "public_priors" else people)


@functools.cache
def _refusal(kind: _Kind, side: int) -> str:
    """What a network says of this size; empty: it takes it, or speaks of something else."""
    try:
        with FakeTensorMode():
            _make(kind, side)
    except (ImportError, RuntimeError):  # the second: it computes with numbers that are not there
        return ""
    except ValueError as error:
        return str(error).removeprefix(_KEY) if str(error).startswith(_KEY) else ""
    return ""


def _make(kind: _Kind, side: int) -> None:
    if kind.section == "judges":
        wiring.judge(kind.method)(side)
    elif kind.section == "priors":
        training = wiring.prior_training(kind.method, json.loads(kind.settings))
        training.make(side, kind.people)
    elif kind.method != PROGRAM:  # its file alone knows which sizes it takes
        wiring.target(kind.method)(kind.people, side)
