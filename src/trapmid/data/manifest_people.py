"""Whose the images of a prepared data set are, by its manifest.csv."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from trapmid.data.numbering import family
from trapmid.types import Person


def private(manifest: Iterable[Mapping[str, str]]) -> list[Person]:
    """The private people by label, with their training images; `images` are rows of that split."""
    rows = [row for row in manifest if row["split"] == "train"]
    return _grouped(rows, [row["label"] for row in rows], _source(rows))


def public(manifest: Iterable[Mapping[str, str]]) -> list[Person]:
    """The people of the public images, in order of appearance; `images` are rows of public.pt.

    An image of somebody whom nobody knows is a person of its own.
    """
    every = list(manifest)
    rows = [row for row in every if row["split"] == "public"]
    whose = [row["identity"] or row["path"] for row in rows]
    return _grouped(rows, whose, _source(row for row in every if row["label"]))


def _source(private: Iterable[Mapping[str, str]]) -> str:
    """The source of the private people, in whose numbers `Person.identity` is."""
    return next((row["identity"].partition(":")[0] for row in private), "")


def _grouped(rows: list[Mapping[str, str]], whose: list[str], source: str) -> list[Person]:
    at: dict[str, list[int]] = {}
    for index, person in enumerate(whose):
        at.setdefault(person, []).append(index)
    return [
        Person(
            _number(rows[found[0]]["identity"], source),
            tuple(rows[index]["path"] for index in found),
            tuple(found),
        )
        for found in at.values()
    ]


def _number(identity: str, source: str) -> int | None:
    reader, _, number = identity.partition(":")
    return int(number) if number and family(reader) == family(source) else None
