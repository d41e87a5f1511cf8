"""The attacker's side: the worst case, the matrix, and what each attack costs, as tables."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from trapmid.report import names
from trapmid.report.averages import deviation
from trapmid.report.blocks import Line, Table, table
from trapmid.report.findings import Findings
from trapmid.report.groups import families
from trapmid.report.inputs import Inputs
from trapmid.report.marks import Marks, with_names
from trapmid.report.words import mean, present, rate, whole, within
from trapmid.scoring.scores import Count

_SURROGATES = "models/surrogates/"


def worst(metrics: Mapping[str, Any], marks: Marks) -> Table:
    """Per defence: what the attack got that got most, its name and how many seeds it has.

    Last, how many attacks ran: a worst case of few attacks says little. A star marks an attack that
    failed a check, a dagger rates over a part of the people; of several evaluators, all that
    judged attacks on the defence are named.
    """
    heads = (
        *("Defence", "AA-1 (%) ↓", "AA-5 (%) ↓", "n_success / n, mean"),
        *("Attack", "Its seeds", "Attacks that ran"),
    )
    lines = [_worst_line(metrics, marks, defense) for defense in metrics["worst"]]
    return table("lrrrlr", heads, lines)


def _worst_line(metrics: Mapping[str, Any], marks: Marks, defense: str) -> Line:
    strongest = metrics["worst"][defense]
    attack, ran = strongest["attack"], _that_ran(strongest, marks, defense)
    if attack is None:
        return Line((names.defense(defense), *["–"] * 5, ran))
    scores, dagger = metrics["attacks"][attack][defense], marks.dagger(attack, defense)
    name = names.attack(attack) + "*" * (attack in strongest["failed"])
    entries = (
        names.defense(defense),
        _over_seeds(metrics, attack, defense) + dagger,
        rate(strongest["aa5"], 1) + dagger,
        f"{whole(scores['n_success'])} / {whole(scores['n'])}",
        with_names(name, marks.judges(attack, defense)),
        str(len(_values(metrics, attack, defense))),
        ran,
    )
    return Line(entries)


def _that_ran(strongest: Mapping[str, Any], marks: Marks, defense: str) -> str:
    """How many attacks ran, how many of them failed a check, and who judged if there were two."""
    failed, judges = len(strongest["failed"]), marks.judges_of(defense)
    notes = [f"{failed} failed"] * bool(failed)
    notes += [f"judged by {', '.join(judges)}"] * (len(judges) > 1)
    return with_names(str(strongest["attacks"]), "; ".join(notes))


def matrix(metrics: Mapping[str, Any], marks: Marks) -> Table:
    """Per defence AA-1 of every attack, in the order of `metrics["attacks"]`.

    Several seeds show as mean ± population deviation, one with its interval; the worst case is in
    square brackets, and a star marks an attack that failed a check, a dagger one on a part of the
    people. Of several evaluators the name stands with the defence, the attack or the number.
    """
    attacks, named = metrics["attacks"], marks.named()
    lines = [
        Line(
            (
                named.defenses.get(defense, names.defense(defense)),
                *(_matrix_cell(metrics, marks, attack, defense) for attack in attacks),
            )
        )
        for defense in metrics["worst"]
    ]
    heads = (named.attacks.get(attack, names.attack(attack)) for attack in attacks)
    return table("lr", ("Defence", *heads), lines)


def _matrix_cell(metrics: Mapping[str, Any], marks: Marks, attack: str, defense: str) -> str:
    if defense not in metrics["attacks"][attack]:
        return "–"
    text = _over_seeds(metrics, attack, defense) + marks.behind(attack, defense)
    shown = f"[{text}]" if attack == metrics["worst"][defense]["attack"] else text
    return with_names(shown, marks.named().cells.get((attack, defense), ""))


def costs(inputs: Inputs) -> Table:
    """Per attack: seconds of the search, of its own prior, and of the surrogates it asks.

    A mean over the attack's rows. A public prior serves every attack and is not counted, nor are
    signatures, which nobody times; what several attacks of one target share counts in each of them.
    """
    found: dict[str, list[list[float]]] = {}
    for row, attack_run in inputs.params["attack_runs"].items():
        seconds = _seconds(inputs, row)
        found.setdefault(attack_run["attack"], []).append([*seconds, math.fsum(seconds)])
    lines = [
        Line((names.attack(attack), *(f"{mean(column):.1f}" for column in zip(*rows, strict=True))))
        for attack, rows in found.items()
    ]
    heads = ("Attack", "Search (s)", "Its prior (s)", "Surrogates (s)", "All (s)")
    return table("lr", heads, lines)


def _seconds(inputs: Inputs, row: str) -> list[float]:
    """Of one attack run: its search, its guided prior, and every surrogate that either asked."""
    attack_run, stats = inputs.params["attack_runs"][row], inputs.stats
    kind, _, prior = attack_run["prior"].removeprefix("models/priors/").partition("/")
    asking = (
        [attack_run, inputs.params["guided_priors"][prior]] if kind == "guided" else [attack_run]
    )
    helpers = {
        _surrogate(block[key]) for block in asking for key in ("queried_model", "side_information")
    }
    return [
        float(stats["attack_runs"][row]["seconds"]),
        float(stats["guided_priors"][prior]["seconds"]) if kind == "guided" else 0.0,
        math.fsum(float(stats["surrogates"][name]["seconds"]) for name in helpers if name),
    ]


def counts(found: Findings) -> Table:
    """Per attack and defence that counted something, as label-only attacks do.

    Coverage, images left out by design, all images asked about, and of every count the mean of one
    reconstruction and the largest; means over seeds.
    """
    heads = (
        *("Attack", "Defence", "Coverage (%)", "Left out"),
        *("Images asked about", "Of one reconstruction"),
    )
    lines = [
        _counted(found.inputs, attack, defense, rows)
        for (attack, defense), rows in found.attack_runs.items()
        if found.inputs.attack_runs[rows[0]].counts
    ]
    return table("llr", heads, lines)


def _counted(inputs: Inputs, attack: str, defense: str, rows: Sequence[str]) -> Line:
    scores = [inputs.attack_runs[row] for row in rows]
    numbers = {name: [one.counts[name] for one in scores] for name in scores[0].counts}
    counted = (f"{name.replace('_', ' ')} {_told(of_seeds)}" for name, of_seeds in numbers.items())
    entries = (
        names.attack(attack),
        names.defense(defense),
        rate(mean([one.coverage for one in scores]), 1),
        whole(mean([float(one.left_out) for one in scores])),
        whole(mean([inputs.stats["attack_runs"][row].get("queries") for row in rows])),
        "; ".join(counted),
    )
    return Line(entries)


def _told(of_seeds: Sequence[Count]) -> str:
    """Mean and largest of one count; of shares, as PPA's confidence, three digits."""
    average, most = mean([one.mean for one in of_seeds]), max(one.max for one in of_seeds)
    if not most.is_integer():
        return f"{average:.3f} (at most {most:.3f})"
    return f"{average:,.1f} (at most {most:,.0f})"


