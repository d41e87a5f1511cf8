"""What the attacks got: every attack on every defence, the worst case, and all scores."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any

from trapmid.report import names
from trapmid.report.blocks import Block, Fold, Line, Picture, Pictures, Section, Table, table
from trapmid.report.findings import Findings
from trapmid.report.groups import Groups
from trapmid.report.marks import Marks, of_row, with_names
from trapmid.report.sections import attackers
from trapmid.report.sections.likeness import likeness
from trapmid.report.words import plain, rate, spread, whole
from trapmid.scoring.scores import AttackScores, Recognition

TITLE = "Every attack on every defence"

_WORST = (
    "The attacker chooses the attack, so a defence is judged by the strongest one that ran on it. "
    "Fewer attacks can only lower this number, and fewer seeds make it less certain."
)
_MATRIX = (
    "AA-1 in percent, mean ± population deviation over seeds; of one seed, behind it the 95 % "
    "interval over people. In square brackets: the strongest attack on the defence. –: the attack "
    "did not run on it."
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
_BARS = "figures/attacks.png"
_OF_SEEDS = (
    " (of two seeds their range); of several seeds, the bar is their mean and a dot is one seed"
)
_CHARTS = {
    _BARS: "How to read it: a bar is AA-1, its line the 95 % interval{seeds}. Shorter bars are "
    "more private. A defence that works pushes its bars towards the floor.",
    _MATRIX_CHART: "The table as a picture: AA-1 in percent, darker leaks more; the strongest "
    "attack on each defence is framed.",
}
_WITHIN = (
    "Arrows show what a defender wants. A bold line of several seeds shows mean ± population "
    "deviation over seeds (s: sample deviation), and a line per seed follows it. In the line of "
    "one seed, ± is the deviation of that run over its draws of everybody; the paper's appendix "
    "takes it batch by batch of people. "
)


def attacks(found: Findings) -> Section:
    """The matrix, the worst cases, and all scores behind a click."""
    marks = found.marks
    shown, folded = _charts(found, marks)
    blocks: list[Block] = [
        _MATRIX + found.about_star(marks),
        attackers.matrix(found.metrics, marks),
        *marks.notes(),
        *shown,
        "### Worst case",
        _WORST + found.about_star(marks),
        attackers.worst(found.metrics, marks),
        *marks.notes(),
        Fold(
            "All scores: accuracy, AA-5, distances, every seed",
            [
                _about_scores(found.params["evaluation"]) + found.about_star(marks),
                _scores(found, marks),
                *marks.notes(),
            ],
        ),
        *likeness(found),
        *folded,
    ]
    return Section(TITLE, blocks)


def frechet_name(found: Findings) -> str:
    """What the Fréchet distance is called with the features that the study uses."""
    return _FRECHET[found.params["evaluation"]["frechet_features"]]


def _about_scores(evaluation: Mapping[str, Any]) -> str:
    text = (
        f"{_WITHIN}The Fréchet distance is taken over successful reconstructions alone, and not "
        f"computed (–) below {evaluation['frechet_min_success']} of them."
    )
    return text + (_FEATURES if evaluation["frechet_features"] != "inception" else "")


def _charts(found: Findings, marks: Marks) -> tuple[list[Block], list[Block]]:
    """The bars, and behind a click the matrix as a picture."""
    unlike = found.about_marks(marks)
    unlike += " More than one evaluator judged; the matrix names them." if marks.several else ""
    seeds = _OF_SEEDS * (len(found.seeds) > 1)
    seen = {
        path: Picture(path, words.format(seeds=seeds) + unlike)
        for path, words in _CHARTS.items()
        if path in found.pictures
    }
    bars = [Pictures([one]) for path, one in seen.items() if path != _MATRIX_CHART]
    matrix = [Pictures([one]) for path, one in seen.items() if path == _MATRIX_CHART]
    return [*bars], [Fold("The matrix as a picture", matrix)] if matrix else []


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
        (seed, rate(accuracy), *_recognition(one, one.aa1_std, one.aa5_std, of_row(one)))
        for seed, accuracy, one in zip(
            found.seeds_of("attack_runs", rows), accuracies, scores, strict=True
        )
    ]
    heads = (
        names.attack(attack),
        with_names(names.defense(defense), marks.judges(attack, defense)),
    )
    if len(own) == 1:
        return [Line((*heads, *own[0]))]
    mean = Line((*heads, *_mean(accuracies, scores, marks.behind(attack, defense))), "mean")
    return [mean, *(Line(("", "", *entries)) for entries in own)]


def _mean(accuracies: Sequence[float], scores: Sequence[AttackScores], mark: str) -> list[str]:
    hits, made = sum(one.n_success for one in scores), sum(one.n for one in scores)
    return [
        f"mean of {len(scores)}",
        spread(accuracies, rate),
        spread([one.aa1 for one in scores], rate) + mark,
        spread([one.aa5 for one in scores], rate) + mark,
        spread([one.knn_dist for one in scores], plain),
        spread([one.frechet for one in scores], plain),
        f"{whole(hits)} / {whole(made)}",
    ]


def _references(found: Findings, marks: Marks) -> list[Line]:
    sources = {
        "floor": "random latents, public prior",
        "ceiling": "real private test images, everybody counted once",
    }
    references, judges = found.metrics["references"], _judges_of_references(found, marks)
    return [
        Line(
            (
                *(name, with_names(words, ", ".join(judges[name])), "–", "–"),
                *_recognition(_plain(references[name])),
            ),
            "reference",
        )
        for name, words in sources.items()
        if references[name]["aa1"] is not None
    ]


def _judges_of_references(found: Findings, marks: Marks) -> dict[str, Iterable[str]]:
    """Who judged the floor and the ceiling, where a reader has to be told."""
    if not marks.several:
        return {"floor": (), "ceiling": ()}
    groups, attack_runs = Groups.of(found.params), found.inputs.attack_runs
    floor = dict.fromkeys(attack_runs[row].protocol.evaluator for row in groups.floor)
    return {"floor": floor, "ceiling": groups.evaluators}


def _plain(means: Mapping[str, Any]) -> Recognition:
    """What a reference line shows of its means."""
    return Recognition(**{one.name: means.get(one.name, {}) for one in fields(Recognition)})


def _recognition(
    scores: Recognition,
    aa1_std: float | None = None,
    aa5_std: float | None = None,
    mark: str = "",
) -> tuple[str, ...]:
    """AA-1 ... n_success of one row; ± is the paper's deviation inside one run, where known."""
    within = ["" if std is None else f" ± {rate(std)}" for std in (aa1_std, aa5_std)]
    rates = (rate(scores.aa1) + within[0] + mark, rate(scores.aa5) + within[1] + mark)
    share = f"{whole(scores.n_success)} / {whole(scores.n)}"
    return (*rates, plain(scores.knn_dist), plain(scores.frechet), share)
