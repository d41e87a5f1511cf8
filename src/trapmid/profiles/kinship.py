"""Rows that meet in one attack must be about the same private people and the same target.

`artifacts/lineage` refuses files that do not belong together; here the rows of params.yaml are
looked at, before anything is trained. A mean over seeds is a mean of one experiment: rows of one
name in the tables differ in their seed, and in the names that carry it, alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from trapmid.config.evaluation import FLOOR, FLOOR_IGNORES

_PRIVATE = (
    *("private", "image_size", "identities", "min_images"),
    *("test_fraction", "val_fraction", "seed"),
)
"""Keys of a row of `data` that decide who is private, and how their images are split."""
_LISTS = ("train", "test")

_SECTIONS = {
    "models/targets": "targets",
    "models/surrogates": "surrogates",
    "models/leaks": "leaks",
    "models/signatures": "signatures",
    "models/priors/public": "public_priors",
    "models/priors/guided": "guided_priors",
    "models/evaluators": "evaluators",
    "data/features/judges": "judges",
}
_KEYS = {
    "leaks": (),
    "surrogates": (),
    "signatures": ("leak",),
    "guided_priors": ("queried_model", "side_information", "init"),
    "attack_runs": (
        *("queried_model", "side_information", "prior"),
        *("verifier", "identity", "second_evaluator"),
    ),
}
"""Section -> keys of its rows that name what was made of a target, of private or public images."""
_SEEN_WITH = {"dlib_head": "dlib"}
"""Network of an evaluator -> the judge that is the same recogniser, and would only repeat it."""

_REPEATED = r"models/(?:targets|surrogates|leaks|signatures|priors/guided)/[^/]+?"
"""What `trapmid profile --seeds` repeats, and ends with a seed; a public prior is everybody's."""


class _Row(NamedTuple):
    place: str  # section.name
    data: str
    target: str | None  # whom it attacks or learnt from; None: nobody


def problems(content: Mapping[str, Any]) -> list[str]:
    """Rows that meet and do not belong together, one line each.

    Args:
        content: a params.yaml in which every row is complete and what it names is there.
    """
    lines = [
        line
        for section, keys in _KEYS.items()
        for name, row in content[section].items()
        for line in _row(content, f"{section}.{name}", row, keys)
    ]
    more = (_surrogates, _public, _pretrained, _judges, _repeating, _seeds)
    return [*lines, *(line for found in more for line in found(content))]


def _row(
    content: Mapping[str, Any], place: str, row: Mapping[str, Any], keys: tuple[str, ...]
) -> Iterator[str]:
    target = row["target"]
    met = [_Row(f"targets.{target}", content["targets"][target]["data"], None)]
    if "evaluator" in row:
        name = row["evaluator"]
        met.append(_Row(f"evaluators.{name}", content["evaluators"][name]["data"], None))
    met += [made for key in keys if (made := _made(content, row[key])) is not None]
    for other in met:
        if differing := _differing(content["data"], row["data"], other.data):
            yield (
                f"{place}.data: {row['data']} and {other.data} (of {other.place}) differ in "
                f"{', '.join(differing)}: they must have the same private people"
            )
        if other.target not in (None, target):
            yield f"{place}.target: {target}, but {other.place} is about {other.target}"


def _made(content: Mapping[str, Any], path: str) -> _Row | None:
    """The row that makes `path`; None: no row does, it is a word such as weights/none."""
    file = PurePosixPath(path)
    for place in (file, file.parent):  # a folder, or the file in it
        section = _SECTIONS.get(str(place.parent))
        if section is not None:
            name = place.name.removesuffix(".pt")
            row = content[section][name]
            target = name if section == "targets" else row.get("target")
            return _Row(f"{section}.{name}", row["data"], target)
    return None


def _differing(data: Mapping[str, Any], one: str, other: str) -> list[str]:
    sides = [_private_side(data[name]) for name in (one, other)]
    return [key for key in sides[0] if sides[0][key] != sides[1][key]]


def _private_side(row: Mapping[str, Any]) -> dict[str, Any]:
    """What decides who is private; a list of the public images does not."""
    lists = row.get("lists") or {}
    side = {key: row[key] for key in _PRIVATE} | {f"lists.{k}": lists.get(k) for k in _LISTS}
    more = {"private_order": "number", "max_images": None, "images_each": None}
    more |= {"test_split": "stratified"}
    return side | {key: row.get(key, usual) for key, usual in more.items()}


def _surrogates(content: Mapping[str, Any]) -> Iterator[str]:
    """Surrogates that start from what no attacker has: a classifier of the private people."""
    for name, row in content["surrogates"].items():
        start = _made(content, row["init"])
        if start is not None:
            yield (
                f"surrogates.{name}.init: {start.place} learnt the private people; an attacker "
                "starts from public people or random weights"
            )


def _public(content: Mapping[str, Any]) -> Iterator[str]:
    """Public priors that start from one that knows other people's public images, or a target."""
    for name, row in content["public_priors"].items():
        start = _made(content, row["init"])
        if start is None:
            continue
        if differing := _differing(content["data"], row["data"], start.data):
            yield (
                f"public_priors.{name}.init: {start.place} learnt from the public people of "
                f"{start.data}, which has other private people than {row['data']} "
                f"({', '.join(differing)})"
            )
        if start.target is not None:
            yield (
                f"public_priors.{name}.init: {start.place} asked {start.target}; a public prior "
                "knows no target"
            )


