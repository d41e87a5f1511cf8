"""What a plan counts: units of work, and the stages that repeat them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from trapmid.planning.sizes import images

Kind = Literal["train", "prior", "search", "imitate", "ask", "query", "judge", "learn"]

LOOKED_UP = frozenset({"dlib_head"})
"""Networks that work once for each image that a process asks about, and then look the answer up."""


class Unit(NamedTuple):
    """Something that is repeated, and that takes as long each time.

    A step of a training (`train`, `imitate`), of a prior's (`prior`) or of a judge's (`learn`), a
    step of a search for one image (`search`), a question about one image (`ask`; `judge`: to a
    judge), or about one latent's image (`query`).
    """

    kind: Kind
    method: str  # module of the defence, prior, attack, surrogate or judge; of `ask`: nothing
    block: str  # its parameters, as JSON
    arch: str  # the network that learns or is asked; "": none
    classes: int
    image_size: int
    batch: int  # images a step; of `search`: all that may be searched at once; else asked at once
    prior: str = ""  # of `search` and `query`: module of the prior, ...
    prior_block: str = "null"  # ... and its parameters
    precision: str = "fp32"


class Stage(NamedTuple):
    """One row of one stage."""

    name: str  # as DVC has it
    row: str
    work: tuple[tuple[Unit, float], ...] = ()  # units and how often
    pictures: float = 0.0  # that it draws, decodes or describes by other means
    untimed: str = ""  # what of it nobody counts; "": nothing
    megabytes: float = 0.0  # of images that it holds beside networks and batches

    @property
    def label(self) -> str:
        return f"{self.name}@{self.row}" if self.row else self.name


def question(study: Mapping[str, Any], section: str, name: str) -> Unit:
    """Asking the classifier of a row about an image; what a defence adds to it takes no time."""
    row = study[section][name]
    of = images(study, row["data"])
    return Unit("ask", "", "null", row["arch"], of.classes, of.size, 256)


def queried(study: Mapping[str, Any], row: Mapping[str, Any]) -> Unit:
    """Asking what a row of priors or attacks asks."""
    _, kind, name = row["queried_model"].rsplit("/", 2)
    return question(study, "surrogates" if kind == "surrogates" else "targets", name)


def plain(block: Any) -> dict[str, Any]:
    found: dict[str, Any] = block.plain() if hasattr(block, "plain") else dict(block)
    return found


def as_json(block: Mapping[str, Any]) -> str:
    return json.dumps(block, sort_keys=True)
