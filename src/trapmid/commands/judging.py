"""Scores against a baseline."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trapmid.commands import PARAMS, text_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from trapmid.scoring.means import StudyMeans

SCORES = Path("reports/metrics.json")
BASELINE = Path("reports/baseline.json")
LOCK = Path("dvc.lock")


def gate(options: argparse.Namespace) -> int:
    from trapmid.config import params
    from trapmid.config.evaluation import Gate
    from trapmid.profiles import lockfile
    from trapmid.scoring import gate
    from trapmid.scoring.means import StudyMeans

    study = params.parse(text_of())
    tolerances = params.build(Gate, params.section(study, "gate"), "gate")
    now = StudyMeans.read(options.scores or SCORES)
    if options.scores is None:
        _check_study(now, study)
    path, own = _baselines(options.baseline, now)
    old = StudyMeans.read(path) if path.exists() else None
    made = own if old is not None and gate.other_profile(now, old) else path
    other = None if old is None else gate.other_study(now, old)
    if not options.update:
        if old is None:
            raise ValueError(f"{path}: no such file; `trapmid gate --update` makes it")
        if other:
            raise ValueError(f"{path} is {other}: `trapmid gate --update` makes {made} of them")
    like = now if old is None or other else old
    verdicts = gate.compare(now, like, tolerances)
    print(gate.table(verdicts, tolerances))
    if note := gate.other_machine(now, like):
        print(f"note: {note}")
    if options.scores is None and lockfile.changed_since(LOCK, "report", PARAMS):
        # No refusal: it may be a tolerance that was changed
        print(f"note: {PARAMS} has changed since {SCORES} was made; `trapmid run` makes it anew")
    if options.update:
        return _update(made, options.scores or SCORES, now)
    return 0 if all(verdict.passed for verdict in verdicts) else 1


def _check_study(now: StudyMeans, params: Mapping[str, Any]) -> None:
    """Refuses scores of a profile or of seeds that params.yaml had before: they would pass."""
    if now.study is None:  # of an older version
        return
    found = f"profile {now.study.profile}, seeds {_listed(now.study.seeds)}"
    wanted = f"profile {params['profile']}, seeds {_listed(params['seeds'])}"
    if found != wanted:
        raise ValueError(f"{SCORES} is of {found}; {PARAMS} is {wanted}: run the study first")


def _listed(seeds: Iterable[int]) -> str:
    return " ".join(map(str, sorted(seeds)))


def _baselines(chosen: Path | None, now: StudyMeans) -> tuple[Path, Path]:
    """The baseline to compare with, and the one to make where that is of another profile."""
    if chosen is not None or now.study is None:
        return (chosen or BASELINE,) * 2
    name = now.study.profile.replace(" --", "-").replace(" ", "-")  # of one with --table N
    own = BASELINE.with_name(f"{BASELINE.stem}-{name}.json")
    return (own if own.exists() else BASELINE), own


def _update(path: Path, scores: Path, now: StudyMeans) -> int:
    """Makes the scores, which are `now`, the baseline `path`."""
    from trapmid.artifacts.checkpoints import write_atomically
    from trapmid.scoring import gate

    if invalid := gate.failures(now, weak=False):
        raise ValueError(
            f"{scores}: {', '.join(invalid)} failed, so the study is invalid: no baseline "
            "is made of it"
        )
    write_atomically(path, scores.read_bytes())
    if weak := gate.failures(now, weak=True):
        print(f"weak: {', '.join(weak)} failed; the gate marks it and passes while that stays so")
    print(f"{path} is now a copy of {scores}; commit it to make it count")
    return 0