def _pretrained(content: Mapping[str, Any]) -> Iterator[str]:
    """Targets that start from a classifier of people who may be private."""
    starts = {
        f"models/pretrained/{name}/model.pt": (name, row)
        for name, row in content["pretrained"].items()
    }
    for name, row in content["targets"].items():
        if row["init"] in starts:
            start, pretrained = starts[row["init"]]
            if pretrained.get("teacher") is not None:
                yield from _taught(content, name, row["data"], start, pretrained["data"])
                continue
            own, others = (content["data"][which["data"]] for which in (row, pretrained))
            if own["private"] == others["private"] and not _apart(own, others):
                yield (
                    f"targets.{name}.init: pretrained.{start} learnt people of "
                    f"{own['private']['path']}, where the private ones come from; name other data, "
                    f"or give {pretrained['data']} a max_images under {row['data']}'s min_images"
                )


def _taught(
    content: Mapping[str, Any], target: str, data: str, start: str, public: str
) -> Iterator[str]:
    """A start with a teacher: the public images of other private people may show these."""
    own, others = content["data"][data]["private"], content["data"][public]["public"]
    if own["path"] == others["path"] and _differing(content["data"], data, public):
        yield (
            f"targets.{target}.init: pretrained.{start} learnt public images of {others['path']}, "
            f"where the private ones come from; give it data: {data}, whose public images are of "
            "other people"
        )


def _judges(content: Mapping[str, Any]) -> Iterator[str]:
    """Judges whose weights were learnt here: by the same method, of the same people's strangers."""
    for name, row in content["judges"].items():
        start = PurePosixPath(row["model"])
        if str(start.parent.parent) != "models/judges":
            continue
        trained = content["trained_judges"][start.parent.name]
        place = f"trained_judges.{start.parent.name}"
        if trained["method"] != row["method"]:
            yield f"judges.{name}.method: {row['method']}, but {place} is {trained['method']}"
        if differing := _differing(content["data"], row["data"], trained["data"]):
            yield (
                f"judges.{name}.model: {place} learnt from the public people of {trained['data']}, "
                f"which has other private people than {row['data']} ({', '.join(differing)})"
            )


def _apart(own: Mapping[str, Any], others: Mapping[str, Any]) -> bool:
    """Whether two rows of `data` with one source can share nobody: by how many images one has."""
    most = others.get("max_images")
    return most is not None and most < own["min_images"]


def _repeating(content: Mapping[str, Any]) -> Iterator[str]:
    """Attacks whose verifier sees with the evaluator's own recogniser: no second opinion."""
    for name, row in content["attack_runs"].items():
        arch = content["evaluators"][row["evaluator"]]["arch"]
        judge = content["judges"].get(PurePosixPath(row["verifier"]).stem, {})
        if arch in _SEEN_WITH and judge.get("method") == _SEEN_WITH[arch]:
            yield (
                f"attack_runs.{name}.verifier: sees with the same recogniser as the evaluator "
                f"({arch}); name another verifier, or weights/none"
            )


def _seeds(content: Mapping[str, Any]) -> Iterator[str]:
    """Rows that the report takes for seeds of one experiment, and that are not."""
    targets = content["targets"]
    yield from _twins("targets", targets, lambda row: (row["defense"], row["data"], row["arch"]))

    def of_attack(row: Mapping[str, Any]) -> tuple[str, ...]:
        target = targets[row["target"]]
        return row["attack"], target["defense"], target["arch"], row["data"]

    runs = content["attack_runs"]
    floor = {name: row for name, row in runs.items() if row["attack"] == FLOOR}
    others = {name: row for name, row in runs.items() if name not in floor}
    yield from _twins("attack_runs", others, of_attack)
    yield from _twins("attack_runs", floor, lambda row: (row["data"],), FLOOR_IGNORES)


def _twins(
    section: str,
    rows: Mapping[str, Mapping[str, Any]],
    experiment: Callable[[Mapping[str, Any]], tuple[str, ...]],
    ignored: Collection[str] = (),
) -> Iterator[str]:
    """Rows of one experiment that differ in more than their seed and `ignored`, or in nothing."""
    first: dict[tuple[str, ...], str] = {}
    of_seed: dict[tuple[str, ...], str] = {}
    for name, row in rows.items():
        free = (str(row[key]) for key in ignored)
        again = of_seed.setdefault((*experiment(row), str(row["seed"]), *free), name)
        other = first.setdefault(experiment(row), name)
        one, two = _seedless(rows[other]), _seedless(row)
        keys = [key for key in {**one, **two} if key not in ignored]
        if differing := [key for key in keys if one.get(key) != two.get(key)]:
            yield (
                f"{section}.{name}: has one name in the tables with {other}, and differs from it "
                f"in {', '.join(differing)}: give one of them a name of its own"
            )
        elif again != name:
            yield f"{section}.{name}: is {again} again, with the same seed; one of them is enough"


def _seedless(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row without its seed, and without that of what is repeated for every seed."""
    ending = re.compile(rf"^({_REPEATED})-{row['seed']}(?=\.pt$|/|$)")
    target = re.compile(rf"^(.+)-{row['seed']}$")
    return {
        key: (target if key == "target" else ending).sub(r"\1-*", value)
        if isinstance(value, str)
        else value
        for key, value in row.items()
        if key != "seed"
    }
