"""One picture under several names, of which CelebA has some, mostly under two people's numbers.

Such a picture must not teach and test at once, nor be private and public. So copies of one person's
picture are in one split. Copies under two private numbers are both trained on: one number is wrong,
nobody knows which, and no test may ask. A copy of a private picture is not public.
Pictures are the same if their prepared pixels are: CelebA also has copies that were saved again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from trapmid.data.listing import Entry

Contents = Callable[[Sequence[Entry]], Mapping[Path, str]]
"""From entries to what each file shows: equal texts, equal pictures."""


class Sides(NamedTuple):
    """What private and public files show."""

    private: Contents
    public: Contents


def by_name(entries: Sequence[Entry]) -> dict[Path, str]:
    """Every file is taken to differ from all others; nothing is opened."""
    return {entry.file: str(entry.file) for entry in entries}


ALL_DIFFER = Sides(by_name, by_name)


def shared(groups: Iterable[Sequence[Entry]], shown: Mapping[Path, str]) -> frozenset[str]:
    """What files of more than one group show."""
    owners: dict[str, set[int]] = defaultdict(set)
    for index, group in enumerate(groups):
        for entry in group:
            owners[shown[entry.file]].add(index)
    return frozenset(picture for picture, several in owners.items() if len(several) > 1)
