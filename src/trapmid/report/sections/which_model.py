"""Which model an audit is of, and by whose pictures it is judged: a line of its first screen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from statistics import median_low
from typing import Any

from trapmid.config.evaluation import AUDITED
from trapmid.report.findings import Findings
from trapmid.report.markdown import escaped
from trapmid.report.people import Person
from trapmid.report.words import percent

_NO_FEATURES = "It returns no features, so LOMMA gets less of it than it could."
_DIGITS = 12  # of a digest, enough to tell two files apart


def line(found: Findings) -> str:
    """The model's file, its people, the study's pictures of them, and who judges."""
    row = found.params["data"][found.params["targets"][found.targets[AUDITED][0]]["data"]]
    given = found.params.get("audit")  # a study of before it was written has none
    parts = [
        f"**Which model**: {_file(given)}{row['identities']} people, images of "
        f"{row['image_size']} pixels.",
        _left_out(given, row),
        _trained(found.exposed[AUDITED].people) if AUDITED in found.exposed else "",
        _accuracies(found.metrics),
        _NO_FEATURES if _without_features(found.params) else "",
    ]
    return " ".join(part for part in parts if part)


def _without_features(params: Mapping[str, Any]) -> bool:
    """`trapmid audit` switches LOMMA's regulariser off for a model without them."""
    lomma = params["attacks"].get("lomma")
    return lomma is not None and lomma["feature_weight"] == 0


def _file(given: Mapping[str, Any] | None) -> str:
    return "" if given is None else f"SHA-256 {escaped(given['sha256'][:_DIGITS])}…, "


def _left_out(given: Mapping[str, Any] | None, row: Mapping[str, Any]) -> str:
    if given is None or not given["left_out"]:
        return ""
    line = f"Left out: {given['left_out']} with under {row['min_images']} images."
    if not (dropped := given["dropped"]):
        return line
    return (
        f"{line} The model knows {dropped} of them: these outputs are dropped, and where it would "
        "name such a person, attacks hear of the next."
    )


def _trained(people: Iterable[Person]) -> str:
    """Of how many pictures of a person the study learns; the model may have learnt others."""
    counts = sorted(person.trained for person in people)
    least, most = counts[0], counts[-1]
    each = (
        f"{least}" if least == most else f"{least} to {most} ({median_low(counts)} in the middle)"
    )
    return f"Evaluator and control learnt {each} image{'s' * (each != '1')} of each."


def _accuracies(metrics: Mapping[str, Any]) -> str:
    evaluator, model = metrics["evaluator"], metrics["targets"][AUDITED]
    return (
        f"Of test images the evaluator names {percent(evaluator['test_accuracy'], 1)} rightly, the "
        f"model, which may have learnt them, {percent(model['test_accuracy'], 1)}."
    )
