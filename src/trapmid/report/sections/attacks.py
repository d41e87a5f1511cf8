"""What the attacks got: the worst case, every attack on every defence, and all scores."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from trapmid.report.blocks import Block, Line, Picture, Pictures, Section, Table, table
from trapmid.report.findings import Findings
from trapmid.report.groups import Groups
from trapmid.report.markdown import anchor
from trapmid.report.marks import DAGGER, Marks, with_names
from trapmid.report.sections import attackers
from trapmid.report.words import plain, rate, spread, whole
from trapmid.scoring.scores import AttackScores, Recognition

_ATTACKS = "Attacks"

_WORST = (
    "An attacker chooses the attack. So a defence is worth what it keeps from the attack that gets "
    "most out of it, among those that ran here. Fewer attacks can only lower a worst case, and "
    "fewer seeds make it less sure: which ones ran is in "
    f"[the matrix](#{anchor(_ATTACKS)}), where – is an attack that did not."
)
_STAR = (
    "A star: a validity check of this attack on this defence failed, so its number says nothing "
    "about the defence."
)
_MATRIX = (
    "AA-1 in percent, mean ± population deviation over seeds (no ±: one seed); in brackets the "
    "worst case of the defence; – did not run."
)
_COSTS = (
    "Seconds of one attack on one target, a mean over its rows. What several attacks share is "
    "counted in each; the public prior and the taking of signatures are not."
)
_COUNTS = (
    "Coverage is the share of attempted images that the attack has an answer to; the others are "
    "misses. Left out are the images of whole classes that an untargeted attack does not attempt. "
    "Means over seeds."
)
_FEATURES = (
    " It uses the evaluator's features: it has another scale than the Inception-based distance of "
    "the literature and must not be compared with it."
)
_FRECHET = {
    "evaluator": "Fréchet distance (evaluator features)",
    "inception": "FID (Inception features)",
}
"""The distance has another name, and another scale, with other features."""

_MATRIX_CHART = "figures/matrix.png"
_CHARTS = {
    _MATRIX_CHART: "AA-1 in percent; every defence's worst case is framed.",
    "figures/attacks.png": "AA-1 per attack and defence; bars are means, dots are seeds.",
    "figures/trade_off.png": "What protection costs: down and right is better.",
}


def worst_case(found: Findings) -> Section:
    """What the strongest attack got out of every defence."""
    marks = found.marks
    shown = attackers.worst(found.metrics, marks)
    return Section("Worst case", [_starred(found, _WORST), shown, *marks.notes()])


def attacks(found: Findings) -> Section:
    """The matrix, what attacks cost and counted, and all scores."""
    marks = found.marks
    blocks: list[Block] = [
        _about_scores(found.params["evaluation"]),
        "### Every attack on every defence",
        _starred(found, _MATRIX),
        attackers.matrix(found.metrics, marks),
        *marks.notes(),
        *("### What an attack costs", _COSTS, attackers.costs(found.inputs)),
        *_unless_empty(attackers.counts(found), "### What was counted", _COUNTS),
        *_unless_empty(attackers.stand_ins(found), "### What stood in for a target"),
        *("### All scores", _scores(found, marks), *marks.notes(), *_charts(found, marks)),
    ]
    return Section(_ATTACKS, blocks)


def frechet_name(found: Findings) -> str:
    """What the Fréchet distance is called with the features that the study uses."""
    return _FRECHET[found.params["evaluation"]["frechet_features"]]


def _about_scores(evaluation: Mapping[str, Any]) -> str:
    text = (
        "Arrows show what a defender wants. A mean line says mean ± population deviation over "
        "seeds (s sample deviation); a seed's own line gives ± within the run, as the paper's "
        "appendix does. The Fréchet distance is taken over successful reconstructions only, so it "
        f"stands beside their number and is null below {evaluation['frechet_min_success']}."
    )
    return text + (_FEATURES if evaluation["frechet_features"] != "inception" else "")


def _starred(found: Findings, text: str) -> str:
    """The text, and what a star in the table below it means, where there is one."""
    return f"{text} {_STAR}" if found.doubted else text


def _unless_empty(found: Table, *texts: str) -> list[Block]:
    return [] if found.frame.empty else [*texts, found]


def _charts(found: Findings, marks: Marks) -> list[Block]:
    star = " A star: a check of the attack failed." if found.doubted else ""
    captions = _CHARTS | {_MATRIX_CHART: _CHARTS[_MATRIX_CHART] + star}
    unlike = f" {DAGGER}: over a part of the people." if marks.partial else ""
    unlike += " More than one evaluator judged; the matrix names them." if marks.several else ""
    shown = [
        Picture(path, words + unlike) for path, words in captions.items() if path in found.pictures
    ]
    return [Pictures(shown)] if shown else []


# --- all scores ---------------------------------------------------------------------------------


def _scores(found: Findings, marks: Marks) -> Table:
    heads = (
        *("Attack", "Defence", "Seed", "Acc (%) ↑", "AA-1 (%) ↓", "AA-5 (%) ↓"),
        *("KNN Dist ↑", f"{frechet_name(found)} ↑", "n_success / n"),
    )
    lines = [
        line
        for attack, groups in found.metrics["attacks"].items()
        for defense in groups
        for line in _of_attack(found, marks, attack, defense)
    ]
    return table("lllr", heads, [*lines, *_references(found, marks)])


def _of_attack(found: Findings, marks: Marks, attack: str, defense: str) -> list[Line]:
    """The numbers of one attack on one defence: the seed's, or a mean and those of every seed."""
    rows = found.attack_runs[attack, defense]
    scores = [found.inputs.attack_runs[row] for row in rows]
    accuracies = [
        found.inputs.targets[found.params["attack_runs"][row]["target"]].test_accuracy
        for row in rows
    ]
    own = [
        (seed, rate(accuracy), *_recognition(one, one.aa1_std, one.aa5_std))
        for seed, accuracy, one in zip(
            found.seeds_of("attack_runs", rows), accuracies, scores, strict=True
        )
    ]
    names = (
        attack + marks.dagger(attack, defense),
        with_names(defense, marks.judges(attack, defense)),
    )
    if len(own) == 1:
        return [Line((*names, *own[0]), "mean")]
    mean = Line((*names, *_mean(accuracies, scores)), "mean")
    return [mean, *(Line(("", "", *entries)) for entries in own)]


