"""The sections of a profile: which are made of rows, and which are a defence's block."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trapmid.config.evaluation import AUDITED

ROWS = (
    "raw",
    "data",
    "evaluators",
    "pretrained",
    "targets",
    "public_priors",
    "surrogates",
    "leaks",
    "signatures",
    "guided_priors",
    "trained_judges",
    "judges",
    "attack_runs",
)
"""Sections made of rows: an overlay's are merged onto its base's, `x: null` takes one away."""

NO_DEFENSES = (
    *ROWS,
    "validation",
    "classifier_training",
    "prior_training",
    "surrogate_training",
    "judge_training",
    "attacks",
    "inversion",
    "evaluation",
    "checks",
    "gate",
)
"""Sections that are no block of a defence."""

AUDIT = "audit"
"""Nor is this one, which the profile of an audit alone has: see `config.evaluation.Audited`."""

CLASSIFIERS = ("evaluators", "pretrained", "targets")
"""Sections whose rows are trained classifiers, each with the `block` of its defence."""

FANNED = ("targets", "surrogates", "leaks", "signatures", "guided_priors", "attack_runs")
"""Sections whose rows are repeated for every seed: the row K becomes `K-<seed>`."""

BLOCKS = (
    "classifier_training",
    "prior_training",
    "surrogate_training",
    "judge_training",
    "attacks",
)
"""Sections that hold blocks of parameters by name."""

STAR = "*"
"""A row with it in its name stands for one row per target."""


class ProfileError(ValueError):
    """A profile is wrong, or params.yaml must not be replaced; the message is one line."""


def defenses(params: Mapping[str, Any]) -> set[str]:
    """What a control may be called: a defence of a target, or a block that one could name.

    An audited model is what is asked about: as a control it would be compared with itself.
    """
    blocks = {name for name, block in params.items() if isinstance(block, Mapping)}
    rows = [row for row in params["targets"].values() if isinstance(row, Mapping)]
    found = blocks - {*NO_DEFENSES, AUDIT} | {str(row.get("defense")) for row in rows}
    return found - {AUDITED}
