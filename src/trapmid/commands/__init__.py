"""What every subcommand of `trapmid` does: from its options to its exit code.

Each imports what it needs by itself, so that the help costs no second.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

PARAMS = Path("params.yaml")


def refuse(problems: Sequence[str], who: str) -> int:
    """Prints problems, a line each, after the command that they stop; the exit code."""
    for problem in problems:
        print(f"{who}: error: {problem}", file=sys.stderr)
    return 2 if problems else 0
