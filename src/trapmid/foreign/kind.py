"""What a kind of published checkpoint is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn

from trapmid.foreign.names import Rules, State

Facts = dict[str, Any]
"""Entries of the written file that the shapes tell: `arch`, `num_classes`, `image_size`, ..."""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One file of others: the whole state of one of our networks, or a part of it.

    A part is a generator without its critic, a student of three, a trunk without a head.
    """

    rules: Rules
    facts: Callable[[State], Facts]  # of the state in our names; a KeyError names what is missing
    network: Callable[[Facts], nn.Module]  # what must take every weight
    prefix: str = ""  # where its weights stand in the state of the whole
    rest: tuple[str, ...] = ()  # the kinds that make it whole
    own_buffers: tuple[str, ...] = ()  # of the network, which no file has: they stay as it has them
    own_names: bool = False  # whether the file keeps its names, which `start_from` knows
