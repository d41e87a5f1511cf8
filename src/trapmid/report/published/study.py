"""What a study has of a published number: its rows, their value, and how far it may lie off."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from trapmid.report.averages import deviation, mean_of
from trapmid.report.groups import attack_run_label, label
from trapmid.report.judged import at, verifier_method
from trapmid.report.published.rows import (
    FACENET,
    FIELDS,
    OF_TARGETS,
    PRDC,
    Place,
    answering,
    place_of,
    suits,
)
from trapmid.report.published.tables import Number
from trapmid.scoring.scores import Attacks, AttackScores, Evaluators, Targets

Row = Mapping[str, Any]

_WITHIN = {"aa1": "aa1_std", "aa5": "aa5_std"}


class Range(NamedTuple):
    """What of a number's neighbourhood its own data allow."""

    low: float
    high: float
    kind: str  # how it was computed


@dataclass(frozen=True, kw_only=True)
class Ours:
    """The rows of a study that answer a published number, and their value."""

    rows: tuple[str, ...]  # of attack_runs, or of targets
    place: Place
    value: float
    range: Range | None  # None: one run without a deviation


@dataclass(frozen=True, kw_only=True)
class Study:
    """A study as far as it is compared."""

    params: Mapping[str, Any]  # params.yaml
    metrics: Mapping[str, Any]  # reports/metrics.json
    evaluators: Evaluators
    targets: Targets
    attack_runs: Attacks
    seconds: Mapping[str, float]  # of training, by target

    def find(self, number: Number) -> Ours | None:
        """The value of this study that a published number is set beside; None: it has none.

        The rows in the number's own setting come first, then those of the study's first rows: a
        number in another setting is still worth an ordering.
        """
        rows = answering(self.params, number)
        places = {row: place_of(self.params, number, row) for row in rows}
        if not rows:
            return None
        suiting = (one for one in places.values() if suits(self.params, number, one))
        best = next(suiting, places[rows[0]])
        return self._ours(number, best, [row for row in rows if places[row] == best])

    def _ours(self, number: Number, place: Place, rows: Sequence[str]) -> Ours | None:
        values = {row: self._value(number, row) for row in rows}
        there = {row: value for row, value in values.items() if value is not None}
        if not there:
            return None
        if number.target in ("best", "worst"):
            chosen = self._extreme(number, there)
            if chosen is None:
                return None
            return Ours(rows=(chosen,), place=place, value=there[chosen], range=None)
        mean = mean_of(there.values())
        assert mean is not None  # there are values
        found = self._range(number, mean, there)
        return Ours(rows=tuple(there), place=place, value=mean, range=found)

    def _value(self, number: Number, row: str) -> float | None:
        match number.metric:
            case "acc":
                return self.targets[row].test_accuracy
            case "training_minutes":
                return self.seconds[row] / 60
            case "initial_iterations":
                found = self.attack_runs[row].counts.get("initial_batches")
                return None if found is None else found.max
            case metric if metric == FACENET:
                found_face: float | None = at(
                    self.attack_runs[row], "judges.verifier.nearest_image"
                )
                return found_face
            case metric if metric in PRDC:
                fidelity = self.attack_runs[row].fidelity
                found_ppa = None if fidelity is None else fidelity.prdc_ppa
                return None if found_ppa is None else float(getattr(found_ppa, PRDC[metric]))
            case metric if metric in FIELDS:
                return self._recognised(row, FIELDS[metric])
        return None

    def _recognised(self, row: str, field: str) -> float | None:
        """The score as the attack's own code computes it; the standard one if it has no code."""
        run = self.attack_runs[row]
        value: float | None = getattr(run if run.paper is None else run.paper, field)
        return value

    def _extreme(self, number: Number, rows: Iterable[str]) -> str | None:
        """The row whose target leaks least (best) or most (worst) under the number's attack.

        Of equal ones that of the lowest seed; None: the attack did not run.
        """
        section = "targets" if number.metric in OF_TARGETS else "attack_runs"
        sign = 1 if number.target == "best" else -1
        ranks = {
            row: (sign * leak, self.params[section][row]["seed"])
            for row in rows
            if (leak := self._leak(number, row)) is not None
        }
        return min(ranks, key=lambda row: ranks[row], default=None)

    def _leak(self, number: Number, row: str) -> float | None:
        if number.metric not in OF_TARGETS:
            return self._recognised(row, "aa1")
        rates = [
            rate
            for name, block in self.params["attack_runs"].items()
            if block["target"] == row
            and block["attack"] == number.attack
            and (rate := self._recognised(name, "aa1")) is not None
        ]
        return max(rates, default=None)

    def _range(self, number: Number, mean: float, values: Mapping[str, float]) -> Range | None:
        row = next(iter(values))
        if interval := self._interval(number, list(values)):
            return Range(interval["low"], interval["high"], str(interval["kind"]))
        if (sample := deviation(list(values.values())).sample) is not None:
            return Range(mean - sample, mean + sample, "sample deviation over seeds")
        within = _WITHIN.get(number.metric)
        std = self._recognised(row, within) if within else None
        return None if std is None else Range(mean - std, mean + std, "deviation within the run")

    def _interval(self, number: Number, rows: Sequence[str]) -> Mapping[str, Any] | None:
        """The interval that metrics.json has of the number, where it has one.

        It is of the standard scores: none where the attack's own code computes another number of
        any of the rows.
        """
        row = rows[0]
        if number.metric == "acc":
            name = label(self.params, self.params["targets"][row])
            scores = self.metrics.get("targets", {}).get(name, {})
            field = "test_accuracy"
        elif number.metric not in FIELDS or not all(self._is_standard(number, one) for one in rows):
            return None
        else:
            name = attack_run_label(self.params, self.params["attack_runs"][row])
            scores = self.metrics["attacks"].get(number.attack, {}).get(name, {})
            field = number.metric
        found: Mapping[str, Any] | None = scores.get("intervals", {}).get(field)
        return found

    def _is_standard(self, number: Number, row: str) -> bool:
        field = FIELDS[number.metric]
        standard: float | None = getattr(self.attack_runs[row], field)
        return self._recognised(row, field) == standard

    def attacked(self, ours: Ours) -> set[str]:
        """The rows of the targets behind a value."""
        runs = self.params["attack_runs"]
        return {str(runs[row]["target"]) if row in runs else row for row in ours.rows}

    def verifiers(self, ours: Ours) -> set[str]:
        """The methods of the verifiers that the attack runs behind a value name."""
        named = [self.params["attack_runs"].get(row) for row in ours.rows]
        found = [verifier_method(self.params, block) for block in named if block is not None]
        return {method for method in found if method is not None}

    def runs(self, ours: Ours) -> list[AttackScores]:
        """The scores of the attack runs behind a value; none for one of targets."""
        return [self.attack_runs[row] for row in ours.rows if row in self.attack_runs]
