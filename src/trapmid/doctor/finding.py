"""What was looked at, and what it says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

State = Literal["fine", "note", "missing"]

_MARKS = {"fine": "ok  ", "note": "note", "missing": "MISS"}


@dataclass(frozen=True)
class Finding:
    """One line of the examination."""

    what: str
    text: str
    state: State = "fine"  # missing: the study of params.yaml cannot run
    remedy: str = ""  # the next step, where there is a problem

    @property
    def is_fatal(self) -> bool:
        """Whether the study cannot run."""
        return self.state == "missing"

    def line(self) -> str:
        """The finding in one line."""
        text = " ".join(f"{self.text}; {self.remedy}".split()) if self.remedy else self.text
        return f"{_MARKS[self.state]}  {self.what:<10} {text}"


def looked(what: str, look: Callable[[], Iterator[Finding]]) -> list[Finding]:
    """What `look` finds; where it fails itself, a note that says so and no traceback."""
    found = []
    try:
        for finding in look():
            found.append(finding)
    except Exception as error:  # a broken installation raises anything, and must be told of
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        found.append(Finding(what, f"could not be looked at ({reason})", "note"))
    return found
