"""On what scores were computed. Without torch: the gate reads it, and starts in no time."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What of a machine decides the last bits of what it computes."""

    device: str  # its kind: cpu, cuda, mps
    precision: str
    instructions: str  # torch's capability of the CPU; empty: not a CPU
    onednn: str  # see `runtime.onednn_level`
    torch: str  # version

    def __str__(self) -> str:
        own = f" {self.instructions or '?'}, oneDNN {self.onednn or '?'}"
        return f"{self.device}{own if self.device == 'cpu' else ''}, torch {self.torch}"
