"""Which defence keeps more from an attack than which: pairs of a study's defences, tested.

A pair has the attack in common, the people and the seeds. Between people, the difference says
something of the targets that were trained; between seeds, of the defence. What is compared is what
the evaluator recognises, and apart from it what all judges agree on.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from trapmid.config.evaluation import AUDITED, FLOOR, UNDEFENDED
from trapmid.metrics.accuracy import hit_shares
from trapmid.metrics.statistics import comparisons as tests
from trapmid.metrics.statistics import intervals
from trapmid.metrics.statistics.intervals import Interval
from trapmid.report import stars
from trapmid.report.broken import Side, doubted, without_verdict
from trapmid.report.groups import Groups, floor_on
from trapmid.scoring.means import Comparison, Measure, Tested
from trapmid.scoring.scores import Attacks, Judges, rounded

WORST = "worst case"
"""What stands for an attack where each defence meets its own strongest one."""

Shares = Mapping[int, float]
"""Person -> share of the images in which the person is recognised."""

_DIGITS = 9  # of a p value more than of a rate

Numbers = npt.NDArray[np.float64]


class _Pair(NamedTuple):
    """Two cells of the matrix."""

    attack: str
    defense: str
    against: str
    rows: Sequence[str]  # attack runs on `defense`
    others: Sequence[str]  # those on `against`


class _Paired(NamedTuple):
    """Differences of a rate on the same people and seeds."""

    seeds: tuple[int, ...]
    grid: Numbers  # (seeds, people)


class _Test(NamedTuple):
    """A test before its correction."""

    differences: Numbers  # (n,)
    interval: Interval | None
    p: float
    detectable: float | None


def shares(scored: Mapping[str, Mapping[str, Any]]) -> dict[Measure, dict[str, Shares]]:
    """By measure and attack run, in how many images every person is recognised.

    A run of which no judge beside the evaluator has a voice has no share on which all agree.

    Args:
        scored: by row, the content of its file under data/scored.
    """
    agreed: dict[str, Shares] = {
        run: hit_shares(one["judged"]["agreed"], one["labels"])
        for run, one in scored.items()
        if "agreed" in one.get("judged", {})
    }
    return {
        "aa1": {run: hit_shares(one["hit"], one["labels"]) for run, one in scored.items()},
        "agree": agreed,
    }


def comparisons(
    params: Mapping[str, Any],
    attack_runs: Attacks,
    strongest: Mapping[str, str | None],
    shares: Mapping[str, Shares],
    measure: Measure = "aa1",
    judges: Judges | None = None,
) -> tuple[Comparison, ...]:
    """Each defence against `none` and every other control, for each attack that both met.

    And for the worst case, in which each has met its strongest attack; that of an audited model
    against random faces, too. What two runs have no person, no seed or no judge in common for is
    not compared. Holm's correction is over all of a study by one measure, random faces aside; a
    worst case that is the same pair of runs as an attack's own counts once. There is no verdict
    where the lower rate may be that of a search that broke.

    Args:
        params: params.yaml; `gate.controls` names the controls.
        attack_runs: scores by row.
        strongest: by defence, the attack that got most by this measure; None: none ran.
        shares: by row, what was recognised of every person; rows may be missing.
        measure: whose word `shares` are.
        judges: scores of judges, by row.
    """
    asked = {row: _judges(params, attack_runs, row, measure) for row in shares}
    found = [
        (pair, paired)
        for pair in _pairs(params, strongest)
        if (paired := _paired(pair, attack_runs, shares, asked)) is not None
    ]
    failed = stars.failed_cells(params, attack_runs)
    judged = stars.judged_in_doubt(params, attack_runs, judges or {})
    # Whether a model gives away anything is one question, how it stands beside others another one
    floor, others = _parted(found, lambda one: one[0].against == FLOOR)
    within = _tested(others, _over_people) | _tested(floor, _over_people)
    over = _tested([one for one in found if _enough(one[1])], _over_seeds)
    return tuple(
        rounded(
            without_verdict(
                _comparison(measure, pair, paired, within[_runs(pair)], over.get(_runs(pair))),
                doubted(failed, judged, measure, _sides(params, pair, float(paired.grid.mean()))),
            ),
            _DIGITS,
        )
        for pair, paired in found
    )


def _judges(
    params: Mapping[str, Any], attack_runs: Attacks, row: str, measure: Measure
) -> tuple[str, ...]:
    """Whose word a row's rate is."""
    block, evaluator = params["attack_runs"][row], attack_runs[row].protocol.evaluator
    voices = ("verifier", "identity") if measure == "agree" else ()
    return (evaluator, *(str(block.get(voice)) for voice in voices))


def _pairs(params: Mapping[str, Any], strongest: Mapping[str, str | None]) -> Iterator[_Pair]:
    """By attack, the worst case last; every pair once."""
    cells = dict(Groups.of(params).attacks)
    cells[WORST] = {
        name: cells[attack][name] for name, attack in strongest.items() if attack is not None
    }
    controls = dict.fromkeys((UNDEFENDED, *params["gate"]["controls"]))
    for attack, by_defense in cells.items():
        for defense, rows in by_defense.items():
            for against in _references(defense, list(controls), by_defense):
                if _data(params, rows) == _data(params, by_defense[against]):
                    yield _Pair(attack, defense, against, rows, by_defense[against])
    rows = cells[WORST].get(AUDITED, [])
    if rows and (floor := floor_on(params, _data(params, rows))):
        yield _Pair(WORST, AUDITED, FLOOR, rows, floor)


