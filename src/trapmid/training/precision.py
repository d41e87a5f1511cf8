"""Trainings that half precision would spoil without a word."""

from __future__ import annotations


def check_exact(method: str, precision: str) -> None:
    """Refuses everything but fp32; `auto` would do on one machine and not on another.

    Args:
        method: of the defence, as the message names it.
        precision: as it stands in params.yaml, or what it came to on this machine.

    Raises:
        ValueError: which key of `classifier_training` is wrong, and what is allowed.
    """
    if precision != "fp32":
        raise ValueError(f"classifier_training.*.precision: {method} needs fp32, not {precision}")
