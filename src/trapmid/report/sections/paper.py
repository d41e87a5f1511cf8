"""The paper's numbers beside ours: a summary in the report, and a page of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import groupby

from trapmid.metrics.statistics.orderings import RankAgreement
from trapmid.report.blocks import Block, Fold, Line, Note, Section, Table, table
from trapmid.report.findings import Findings
from trapmid.report.markdown import escaped
from trapmid.report.published.comparison import STATUSES, Comparison, counts
from trapmid.report.published.orderings import Ordering, orderings
from trapmid.report.published.study import Ours
from trapmid.report.published.tables import Number, PaperTable
from trapmid.report.words import plain

_METRICS = {
    "acc": "accuracy",
    "aa1": "AA-1",
    "aa5": "AA-5",
    "knn_dist": "KNN distance",
    "fid": "FID",
    "nearest_public": "nearest image public",
    "nearest_private": "nearest image private",
    "training_minutes": "training time",
    "facenet_dist": "FaceNet distance",
    "eval_dist": "evaluator distance",
    "improved_precision": "precision",
    "improved_recall": "recall",
    "density": "density",
    "coverage": "coverage",
    "initial_iterations": "initial iterations",
}
_UNITS = {"%": " (%)", "min": " (minutes)", "1": ""}

_STATUSES = (
    "- match: the difference lies within the printed deviation and within our interval, as far as "
    "each is known\n"
    "- differs: the same setting, another number\n"
    "- not comparable: other data, network, evaluator or people; such numbers are no pair, however "
    "close they are\n"
    "- not run: this study has no such row, or does not compute the metric"
)
_ORDERINGS = (
    "Which defence leaks less, and which attack gets more, can be compared even where no number "
    "can. Kendall's tau of AA-1 is 1 where both order alike, −1 where one is the other reversed. "
    "Of five and more that are not all alike, its 95 % interval stands in brackets. p says how "
    "often an agreement or a reversal as strong comes about by chance. Two values always have "
    "p = 1, three at least 0.33, four at least 0.08."
)
_NOT_ONE = (
    "A line is one attack or defence. Lines share their rows, so their p are not independent, and "
    "none is corrected for the number of lines. A study in none of the paper's settings is set "
    "beside each of them."
)
_DEVIATIONS = (
    "± is the paper's own: over its targets, or within one run, over the draws of its batches; the "
    "latter says nothing of another target. In brackets behind our number stands its interval, "
    "from low to high, where one is known. As in the paper, - is no defence."
)
_REPORT = "[The report of this study](report.md)"


def summary(found: Findings) -> Section:
    """For the report: how many numbers agree, how orderings agree, and where the rest is."""
    compared = found.compared
    if not compared:
        return Section("The paper's numbers and ours", [])
    blocks: list[Block] = [
        f"The paper prints {len(compared):,} numbers in {len(_tables(found))} tables.",
        _counted(compared),
        _in_one_sentence(orderings(compared)),
        "[Every number and every ordering](paper.md) has a page of its own.",
    ]
    return Section("The paper's numbers and ours", blocks)


def front(found: Findings) -> list[Block]:
    """The title of the page, and what is compared."""
    title = "# The paper's numbers and ours"
    if not found.compared:
        return [title, Note("warning", "There is no folder reports/paper."), _REPORT]
    about = (
        'Liu and Chen, "Trap-MID: Trapdoor-based Defense against Model Inversion Attacks" '
        f"(NeurIPS 2024), beside the study **{escaped(found.params['profile'])}**. {_REPORT} says "
        "what this study is, and whether its own checks passed."
    )
    return [title, about, _counted(found.compared), _STATUSES, *_why(found.compared)]


def sections(found: Findings) -> list[Section]:
    """Orderings first, then table by table."""
    if not found.compared:
        return []
    by_table = {
        number: list(lines)
        for number, lines in groupby(found.compared, lambda one: one.number.table)
    }
    folds = [_fold(one, by_table[one.table]) for one in _tables(found) if one.table in by_table]
    found_orderings = orderings(found.compared)
    return [
        Section("Orderings", [*_ordered(found_orderings)]),
        Section("Table by table", [_DEVIATIONS, *folds]),
    ]


def _tables(found: Findings) -> Sequence[PaperTable]:
    return found.inputs.published.tables if found.inputs.published else ()


def _counted(compared: Sequence[Comparison]) -> Table:
    lines = [(status, f"{n:,}") for status, n in counts(compared).items()]
    return table("lr", ("Status", "Numbers"), lines)


def _why(compared: Iterable[Comparison]) -> list[Block]:
    """What makes numbers no pair, the most frequent first."""
    reasons = Counter(reason for one in compared for reason in one.why)
    if not reasons:
        return []
    lines = [(reason, f"{count:,}") for reason, count in reasons.most_common()]
    shown = table("pr", ("Not comparable, for", "Numbers"), lines)
    return [Fold("Why numbers are not comparable; one may have several reasons", [shown])]


# --- orderings -----------------------------------------------------------------------------------


def _in_one_sentence(found: Sequence[Ordering]) -> str:
    """How orderings of three or more agree; with fewer there is nothing to agree on."""
    long = [one.agreement.tau for one in found if len(one.names) > 2 and one.agreement]
    if not long:
        return "There is no ordering to compare: no three AA-1 of one line are the paper's, too."
    alike = sum(tau == 1 for tau in long)
    positive = sum(tau > 0 for tau in long)
    return (
        f"Orderings by AA-1 of three or more attacks or defences that both have: {len(long)}. "
        f"Exactly the paper's: {alike}. With Kendall's tau above 0: {positive}."
    )


def _ordered(found: Sequence[Ordering]) -> list[Block]:
    """A table of every published setting."""
    if not found:
        return ["This study and the paper have no attack or defence with two AA-1 in common."]
    blocks: list[Block] = [_in_one_sentence(found), _ORDERINGS]
    for setting, lines in groupby(found, lambda one: one.setting):
        words = f"{setting.architecture}, public images of {setting.public}"
        blocks += [f"### The paper's {words}", _orderings(lines)]
    return [*blocks, _NOT_ONE]


def _orderings(found: Iterable[Ordering]) -> Table:
    heads = ("Of", "tau", "p", "n", "The paper, highest AA-1 first", "This study")
    lines = [
        (
            f"{one.of}: {one.fixed}",
            _tau(one.agreement),
            plain(one.agreement.p) if one.agreement else "–",
            str(len(one.names)),
            ranked(one.names, one.published),
            ranked(one.names, one.ours),
        )
        for one in found
    ]
    return table("lrrrp", heads, lines)


def _tau(agreement: RankAgreement | None) -> str:
    """With its interval where there is one."""
    if agreement is None:
        return "–"
    tau, low, high = agreement.tau, agreement.low, agreement.high
    between = "" if low is None or high is None else f" ({low:+.2f} to {high:+.2f})"
    return f"{tau:+.2f}{between}".replace("-", "−")


def ranked(names: Sequence[str], values: Sequence[float]) -> str:
    """The names by falling value, equal ones joined by =."""
    order = sorted(zip(values, names, strict=True), key=lambda pair: -pair[0])
    groups = groupby(order, key=lambda pair: pair[0])
    return " > ".join(" = ".join(name for _, name in group) for _, group in groups)


# --- tables --------------------------------------------------------------------------------------


def _fold(paper: PaperTable, compared: Sequence[Comparison]) -> Fold:
    found = counts(compared)
    words = ", ".join(f"{found[status]} {status}" for status in STATUSES if found[status])
    about = (
        f"Section {escaped(paper.section)}. The paper's protocol: {escaped(paper.protocol)}. "
        f"Answered by: {escaped(paper.profile)}."
    )
    title = f"Table {paper.table}: {paper.title} ({words})"
    return Fold(title, [about, *_reasons(compared), _numbers(compared)])


def _reasons(compared: Iterable[Comparison]) -> list[Block]:
    found = dict.fromkeys(reason for one in compared for reason in one.why)
    return [f"Not comparable: {escaped('; '.join(found))}."] if found else []


def _numbers(compared: Sequence[Comparison]) -> Table:
    heads = ("Number", "The paper", "Ours", "Difference", "Status")
    lines = [
        Line(cells(one), "mean" if one.status in ("match", "differs") else "") for one in compared
    ]
    return table("prrrl", heads, lines)


def cells(one: Comparison) -> tuple[str, str, str, str, str]:
    """What it is, the paper's number, ours, the difference and the status, in the paper's unit."""
    number = one.number
    metric = _METRICS.get(number.metric, number.metric) + _UNITS[number.unit]
    name = f"{number.row}: {metric}"
    deviation = f" ± {number.deviation}" if number.deviation else ""
    difference = "–" if one.difference is None else _difference(number, one.difference)
    ours = "–" if one.ours is None else _ours(number, one.ours)
    return name, number.value + deviation, ours, difference, one.status


def _ours(number: Number, ours: Ours) -> str:
    text = _shown(number, ours.value)
    if ours.range is None:
        return text
    return f"{text} ({_shown(number, ours.range.low)} to {_shown(number, ours.range.high)})"


def _shown(number: Number, value: float) -> str:
    return f"{value * number.scale:.{max(number.digits, 1)}f}"


def _difference(number: Number, value: float) -> str:
    return f"{value * number.scale:+.{max(number.digits, 1)}f}".replace("-", "−")
