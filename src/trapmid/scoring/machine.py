"""On what scores were computed. Without torch: the gate reads it, and starts in no time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

FIELDS = ("device", "torch", "precision", "instructions", "onednn", "threads", "gpu")
"""The fields of `Machine`, which stats.json of trainings and attacks has, too."""

_DECIDING = tuple(name for name in FIELDS if name != "precision")  # a row's own choice
_LATER = ("threads", "gpu")  # older files do not say them


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What of a machine decides the digits of what it computes."""

    device: str  # its kind: cpu, cuda, mps
    precision: str
    instructions: str  # torch's capability of the CPU; empty: not a CPU
    onednn: str  # see `runtime.onednn_level`
    torch: str  # version
    threads: str = ""  # how many torch takes; empty: not a CPU, or the file is older
    gpu: str = ""  # its name; empty: no GPU that says it, or the file is older

    def __str__(self) -> str:
        if self.device != "cpu":
            return f"{' '.join(filter(None, (self.device, self.gpu)))}, torch {self.torch}"
        own = f"cpu {self.instructions or '?'}, oneDNN {self.onednn or '?'}, torch {self.torch}"
        return f"{own}, threads {self.threads}" if self.threads else own

    def agrees(self, other: Machine) -> bool:
        """Whether both compute the same digits, as far as both say; precision is not asked."""
        return all(
            ours == theirs or (name in _LATER and not (ours and theirs))
            for name in _DECIDING
            for ours, theirs in [(getattr(self, name), getattr(other, name))]
        )


def kind_of(record: Mapping[str, Any]) -> tuple[str, ...]:
    """What a stats.json says of its machine without the precision; empty: it does not say."""
    return tuple(str(record.get(name, "")) for name in _DECIDING)


def mixed(records: Iterable[Mapping[str, Any]]) -> dict[str, list[str]]:
    """In which fields the machines of records differ, precision apart, and their values, sorted.

    Args:
        records: stats.json of trainings and attacks, or the fields of a `Machine`; what one does
            not say differs from nothing.
    """
    found: dict[str, set[str]] = {name: set() for name in _DECIDING}
    for record in records:
        for name, value in zip(_DECIDING, kind_of(record), strict=True):
            found[name] |= {value} - {""}
    return {name: sorted(values) for name, values in found.items() if len(values) > 1}