def stand_ins(found: Findings) -> Table:
    """Per attack and defence whose search asked a stand-in or students: what these know.

    The row of `surrogates` that was asked, without its seed; means over seeds. The accuracy is of
    what was asked instead of the target alone.
    """
    heads = (
        *("Attack", "Defence", "Asks", "Its test acc (%)"),
        *("Its trapdoor success (%)", "Names public images as the target (%)"),
        *("It accepts (%)", "The target accepts (%)"),
    )
    lines = [
        _stood_in(found.inputs, attack, defense, rows)
        for (attack, defense), rows in found.attack_runs.items()
        if any(found.inputs.attack_runs[row].stand_in_agreement is not None for row in rows)
    ]
    return table("lllr", heads, lines)


def _stood_in(inputs: Inputs, attack: str, defense: str, rows: Sequence[str]) -> Line:
    scores = [inputs.attack_runs[row] for row in rows]
    left = [one.stand_in for one in scores if one.stand_in is not None]
    key = "queried_model" if left else "side_information"
    surrogates = [str(_surrogate(inputs.params["attack_runs"][row][key])) for row in rows]
    columns: tuple[list[float | None], ...] = (
        [one.test_accuracy for one in left],
        [one.trapdoor_success for one in left],
        [one.stand_in_agreement for one in scores],
        [one.queried_agreement for one in scores],
        [one.target_agreement for one in scores],
    )
    asked = ", ".join(families(inputs.params["surrogates"], surrogates))
    heads = (names.attack(attack), names.defense(defense), asked)
    return Line((*heads, *(rate(mean(column), 1) for column in columns)))


def _over_seeds(metrics: Mapping[str, Any], attack: str, defense: str) -> str:
    """AA-1 in percent; ± the population deviation over several seeds, the interval of one."""
    means = metrics["attacks"][attack][defense]
    text, values = rate(means["aa1"], 1), _values(metrics, attack, defense)
    if len(values) > 1:
        return f"{text} ± {rate(deviation(values).population, 1)}"
    return within(text, means.get("intervals", {}).get("aa1"))


def _values(metrics: Mapping[str, Any], attack: str, defense: str) -> Sequence[float]:
    return present(list(metrics["spread"]["attacks"][attack][defense]["aa1"]["values"].values()))


def _surrogate(path: str) -> str | None:
    """The row of `surrogates` that a folder or file belongs to."""
    return path.removeprefix(_SURROGATES).split("/")[0] if path.startswith(_SURROGATES) else None
