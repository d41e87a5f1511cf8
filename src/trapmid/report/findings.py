"""What the sections of the report are written from, and how its rows are grouped in tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from trapmid.config.evaluation import WEAK
from trapmid.report import stars
from trapmid.report.groups import attack_run_label, label
from trapmid.report.inputs import Inputs
from trapmid.report.marks import DAGGER, Cell, Marks
from trapmid.report.people import Exposed
from trapmid.report.published.comparison import Comparison, compare
from trapmid.report.published.study import Study
from trapmid.report.words import shortened
from trapmid.scoring.scores import RowScores

_ROWS = 3  # that are named where they wrote the same


@dataclass(frozen=True, kw_only=True)
class CheckLine:
    """One check of the study as the report shows it."""

    name: str
    passed: bool
    invalid: bool  # whether its failure makes the study worthless
    meaning: str  # what holds when it passes
    detail: str  # the numbers, or the rows that failed

    @property
    def title(self) -> str:
        """Its name in words."""
        return self.name.replace("_", " ")


@dataclass(frozen=True, kw_only=True)
class Findings:
    """One study, read and summed up."""

    inputs: Inputs
    metrics: Mapping[str, Any]  # the content of reports/metrics.json
    pictures: Mapping[str, bytes]  # PNG by path under reports/
    checks: Sequence[CheckLine] = ()
    exposed: Mapping[str, Exposed] = field(default_factory=dict)  # people, by defence

    @property
    def params(self) -> dict[str, Any]:
        return self.inputs.params

    @property
    def seeds(self) -> list[int]:
        """The seeds of the targets, the lowest first."""
        return sorted({block["seed"] for block in self.params["targets"].values()})

    def seeds_of(self, section: str, rows: Iterable[str]) -> list[str]:
        """The seed of every one of these rows."""
        return [str(self.params[section][row]["seed"]) for row in rows]

    @property
    def targets(self) -> dict[str, list[str]]:
        """The targets by the name of their defence in tables."""
        found: dict[str, list[str]] = {}
        for row, block in self.params["targets"].items():
            found.setdefault(label(self.params, block), []).append(row)
        return found

    @property
    def attack_runs(self) -> dict[tuple[str, str], list[str]]:
        """The attack runs by attack and by their defence's name in tables, in the order of rows."""
        found: dict[tuple[str, str], list[str]] = {}
        for row, block in self.params["attack_runs"].items():
            found.setdefault((block["attack"], self.defense_of(row)), []).append(row)
        return found

    def defense_of(self, attack_run: str) -> str:
        """The name of an attack run's defence in tables."""
        return attack_run_label(self.params, self.params["attack_runs"][attack_run])

    def about_star(self, shown: Marks) -> str:
        """A sentence that says what a star means, for behind others; empty where none is shown."""
        return f" A star: {self.star}." if shown.failed else ""

    def about_marks(self, shown: Marks) -> str:
        """Likewise of stars and daggers, for captions."""
        dagger = f" {DAGGER}: over a part of the people." if shown.partial else ""
        return self.about_star(shown) + dagger

    @property
    def strongest(self) -> set[Cell]:
        """The worst case of every defence that was attacked."""
        worst = self.metrics["worst"].items()
        return {(case["attack"], name) for name, case in worst if case["attack"] is not None}

    @property
    def star(self) -> str:
        """What a star says, in words without a full stop."""
        return stars.meaning(self.params, self.inputs.attack_runs)

    @cached_property
    def judged_in_doubt(self) -> dict[tuple[str, str], list[str]]:
        """By attack and defence: the checks that failed of the judges that were asked."""
        return stars.judged_in_doubt(self.params, self.inputs.attack_runs, self.inputs.judges)

    @property
    def marks(self) -> Marks:
        """The numbers that are unlike those beside them."""
        return Marks.of(self.params, self.inputs.attack_runs)

    @cached_property
    def compared(self) -> list[Comparison]:
        """The paper's numbers beside those of this study; empty without the paper's tables."""
        if self.inputs.published is None:
            return []
        stats = self.inputs.stats["targets"]
        study = Study(
            params=self.params,
            metrics=self.metrics,
            evaluators=self.inputs.evaluators,
            targets=self.inputs.targets,
            attack_runs=self.inputs.attack_runs,
            seconds={row: found["seconds"] for row, found in stats.items()},
        )
        return compare(self.inputs.published, study)


def check_lines(
    inputs: Inputs,
    passed: Mapping[str, bool],
    meanings: Mapping[str, str],
    details: Mapping[str, str],
) -> list[CheckLine]:
    """The checks of metrics.json with their words; a check without words shows its name.

    Args:
        inputs: its rows say in `failed_checks` what they found.
        passed: verdict by check.
        meanings: by check, what holds when it passes.
        details: by check, what the study found.
    """
    return [
        CheckLine(
            name=name,
            passed=verdict,
            invalid=name not in WEAK,
            meaning=meanings.get(name, name.replace("_", " ") + "."),
            detail=shortened(
                "; ".join(filter(None, [details.get(name, ""), *_reasons(name, inputs)]))
            ),
        )
        for name, verdict in passed.items()
    ]


def _reasons(name: str, inputs: Inputs) -> list[str]:
    """What the rows that failed a check wrote about it; what several wrote stands once."""
    rows: list[tuple[str, RowScores]] = [
        *inputs.evaluators.items(),
        *inputs.targets.items(),
        *inputs.judges.items(),
        *inputs.attack_runs.items(),
    ]
    found: dict[str, list[str]] = {}
    for row, scores in rows:
        if name in scores.failed_checks:
            found.setdefault(scores.failed_checks[name], []).append(row)
    return [f"{_listed(some)}: {reason}" for reason, some in found.items()]


def _listed(rows: Sequence[str]) -> str:
    return ", ".join(rows) if len(rows) <= _ROWS else f"{len(rows)} rows"
