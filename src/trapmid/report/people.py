"""Of every private person: how many reconstructions by a revealing attack show them."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from trapmid.artifacts import checkpoints
from trapmid.config.evaluation import AUDITED
from trapmid.metrics.identification import farther_by_image
from trapmid.metrics.statistics.intervals import Interval, wilson
from trapmid.report.averages import mean_of
from trapmid.report.groups import attack_run_label
from trapmid.report.looks import Shares
from trapmid.report.revealing import Runs, most_revealing, partial, runs_on
from trapmid.report.worst import greatest

_OF_FOLDERS = ("people", "lfw")
"""Readers whose people have names: those of the folders of their pictures."""


class Person(NamedTuple):
    """What an attack got of one private person, over its seeds."""

    name: str
    label: int
    hits: int  # images that the evaluator names as this person
    agreed: int | None  # of them, those that the other judges grant; None: there are none
    n: int
    trained: int = 0  # images of this person that the study trains on

    @property
    def rate(self) -> float:
        """The share of hits, in [0, 1]."""
        return self.hits / self.n

    @property
    def interval(self) -> Interval:
        """Of the rate; the draws of one person count as independent."""
        return wilson(self.hits, self.n)


class Exposed(NamedTuple):
    """The private people under one defence, those of whom most was got first."""

    attack: str
    people: tuple[Person, ...]
    overall: tuple[Person, ...]  # by the images of all attacks together; of an audited model alone


def exposed(
    params: Mapping[str, Any],
    root: Path,
    strongest: Mapping[str, str | None],
    scored: Mapping[str, Mapping[str, Any]],
) -> dict[str, Exposed]:
    """By defence, what one attack got of every person; nothing where no attack ran.

    It is the attack of whose images all judges agree on most, as on the report's first screen;
    where no judge has a voice or they agree on none, the one that the evaluator recognises most. An
    attack that made one image of each person ranks nobody, and counts only where all did so.

    Args:
        params: params.yaml.
        root: its folder, in which data/ is.
        strongest: by defence, the attack with the highest AA-1, which comes first among equals.
        scored: by attack run, the content of its file under data/scored.
    """
    found = {}
    for defense, attack in strongest.items():
        runs = runs_on(params, defense)
        if attack in runs:
            one = _ranking(runs, scored, attack)
            data = _data(params, one, defense)
            names, trained = names_in(root, data), _trained(root, data)
            every = [row for rows in runs.values() for row in rows] if defense == AUDITED else []
            people, overall = (
                tuple(
                    person._replace(trained=trained[person.label])
                    for person in tally([scored[row] for row in rows], names)
                )
                for rows in (runs[one], every)
            )
            found[defense] = Exposed(one, people, overall)
    return found


def _data(params: Mapping[str, Any], attack: str, defense: str) -> str:
    """Whose people an attack on a defence is about: it may meet other data elsewhere."""
    return next(
        str(block["data"])
        for block in params["attack_runs"].values()
        if block["attack"] == attack and attack_run_label(params, block) == defense
    )


def _ranking(runs: Runs, scored: Mapping[str, Mapping[str, Any]], strongest: str) -> str:
    """The attack of which people are ranked: see `exposed`."""
    several = {
        attack: rows for attack, rows in runs.items() if _several(scored[row] for row in rows)
    }
    among = several or runs
    best = most_revealing(among, scored, strongest)
    if best is not None:
        return best
    if strongest in among:
        return strongest
    rates = {attack: _recognised(scored[row] for row in rows) for attack, rows in among.items()}
    return str(greatest(rates, partial(among, scored)))


def _several(runs: Iterable[Mapping[str, Any]]) -> bool:
    """Whether there are several images of one person."""
    labels = [label for run in runs for label in run["labels"].tolist()]
    return len(labels) > len(set(labels))


def _recognised(runs: Iterable[Mapping[str, Any]]) -> float | None:
    """The share of the images that the evaluator names as their person."""
    return mean_of(float(run["hit"].float().mean()) for run in runs)


def tally(scored: Iterable[Mapping[str, Any]], names: Mapping[int, str]) -> tuple[Person, ...]:
    """Everybody who was attacked, by the share of images on which all judges agree, largest first.

    Among equals and without judges by the share of hits, then in the order of labels.

    Args:
        scored: of attack runs: `labels` (N,), `hit` (N,) bool, and of judges `judged`, with
            `agreed` (N,) bool; an image of a run without judges counts as not granted.
        names: of people by label; one without a name is called by the label.
    """
    hits: dict[int, list[tuple[bool, bool | None]]] = {}
    for run in scored:
        agreed = run.get("judged", {}).get("agreed")
        voices = [None] * len(run["labels"]) if agreed is None else agreed.tolist()
        for label, hit, voice in zip(
            run["labels"].tolist(), run["hit"].tolist(), voices, strict=True
        ):
            hits.setdefault(label, []).append((hit, voice))
    people = [
        Person(
            name=names.get(label, str(label)),
            label=label,
            hits=sum(hit for hit, _ in own),
            agreed=None
            if all(voice is None for _, voice in own)
            else sum(bool(voice) for _, voice in own),
            n=len(own),
        )
        for label, own in hits.items()
    ]
    return tuple(sorted(people, key=lambda one: (-(one.agreed or 0) / one.n, -one.rate, one.label)))


def by_chance(people: Iterable[Person], known: int) -> float:
    """How many of them an image or more would be recognised of if every image had a blind guess.

    Args:
        people: with the images that were made of each.
        known: how many people the evaluator can name.
    """
    return sum(1 - (1 - 1 / known) ** person.n for person in people)


def looks(
    params: Mapping[str, Any], root: Path, scored: Mapping[str, Mapping[str, Any]]
) -> dict[str, Shares]:
    """By attack run that a judge read, the mean of `farther` over the images of every person.

    Images that were not found are left out, as in the scores.

    Args:
        params: params.yaml.
        root: its folder, in which data/ is.
        scored: by attack run, the content of its file under data/scored.
    """
    found: dict[str, Shares] = {}
    for row in params["attack_runs"]:
        distances = scored[row].get("judged", {}).get("identity_distances")
        if distances is not None:
            there = checkpoints.load(root / f"data/reconstructions/{row}.pt")["found"]
            labels = scored[row]["labels"]
            farther = farther_by_image(distances, labels)
            found[row] = {
                label: float(farther[there & (labels == label)].mean())
                for label in sorted(set(labels[there].tolist()))
            }
    return found


def _trained(root: Path, data: str) -> Counter[int]:
    """How many images of every label a study trains on."""
    rows = _manifest(root, data)
    return Counter(int(row["label"]) for row in rows if row["split"] == "train")


def _manifest(root: Path, data: str) -> Iterator[dict[str, str]]:
    manifest = root / f"data/prepared/{data}/manifest.csv"
    with manifest.open(newline="", encoding="utf-8") as stream:
        yield from csv.DictReader(stream)


def names_in(root: Path, data: str) -> dict[int, str]:
    """People by label, as their data set calls them: by a folder's name, or by a number.

    Args:
        root: the folder of params.yaml, in which data/ is.
        data: a row of `data`.
    """
    found: dict[int, str] = {}
    for row in _manifest(root, data):
        if row["label"] and int(row["label"]) not in found:
            reader, _, number = row["identity"].partition(":")
            folder = Path(row["path"]).parent.name
            found[int(row["label"])] = folder if reader in _OF_FOLDERS else number
    return found
