"""Whether networks, priors and judges can be made at the size of the images that they shall see.

A stage makes its network itself, and refuses the size when everything before it has run. Here each
is made once, with weights that have a shape and no numbers.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from torch._subclasses.fake_tensor import FakeTensorMode

from trapmid import wiring
from trapmid.artifacts.initial import PROGRAM
from trapmid.config import params

_CLASSIFIERS = ("evaluators", "pretrained", "targets", "surrogates")
_PRIORS = ("public_priors", "guided_priors")
_JUDGES = ("trained_judges", "judges")
_KEY = "image_size: "
"""How networks begin what they say of a size."""

Maker = Callable[[int], object]
"""From a side in pixels to a network."""


def problems(content: Mapping[str, Any]) -> Iterator[str]:
    """Sizes of images for which a network cannot be made; one line for each reason.

    What needs a package that is not installed here is passed over, since `trapmid doctor` names
    it, and so is what cannot be made without numbers.

    Args:
        content: a params.yaml in which every row is complete and what it names is there.
    """
    refused: dict[str, list[str]] = {}
    seen: dict[tuple[str, ...], str] = {}
    for section in (*_CLASSIFIERS, *_PRIORS, *_JUDGES):
        for name, row in content[section].items():
            what, make = _maker(content, section, name)
            key = (row["data"], *what)
            if key not in seen:
                seen[key] = _refusal(make, content["data"][row["data"]]["image_size"])
            if seen[key]:
                line = f"data.{row['data']}.image_size: {seen[key]}"
                refused.setdefault(line, []).append(f"{section}.{name}")
    for line, (first, *others) in refused.items():
        yield f"{line} ({first}{f' and {len(others)} more' if others else ''})"


def _maker(content: Mapping[str, Any], section: str, name: str) -> tuple[tuple[str, ...], Maker]:
    """What a row's network is, equal where two rows have the same, and how it is made."""
    row = content[section][name]
    people: int = content["data"][row["data"]]["identities"]
    if section in _CLASSIFIERS:
        return ("network", row["arch"]), functools.partial(_network, row["arch"], people)
    if section in _JUDGES:
        return ("judge", row["method"]), wiring.judge(row["method"])
    block = params.of_row(content, section, name)
    classes = 1 if section == "public_priors" else people
    training = wiring.prior_training(row["method"], block, block.where)
    settings = json.dumps(block, default=str, sort_keys=True)
    return (section, row["method"], settings), lambda side: training.make(side, classes)


def _network(arch: str, people: int, side: int) -> object:
    """A program's file alone knows which sizes it takes."""
    return None if arch == PROGRAM else wiring.target(arch)(people, side)


def _refusal(make: Maker, side: int) -> str:
    """What a network says of this size; empty: it takes it, or speaks of something else."""
    try:
        with FakeTensorMode():
            make(side)
    except (ImportError, RuntimeError):  # the second: it computes with numbers that are not there
        return ""
    except ValueError as error:
        return str(error).removeprefix(_KEY) if str(error).startswith(_KEY) else ""
    return ""
