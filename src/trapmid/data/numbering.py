"""Readers whose numbers mean the same people: those of CelebA's list, and those of names."""

from __future__ import annotations

_ALIKE = {"celeba_hd": "celeba", "lfw": "people"}


def family(reader: str) -> str:
    """One name for all readers that number people alike."""
    return _ALIKE.get(reader, reader)
