"""Names of parameters in version 0.1, and what they are called since (docs/glossary.md)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

SECTIONS = {
    "cells": "attack_runs",
    "fits": "classifier_training",
    "recipes": "prior_training",
    "starts": "pretrained",
    "surrogacy": "surrogate_training",
}
KEYS = {
    "anchor": "vae_gan",
    "fit": "training",
    "guide": "queried_model",
    "knowledge": "side_information",
}
"""Keys of a row or of a method's block."""


def old_names(content: Any) -> Iterator[str]:
    """One line for every old name in the content of a params.yaml or of a profile."""
    sections = content if isinstance(content, Mapping) else {}
    for section, rows in sections.items():
        if section in SECTIONS:
            yield f"{section}: is called {SECTIONS[section]} since version 0.2"
        for row, block in rows.items() if isinstance(rows, Mapping) else ():
            if section == "defaults" and row in SECTIONS:
                yield f"defaults.{row}: is called {SECTIONS[row]} since version 0.2"
            for key in KEYS.keys() & set(block) if isinstance(block, Mapping) else ():
                yield f"{section}.{row}.{key}: is called {KEYS[key]} since version 0.2"
