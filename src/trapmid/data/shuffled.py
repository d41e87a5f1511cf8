"""The split of Plug & Play Attacks (Struppek et al., ICML 2022): a shuffle of pictures.

All pictures of all private people are shuffled by NumPy's generator of seed 42, whoever is in them,
and the last ones are for test. So some people may have none: 49 of the 1,000 of CelebA.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from trapmid.data.listing import Entry
from trapmid.data.lists import Person

SEED = 42
OFFICIAL = (
    "3c4ecf25a8bbe889743dd93c8d6d6cfa44df86617a60d15b712c1efcf1ef4694",
    "acf50f4149daaf7f617c1578db54099a53645e5b0c81ba74b538254507a6cd05",
    "f2af653680082f38e99498db3d683cd6f19866f92a95bbda1dec6db5bb57afd8",
)
"""SHA-256 of CelebA's 1,000 people, of their 27,034 training and of their 3,004 test pictures."""


def split(people: Sequence[Person], test_fraction: float) -> list[Person]:
    """The same people; of each the pictures that the shuffle leaves for test.

    Args:
        people: in any order; the pictures are shuffled in the order of their files.
        test_fraction: the share of all pictures; floor((1 - share) n) are for training.
    """
    _, test = _shuffled(people, test_fraction)
    kept = {entry.file for entry in test}
    return [
        person._replace(test=frozenset(e.file for e in person.entries if e.file in kept))
        for person in people
    ]


def described(people: Sequence[Person], test_fraction: float) -> dict[str, Any]:
    """What sources.json says of the split: digests, and whether they are the literature's."""
    train, test = _shuffled(people, test_fraction)
    identities = ",".join(str(person.identity) for person in people)
    digests = tuple(_sha256(text) for text in (identities, _names(train), _names(test)))
    return {
        "people_sha256": digests[0],
        "train_sha256": digests[1],
        "test_sha256": digests[2],
        "kind": "official" if digests == OFFICIAL else "own",
    }


def _shuffled(people: Sequence[Person], test_fraction: float) -> tuple[list[Entry], list[Entry]]:
    """The pictures for training and for test, as the shuffle leaves them."""
    entries = sorted(entry for person in people for entry in person.entries)
    places = np.arange(len(entries))
    # The published split is of this old generator.
    np.random.RandomState(SEED).shuffle(places)
    train = int((1 - Fraction(str(test_fraction))) * len(entries))
    drawn = [entries[place] for place in places]
    return drawn[:train], drawn[train:]


def _names(entries: Sequence[Entry]) -> str:
    """Whatever format the crops have, the list calls them .jpg."""
    return ",".join(f"{entry.file.stem}.jpg" for entry in entries)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