def _sides(params: Mapping[str, Any], pair: _Pair, difference: float) -> tuple[Side, Side]:
    ours, theirs = (
        str(params["attack_runs"][rows[0]]["attack"]) for rows in (pair.rows, pair.others)
    )
    worst = pair.attack == WORST
    return (
        Side(pair.defense, ours, worst=worst, lower=difference <= 0),
        Side(pair.against, theirs, worst=worst, lower=difference >= 0),
    )


def _data(params: Mapping[str, Any], rows: Sequence[str]) -> str:
    return str(params["attack_runs"][rows[0]]["data"])


def _references(defense: str, controls: Sequence[str], there: Collection[str]) -> list[str]:
    """What a defence is held against, on its own data and architecture: `mid@digits` has those.

    A control is compared with those before it alone. An audited model has an architecture that no
    network of the project has, so it is held against a control of any.
    """
    name, at, setting = defense.partition("@")
    if name == AUDITED:
        return [other for other in there if other.partition("@")[0] in controls]
    before = controls[: controls.index(name)] if name in controls else controls
    own = [control + at + setting for control in before]
    return [control for control in own if control in there]


def _paired(
    pair: _Pair,
    attack_runs: Attacks,
    shares: Mapping[str, Shares],
    judges: Mapping[str, tuple[str, ...]],
) -> _Paired | None:
    """None: no seed or person is common to both, or others judged them."""
    ours, theirs = (
        {attack_runs[row].seed: row for row in rows if row in shares}
        for rows in (pair.rows, pair.others)
    )
    seeds = [
        seed
        for seed in sorted(ours.keys() & theirs.keys())
        if judges[ours[seed]] == judges[theirs[seed]]
    ]
    runs = [(shares[ours[seed]], shares[theirs[seed]]) for seed in seeds]
    people = sorted(set.intersection(*(set(one) for run in runs for one in run))) if runs else []
    if not people:
        return None
    grid = [[mine[person] - other[person] for person in people] for mine, other in runs]
    return _Paired(tuple(seeds), np.array(grid, dtype=np.float64))


def _parted(
    found: Sequence[tuple[_Pair, _Paired]], apart: Callable[[tuple[_Pair, _Paired]], bool]
) -> tuple[list[tuple[_Pair, _Paired]], list[tuple[_Pair, _Paired]]]:
    return [one for one in found if apart(one)], [one for one in found if not apart(one)]


def _enough(paired: _Paired) -> bool:
    return len(paired.seeds) >= tests.LEAST_SEEDS


def _runs(pair: _Pair) -> tuple[str, ...]:
    return (*pair.rows, "against", *pair.others)


def _tested(
    found: Sequence[tuple[_Pair, _Paired]], test: Callable[[_Paired], _Test]
) -> dict[tuple[str, ...], Tested]:
    """By pair of runs: the test, with Holm's correction over all of `found`."""
    made = {_runs(pair): test(paired) for pair, paired in found}
    corrected = tests.holm([one.p for one in made.values()])
    return {
        runs: Tested(
            interval=one.interval,
            p=one.p,
            p_holm=p_holm,
            detectable=one.detectable,
            verdict=tests.verdict(float(one.differences.mean()), p_holm),
        )
        for (runs, one), p_holm in zip(made.items(), corrected, strict=True)
    }


def _over_people(paired: _Paired) -> _Test:
    by_person = paired.grid.mean(axis=0)
    interval = intervals.of_mean(by_person, np.arange(len(by_person)))
    found = tests.detectable(by_person) if tests.can_find(len(by_person)) else None
    return _Test(by_person, interval, tests.sign_flip_p(by_person), found)


def _over_seeds(paired: _Paired) -> _Test:
    by_seed = paired.grid.mean(axis=1)
    interval, found = intervals.over_seeds(by_seed.tolist()), tests.detectable(by_seed)
    return _Test(by_seed, interval, tests.paired_t_p(by_seed), found)


def _comparison(
    measure: Measure, pair: _Pair, paired: _Paired, within: Tested, over: Tested | None
) -> Comparison:
    return Comparison(
        measure=measure,
        attack=pair.attack,
        defense=pair.defense,
        against=pair.against,
        difference=float(paired.grid.mean()),
        seeds=paired.seeds,
        identities=paired.grid.shape[1],
        these_targets=within,
        over_seeds=over,
        verdict="cannot tell" if over is None else over.verdict,
        reason=_reason(len(paired.seeds), within, over),
    )


def _reason(seeds: int, within: Tested, over: Tested | None) -> str:
    """Why the verdict is what it is, in one line."""
    if over is None:
        return (
            f"{seeds} of the {tests.LEAST_SEEDS} seeds that a verdict needs; these trained targets "
            f"alone: {within.verdict}, p {within.p_holm:.2g}"
        )
    if over.verdict != "cannot tell":
        return f"p {over.p_holm:.2g} over {seeds} seeds"
    least = "" if over.detectable is None else f"; it would find {over.detectable:.3f}"
    return f"p {over.p_holm:.2g} over {seeds} seeds{least}"
