"""Whether a data set is what its scores take it for: nobody and nothing is on two sides."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from trapmid.scoring.checks import Check


def data_disjoint(manifest: Iterable[Mapping[str, str]], *, validation: bool = True) -> list[Check]:
    """`private_public_disjoint` and `splits_disjoint`, from the rows of manifest.csv.

    Every split must be there; `validation`: whether there is one of that name.

    An empty identity on the public side is an unknown one (FFHQ has none); its image must still
    differ from every private image.
    """
    splits = ["train", "val", "test"] if validation else ["train", "test"]
    identities, hashes, sound = _who_is_where(manifest, [*splits, "public"])
    people = identities["private"] & identities["public"]
    images = set().union(*(hashes[split] for split in splits)) & hashes["public"]
    complete = sound and all(hashes.values())
    twice = sum(len(hashes[a] & hashes[b]) for a, b in itertools.combinations(splits, 2))
    note = "" if complete else "; rows are missing or lack a split, identity or hash"
    shared = f"{len(people)} identities and {len(images)} images are private and public{note}"
    return [
        Check("private_public_disjoint", complete and not people and not images, shared),
        Check("splits_disjoint", complete and not twice, f"{twice} images in two splits{note}"),
    ]


class _Whereabouts(NamedTuple):
    """What the rows of a manifest name."""

    identities: dict[str, set[str]]  # of the private side and of the public one
    hashes: dict[str, set[str]]  # of the images of every split
    sound: bool  # every row has a split and a hash, every private one an identity


def _who_is_where(manifest: Iterable[Mapping[str, str]], splits: Iterable[str]) -> _Whereabouts:
    identities: dict[str, set[str]] = {"private": set(), "public": set()}
    hashes: dict[str, set[str]] = {split: set() for split in splits}
    sound = True
    for row in manifest:
        split, identity, image = (row.get(key, "") for key in ("split", "identity", "hash"))
        if split not in hashes:
            sound = False
            continue
        side = "public" if split == "public" else "private"
        sound &= image != "" and (side == "public" or identity != "")
        identities[side] |= {identity} - {""}
        hashes[split] |= {image}
    return _Whereabouts(identities, hashes, sound)