def _mean(accuracies: Sequence[float], scores: Sequence[AttackScores]) -> list[str]:
    hits, made = sum(one.n_success for one in scores), sum(one.n for one in scores)
    return [
        f"mean of {len(scores)}",
        spread(accuracies, rate),
        spread([one.aa1 for one in scores], rate),
        spread([one.aa5 for one in scores], rate),
        spread([one.knn_dist for one in scores], plain),
        spread([one.frechet for one in scores], plain),
        f"{whole(hits)} / {whole(made)}",
    ]


def _references(found: Findings, marks: Marks) -> list[Line]:
    names = {"floor": "random latents, public prior", "ceiling": "real private test images"}
    references, judges = found.metrics["references"], _judges_of_references(found, marks)
    return [
        Line(
            (
                *(name, with_names(words, ", ".join(judges[name])), "–", "–"),
                *_recognition(Recognition(**{"intervals": {}} | references[name])),
            ),
            "reference",
        )
        for name, words in names.items()
        if references[name]["aa1"] is not None
    ]


def _judges_of_references(found: Findings, marks: Marks) -> dict[str, Iterable[str]]:
    """Who judged the floor and the ceiling, where a reader has to be told."""
    if not marks.several:
        return {"floor": (), "ceiling": ()}
    groups, attack_runs = Groups.of(found.params), found.inputs.attack_runs
    floor = dict.fromkeys(attack_runs[row].protocol.evaluator for row in groups.floor)
    return {"floor": floor, "ceiling": groups.evaluators}


def _recognition(
    scores: Recognition, aa1_std: float | None = None, aa5_std: float | None = None
) -> tuple[str, ...]:
    """AA-1 ... n_success of one row; ± is the paper's deviation inside one run, where known."""
    within = ["" if std is None else f" ± {rate(std)}" for std in (aa1_std, aa5_std)]
    rates = (rate(scores.aa1) + within[0], rate(scores.aa5) + within[1])
    share = f"{whole(scores.n_success)} / {whole(scores.n)}"
    return (*rates, plain(scores.knn_dist), plain(scores.frechet), share)
