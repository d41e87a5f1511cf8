"""What every subcommand of `trapmid` does: from its options to its exit code.

Each imports what it needs by itself, so that the help costs no second.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

PARAMS = Path("params.yaml")


def text_of(file: Path = PARAMS) -> str:
    """The text of params.yaml, or of another file in its place.

    Raises:
        ValueError: there is no such file, as the command runs in another folder; or it is no text.
    """
    if not file.is_file():
        raise ValueError(f"{file}: no such file; run this at the root of the project")
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        where = f"{error.reason} at byte {error.start}"
        raise ValueError(f"{file}: is no UTF-8 text ({where})") from None


def told(error: Exception) -> str:
    """An error in words: of a file that cannot be opened its name first, and no number."""
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror[0].lower()}{error.strerror[1:]}"
    return str(error)


def refuse(problems: Sequence[str], who: str) -> int:
    """Prints problems, a line each, after the command that they stop; the exit code."""
    for problem in problems:
        print(f"{who}: error: {problem}", file=sys.stderr)
    return 2 if problems else 0
