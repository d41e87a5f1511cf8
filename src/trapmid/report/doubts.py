"""What failed behind the numbers of one attack run, and whose check it is.

A number rests on more than its attack: on the target, on the evaluator and the judges that were
asked, and on a study in which attacks succeed at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from trapmid.config.evaluation import WEAK
from trapmid.report.inputs import Inputs
from trapmid.scoring.scores import JudgeScores, RowScores


def of_run(inputs: Inputs, checks: Mapping[str, bool], row: str) -> dict[str, list[str]]:
    """The names of the checks that failed, by whose they are; who failed none is not there.

    Args:
        inputs: the study.
        checks: the study's, of reports/metrics.json.
        row: of `attack_runs`.
    """
    block = inputs.params["attack_runs"][row]
    found = {
        "attack": of_rows([inputs.attack_runs[row]]),
        "target": of_rows([inputs.targets[block["target"]]]),
        "evaluator": of_rows([inputs.evaluators[block["evaluator"]]]),
        "judges": of_rows(_asked(inputs, row)),
        "study": of_study(inputs, checks),
    }
    return {whose: names for whose, names in found.items() if names}


def of_study(inputs: Inputs, checks: Mapping[str, bool]) -> list[str]:
    """What counts for every number: what makes the study invalid, and what no row answers for.

    The latter need several rows, as `positive_control` does.
    """
    every = (inputs.evaluators, inputs.targets, inputs.judges, inputs.attack_runs)
    rows: list[RowScores] = [scores for part in every for scores in part.values()]
    grave, known = invalidating(checks), of_rows(rows)
    failed = [name for name, passed in checks.items() if not passed]
    return [name for name in failed if name in grave or name not in known]


def invalidating(checks: Mapping[str, bool]) -> list[str]:
    """The failed checks that make the study invalid."""
    return [name for name, passed in checks.items() if not passed and name not in WEAK]


def of_rows(rows: Iterable[RowScores]) -> list[str]:
    """The checks that any of these rows failed, each once."""
    names = (name for one in rows for name, passed in one.checks.items() if not passed)
    return list(dict.fromkeys(names))


def _asked(inputs: Inputs, row: str) -> list[JudgeScores]:
    """The judges that were asked about an attack run."""
    if inputs.attack_runs[row].judges is None:
        return []
    block = inputs.params["attack_runs"][row]
    named = (inputs.judges.get(Path(block[key]).stem) for key in ("verifier", "identity"))
    return [judge for judge in named if judge is not None]
