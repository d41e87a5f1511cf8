"""The first screen of an audit: what the model gives away, to whom, how surely, of whom most."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from trapmid.config.evaluation import AUDITED, FLOOR, STRANGER
from trapmid.metrics.statistics.comparisons import can_find
from trapmid.report import names, stars
from trapmid.report.blocks import Block, Note
from trapmid.report.differences import WORST
from trapmid.report.findings import Findings
from trapmid.report.headline import Ends, headlines, interval_of
from trapmid.report.judged import agreed_on_real, measured
from trapmid.report.markdown import escaped
from trapmid.report.sections import against_control, hits, of_whom, which_model
from trapmid.report.words import percent
from trapmid.report.worst import agreed, greatest, most_agreed
from trapmid.scoring.means import Measure

LABELS_ALONE = ("brepmi",)
"""Methods of attacks that see no more of the model than what it names."""
_AGREE = "judges.agree"
_POSITIVE = "positive_control"
_LEAKS = "**The model gives away what its people look like**"
_RECOGNISED = (
    "**The evaluator recognises the model's people, and no judge of another kind was asked**"
)
_FOOLED = (
    "**Cannot tell whether the model gives away what its people look like**: the evaluator "
    "recognises them, but {why}"
)
_UNSEEN = "it is not sure that all judges agree on more than of random faces"
_DOUBTED = "a check of the judges failed ({checks}), so what all agree on says little"
_NOTHING = (
    "**This audit shows nothing about the model**: the attacks fail on the control, too, or none "
    "ran."
)
_UNSURE = "**Cannot tell whether these attacks got more than random faces do out of the model**"
_UNSHOWN = "**These attacks got no more out of the model than random faces get**"
_MORE = "More people, or more images of each, would tell."
_NO_PROOF = (
    "That is no proof that nobody can: other attackers have more images, other priors and more "
    "time."
)
_BROKEN = (
    "**This audit shows nothing about whoever has the model's file**: every attack with it failed "
    "a check ({checks})."
)
_STRANGER = (
    "**This audit shows little about the model**: it names only {share} of these people's test "
    "images, as one that learnt others does. Are they cut as it got them, and its outputs in the "
    "order of the names?"
)


def is_audit(found: Findings) -> bool:
    """Whether the study is one of `trapmid audit`."""
    return AUDITED in found.targets


def front(found: Findings) -> list[Block]:
    """The verdict, what was audited, then an answer to each question, a line each."""
    lines = [
        which_model.line(found),
        _to("Whoever has the model's file", _of_kind(found, labels_alone=False), found),
        _to("Whoever sees its labels alone", _of_kind(found, labels_alone=True), found),
        _second(found),
        _scale(found),
        of_whom.line(found),
        *_controls(found),
        *against_control.lines(found.metrics),
    ]
    return [_verdict(found), "\n".join(f"- {line}" for line in lines if line)]


def _of_kind(found: Findings, *, labels_alone: bool) -> dict[str, Mapping[str, Any]]:
    """The attacks of one kind on the audited model, with their means."""
    return {
        attack: groups[AUDITED]
        for attack, groups in found.metrics["attacks"].items()
        if AUDITED in groups and (attack in _label_only(found)) == labels_alone
    }


def _label_only(found: Findings) -> set[str]:
    """Attacks by their names in tables, variants of a method included."""
    rows = found.params["attack_runs"].values()
    return {str(row["attack"]) for row in rows if row["method"] in LABELS_ALONE}


def _verdict(found: Findings) -> Note:
    """Whether an attack surely got more than random faces get.

    An evaluator names somebody for every image, so where judges have a voice it takes all of them.
    What the evaluator alone recognises may be an image that fools it.
    """
    recognised, granted = _recognised(found), _granted(found)
    if granted is not None and granted.above:
        return Note("caution", f"{_LEAKS}: {granted.words}.")
    if recognised is not None and recognised.above:
        if granted is None:
            return Note("caution", f"{_RECOGNISED}: {recognised.words}.")
        strict = hits.strict(found.inputs.judges[row] for row in hits.named(found))
        checks = ", ".join(name.replace("_", " ") for name in _in_doubt(found, granted.attack))
        why = _DOUBTED.format(checks=checks) if checks else _UNSEEN
        words = f"{_FOOLED.format(why=why)}. {_capital(recognised.words)}; but {granted.words}."
        return Note("warning", " ".join([words, *strict]))
    if recognised is None or not found.metrics["checks"].get(_POSITIVE, True):
        return Note("warning", _NOTHING)
    unsure = recognised.more or (granted is not None and granted.more)
    words = "; ".join(one.words for one in (recognised, granted) if one is not None)
    said, after = (_UNSURE, _MORE) if unsure else (_UNSHOWN, _NO_PROOF)
    return Note("warning", " ".join([*_doubts(found), f"{said}: {words}.", after]))


def _doubts(found: Findings) -> list[str]:
    """Why little that was got says little."""
    cells = stars.failed_cells(found.params, found.inputs.attack_runs)
    failed = [cells.get((attack, AUDITED), set()) for attack in _of_kind(found, labels_alone=False)]
    checks = sorted({name.replace("_", " ") for names in failed for name in names})
    said = [_BROKEN.format(checks=", ".join(checks))] * (bool(failed) and all(failed))
    accuracy = found.metrics["targets"][AUDITED]["test_accuracy"]
    stranger = accuracy is not None and accuracy < STRANGER
    return said + [_STRANGER.format(share=percent(accuracy, 1))] * stranger


class _Held(NamedTuple):
    """A rate of the audited model held against that of random faces."""

    above: bool  # surely more
    more: bool  # more, surely or not
    attack: str
    words: str


def _recognised(found: Findings) -> _Held | None:
    """What the evaluator alone recognises; None: no attack ran."""
    worst = found.metrics["worst"][AUDITED]
    floor = found.metrics["references"]["floor"]
    if worst["aa1"] is None:
        return None
    got, of_floor = interval_of(found.metrics, worst["attack"], AUDITED), _ends(floor, "aa1")
    chance = floor["aa1"] or 0.0
    apart = (worst["aa1"] if got is None else got.low) > (
        chance if of_floor is None else of_floor.high
    )
    return _Held(
        _surely(found, "aa1", apart=apart),
        worst["aa1"] > chance,
        worst["attack"],
        f"the evaluator recognises {percent(worst['aa1'], 1)}"
        f"{_mark(found, worst['attack'])} of the images of {names.attack(worst['attack'])}"
        f"{_between(got)}, of random faces {percent(floor['aa1'], 1)}{_up_to(of_floor)}",
    )


def _granted(found: Findings) -> _Held | None:
    """What all judges agree on; None: no judge has a voice, here or on random faces."""
    attack = most_agreed(found.metrics, AUDITED, found.marks.partial_on(AUDITED))
    share, floor = agreed(found.metrics, attack, AUDITED), found.metrics["references"]["floor"]
    of_random = (floor.get("judges") or {}).get("agree")
    if attack is None or share is None or of_random is None:
        return None
    got = interval_of(found.metrics, attack, AUDITED, _AGREE)
    of_floor = _ends(floor, _AGREE)
    apart = (share if got is None else got.low) > (of_random if of_floor is None else of_floor.high)
    return _Held(
        _surely(found, "agree", apart=apart),
        share > of_random,
        attack,
        f"all judges agree on {percent(share, 1)}{_mark(found, attack, _AGREE)} of the images of "
        f"{names.attack(attack)}{_between(got)}, on {percent(of_random, 1)} of random "
        f"faces{_up_to(of_floor)}",
    )


def _surely(found: Findings, measure: Measure, *, apart: bool) -> bool:
    """Whether more was got than of random faces: person by person, where that was compared.

    Two intervals may meet where the differences of people do not; `apart`: they do not meet. So few
    people that no test of theirs finds anything have the intervals alone.
    """
    for one in found.metrics.get("comparisons", ()):
        pair = (one["attack"], one["defense"], one["against"])
        tested = one.get("doubted") or can_find(one["identities"])
        if tested and pair == (WORST, AUDITED, FLOOR) and one["measure"] == measure:
            return bool(one["these_targets"]["verdict"] == "higher")
    return apart


def _ends(means: Mapping[str, Any], rate: str) -> Ends | None:
    """The interval of a rate of the floor."""
    ends = means.get("intervals", {}).get(rate)
    return None if ends is None else Ends(ends["low"], ends["high"], ends["kind"])


def _between(ends: Ends | None) -> str:
    return "" if ends is None else f" ({ends.words()})"


def _up_to(ends: Ends | None) -> str:
    """The upper end, which is no maximum."""
    return "" if ends is None else f" (95 % interval up to {100 * ends.high:.1f} %)"


def _capital(words: str) -> str:
    return words[0].upper() + words[1:]


def _to(whom: str, own: Mapping[str, Mapping[str, Any]], found: Findings) -> str:
    """What one kind of attacker gets; empty where no such attack ran."""
    partial = found.marks.partial_on(AUDITED)
    attack = greatest({one: means["aa1"] for one, means in own.items()}, partial)
    if attack is None:
        return ""
    means = own[attack]
    shares = {one: agreed(found.metrics, one, AUDITED) for one in own}
    ends = interval_of(found.metrics, attack, AUDITED)
    gloss = "" if attack in _label_only(found) else names.gloss(attack)
    return (
        f"**{whom}** gets AA-1 **{percent(means['aa1'], 1)}**{_mark(found, attack)}"
        + (f" ({ends.words()})" if ends else "")
        + f" by {names.attack(attack)}"
        + (f", which {gloss}" if gloss else "")
        + f".{_agreed(found, greatest(shares, partial, attack))}"
    )


def _agreed(found: Findings, attack: str | None) -> str:
    """The most that all judges agree on, by whichever attack of the kind."""
    if attack is None:
        return ""
    share = percent(agreed(found.metrics, attack, AUDITED), 1)
    ends = interval_of(found.metrics, attack, AUDITED, _AGREE)
    between = "" if ends is None else f", {ends.words()}"
    mark = _mark(found, attack, _AGREE)
    return f" At worst, all judges agree on {share}{mark} ({names.attack(attack)}{between})."


def _mark(found: Findings, attack: str, rate: str = "aa1") -> str:
    """What stands behind a number of an attack on the model: Markdown."""
    mark = escaped(found.marks.behind(attack, AUDITED))
    return mark + stars.JUDGES * (rate == _AGREE and bool(_in_doubt(found, attack)))


def _in_doubt(found: Findings, attack: str) -> list[str]:
    """The checks that failed of the judges that were asked about an attack on the model."""
    return found.judged_in_doubt.get((attack, AUDITED), [])


def _second(found: Findings) -> str:
    """What another evaluator makes of the strongest attack's images; empty where none was asked."""
    attack = found.metrics["worst"][AUDITED]["attack"]
    rows = [found.inputs.attack_runs[row] for row in found.attack_runs.get((attack, AUDITED), ())]
    share = measured(rows, "judges.second_aa1")
    if share.value is None:
        return ""
    missed = measured(rows, f"{hits.SECOND}.false_positive_share").value
    ends = share.interval
    between = "" if ends is None else f" ({Ends(ends.low, ends.high, ends.kind).words()})"
    of_hits = "" if missed is None else f", not {percent(missed, 1)} of the first one's hits"
    return (
        f"**A second evaluator**, another network that learnt the same people, recognises "
        f"{percent(share.value, 1)} of the images of {names.attack(attack)}{between}{of_hits}. It "
        "may be fooled by what fools the first, so it has no voice in what all judges agree on."
    )


def _scale(found: Findings) -> str:
    """The scale on which these numbers stand."""
    ends = found.metrics["references"]
    real = agreed_on_real(found.params, found.inputs.attack_runs)
    granted = "" if real is None else f", and all judges agree on {real.share} of them"
    return (
        f"**The scale**: random faces, for which nobody asks a model, get "
        f"{percent(ends['floor']['aa1'], 1)}; the real test images of a person get "
        f"{percent(ends['ceiling']['aa1'], 1)}{granted}."
    )


def _controls(found: Findings) -> list[str]:
    """What the same attacks get of a network that was trained here."""
    return [
        f"**The control**, a network that learnt the same people here without a defence: AA-1 "
        f"{percent(one.aa1, 1)}{one.mark} by {names.attack(one.attack)}"
        + (f" ({one.interval.words()})" if one.interval else "")
        + ". Where attacks fail on it, they show nothing about your model."
        for one in headlines(found)
        if one.defense != AUDITED and one.attack is not None
    ]
