"""Tables of the documents that say what the committed study found say what it found."""

from __future__ import annotations

from pathlib import Path

from trapmid.scoring.means import StudyMeans
from trapmid.scoring.scores import AttackScores, EvaluatorScores, JudgeScores, TargetScores

ROOT = Path(__file__).resolve().parents[1]
STUDY = StudyMeans.read(ROOT / "reports/metrics.json")
NAMES = {
    "none": "no defence",
    "none_aug": "control (augmentation only)",
    "trapmid": "Trap-MID",
}


def cells(file: str, head: str) -> dict[str, list[str]]:
    """The lines of the table that begins with `head`, by their first cell."""
    _, _, after = (ROOT / file).read_text(encoding="utf-8").partition(f"\n{head}")
    assert after, f"{file}: no table begins with {head!r}"
    lines = after.split("\n\n")[0].splitlines()[2:]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {first.strip("`"): rest for first, *rest in rows}


def percent(rate: float, suffix: str = "") -> str:
    return f"{100 * rate:.1f}{suffix}"


def test_how_far_targets_can_be_fooled() -> None:
    written = cells("docs/defenses.md", "| | clean | 1/255 | 2/255 | 4/255 |")
    assert written.keys() == STUDY.targets.keys()
    for name, row in written.items():
        found = TargetScores.read(ROOT, f"{name}-0").robustness
        rates = [found.clean_accuracy, *found.robust_accuracy.values()]
        assert row == [percent(rate) for rate in rates]


def test_how_many_examples_a_signature_notices() -> None:
    far, near = TargetScores.read(ROOT, "trapmid-0").adversarial
    assert (far.norm, near.norm) == ("linf", "l2") and far.every.fpr == near.every.fpr
    assert far.every.recall is not None and near.every.recall is not None
    words = " ".join((ROOT / "docs/defenses.md").read_text("utf-8").split())
    assert (
        f"notices the fall: {percent(far.every.recall)} % of the examples at L∞ 8/255, and "
        f"{percent(near.every.recall)} % of those at L2 0.5, lie above the threshold, beside "
        f"{percent(far.every.fpr)} % of the images they were made of."
    ) in words


def test_the_first_table_of_the_readme() -> None:
    written = cells("README.md", "| target | test accuracy | trapdoor success |")
    assert [*written] == [NAMES[name] for name in STUDY.targets]
    for name, target in STUDY.targets.items():
        scores = {attack: group.get(name) for attack, group in STUDY.attacks.items()}
        worst, ends = STUDY.worst[name], STUDY.worst[name].intervals["aa1"]
        agreed = [one.judges.agree for one in scores.values() if one and one.judges]
        assert worst.aa1 is not None
        assert written[NAMES[name]] == [
            f"{100 * target.test_accuracy:.3g} %",
            "" if target.trapdoor_success is None else percent(target.trapdoor_success, " %"),
            *(percent(one.aa1, " %") if one else "" for one in scores.values()),
            f"{percent(worst.aa1, ' %')} ({percent(ends.low)} to {percent(ends.high)})",
            percent(max(rate for rate in agreed if rate is not None), " %"),
        ]


def test_how_long_the_attack_is_that_the_readme_shows() -> None:
    words = " ".join((ROOT / "README.md").read_text("utf-8").split())
    lines = len((ROOT / "src/trapmid/attacks/gmi.py").read_text("utf-8").splitlines())
    assert f"(src/trapmid/attacks/gmi.py) is {lines} lines)" in words


def test_what_judges_say_of_every_attack() -> None:
    """The line of real images comes from the scores of evaluators and judges."""
    _, _, after = (
        (ROOT / "docs/judges.md").read_text("utf-8").partition("\n| attack | target | AA-1 |")
    )
    lines = [line.strip("|").split("|") for line in after.split("\n\n")[0].splitlines()[2:]]
    *rows, real = ([cell.strip().strip("`") for cell in line] for line in lines)
    found = {}
    for file in sorted((ROOT / "reports/scores/attack_runs").glob("*.json")):
        one = AttackScores.read(ROOT, file.stem)
        assert one.judges and one.judges.verifier and one.judges.identity
        distance, against = one.judges.identity.distance, one.judges.disagreement["verifier"]
        assert one.judges.agree is not None and one.judges.second_aa1 is not None
        rates = [one.aa1, one.judges.second_aa1, one.judges.verifier.accepted]
        rates += [one.judges.verifier.aa1, one.judges.identity.aa1]
        found[one.attack, one.target.removesuffix("-0")] = [
            *map(percent, rates),
            f"{distance.attacked:.2f} ({distance.others:.2f})",
            percent(one.judges.agree),
            f"{against.false_positives} of {one.n_success}",
        ]
    assert {(attack, target): rest for attack, target, *rest in rows} == found
    first, second = (EvaluatorScores.read(ROOT, name) for name in ("evaluator", "second"))
    verifier, reader = (JudgeScores.read(ROOT, name) for name in ("verifier", "identity"))
    assert verifier.verifier and reader.identity
    rates = [first.ceiling.aa1, second.ceiling.aa1, verifier.verifier.true_accepts]
    rates += [verifier.verifier.aa1, reader.identity.aa1]
    near = reader.identity.distance
    expected = ["real test images", "", *map(percent, rates)]
    assert real[:8] == [*expected, f"{near.attacked:.2f} ({near.others:.2f})"]
