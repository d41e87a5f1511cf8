"""dvc.lock as a text of blocks, one per stage.

DVC (3.67.1) reads and writes the whole file after each stage: 16 s of CPU a stage at 396 stages.
One block is replaced in milliseconds, and the text stays what DVC writes, byte for byte.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

EMPTY = "schema: '2.0'\nstages:\n"
_BLOCK = re.compile(r"(?m)^(?=  [^ \n#])")  # a stage's name is indented by two, what it has by four


def split(text: str) -> tuple[str, dict[str, str]]:
    """The head of the file, and the block of every stage by its name, in the file's order.

    Raises:
        ValueError: the text has no list of stages, or something stands behind it.
    """
    head, *parts = _BLOCK.split(text or EMPTY)
    if not head.endswith("stages:\n"):
        raise ValueError("dvc.lock: its head must end with 'stages:'")
    blocks = {_name(part): part for part in parts}
    if head + "".join(blocks.values()) != (text or EMPTY):
        raise ValueError("dvc.lock: a stage is in it twice, or something stands behind the stages")
    return head, blocks


def put(text: str, block: str) -> str:
    """The text with one stage's block in the place of its old one, or at the end, as DVC does."""
    head, blocks = split(text)
    return head + "".join((blocks | {_name(block): block}).values())


def in_order(text: str, old: Sequence[str], plan: Sequence[str]) -> str:
    """The text with the stages `old` where they were and new ones behind them, ordered by `plan`.

    That is where DVC, which runs a plan from its beginning to its end, would have put them.
    """
    head, blocks = split(text)
    place = {name: index for index, name in enumerate(plan)}
    new = sorted((name for name in blocks if name not in set(old)), key=lambda n: place.get(n, -1))
    return head + "".join(blocks[name] for name in [*(n for n in old if n in blocks), *new])


def _name(block: str) -> str:
    name = block.split("\n", 1)[0].strip()
    if not name.endswith(":") or name[0] in "'\"":  # DVC quotes a name with a blank or a colon
        raise ValueError(f"dvc.lock: {name!r} is no name of a stage")
    return name[:-1]
