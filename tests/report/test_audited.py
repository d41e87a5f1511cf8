"""The first screen of an audit: the verdict, who gets what, how surely, and of whom most."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from importlib import import_module
from typing import Any

import pytest

import fake_study
from fake_report import read
from trapmid import wiring
from trapmid.metrics.statistics.intervals import Interval
from trapmid.report.blocks import Note
from trapmid.report.findings import Findings
from trapmid.report.people import Exposed, Person
from trapmid.report.sections import audited, verdict

PEOPLE = (
    Person("ada", 0, 4, None, 5, 20),
    Person("b*b", 1, 1, None, 5, 8),
    Person("cy", 2, 0, None, 5, 9),
)


def rates(aa1: float, low: float, high: float) -> dict[str, Any]:
    ends = {"low": low, "high": high, "kind": "identities"}
    return {"aa1": aa1, "intervals": {"aa1": ends}}  # without judges there is no key of them


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Findings:
    """A study in which Trap-MID is called the audited model."""
    root = tmp_path_factory.mktemp("audit")
    study = fake_study.write(root)
    inputs, metrics = read(root, study)
    for row, block in study["targets"].items():
        block["defense"] = "audited" if row.startswith("trapmid-") else block["defense"]
    return Findings(inputs=inputs, metrics=metrics, pictures={}, exposed={})


def audit(found: Findings, *, aa1: float, low: float, control: bool = True) -> Findings:
    """The same with these numbers of PLG-MI, less for other attacks, and a floor of 3 to 9 %."""
    metrics = json.loads(json.dumps(found.metrics))
    worst = {"attack": "plgmi", "aa1": aa1, "failed": [], "attacks": 3}
    metrics["worst"]["audited"] = worst
    metrics["targets"]["audited"] = metrics["targets"]["none"]
    for attack, own in {
        "gmi": rates(aa1 / 2, 0.0, 1.0),
        "plgmi": rates(aa1, low, 0.9),
        "brepmi": rates(0.2, 0.1, 0.31),
    }.items():
        metrics["attacks"].setdefault(attack, {})["audited"] = own
    metrics["references"] |= {"floor": rates(0.06, 0.03, 0.09), "ceiling": rates(0.97, 0.9, 1.0)}
    metrics["checks"]["positive_control"] = control
    exposed = {"audited": Exposed("plgmi", PEOPLE, PEOPLE)}
    return Findings(inputs=found.inputs, metrics=metrics, pictures={}, exposed=exposed)


def front(found: Findings) -> tuple[Note, str]:
    note, lines = audited.front(found)
    assert isinstance(note, Note) and isinstance(lines, str)
    return note, lines


def test_every_question_has_a_line(found: Findings) -> None:
    _, text = front(audit(found, aa1=0.6, low=0.5))
    lines = text.splitlines()
    assert lines[1].startswith(
        "- **Whoever has the model's file** gets AA-1 **60.0 %** (95 % interval 50.0 to 90.0 %) by "
        "PLG-MI, which trains its generator"
    )
    assert lines[2].startswith(
        "- **Whoever sees its labels alone** gets AA-1 **20.0 %** (95 % interval 10.0 to 31.0 %) "
        "by BREP-MI."
    )
    assert (
        "random faces, for which nobody asks a model, get 6.0 %; the real test images of"
        in lines[3]
    )
    assert "get 97.0 %, and all judges agree on 94.0 % of them." in lines[3]
    assert (
        "2 of 3 people" in lines[4]
        and "by PLG-MI (by chance 0.7), most often ada (4 of 5), b\\*b (1 of 5) (" in lines[4]
    )
    controls = lines[5:]
    assert len(controls) == len(found.targets) - 1
    assert all(line.startswith("- **The control**") for line in controls)


def test_which_model_is_said(found: Findings) -> None:
    given = audit(found, aa1=0.6, low=0.5)
    _, text = front(given)
    assert text.splitlines()[0] == (
        "- **Which model**: 20 people, images of 32 pixels. Evaluator and control learnt 8 to 20 "
        "(9 in the middle) images of each. Of test images the evaluator names 97.0 % rightly, the "
        "model, which may have learnt them, 95.5 %."
    )
    given.exposed["audited"] = Exposed("plgmi", PEOPLE[:1], PEOPLE)
    given.params["audit"] = {"sha256": "0123456789ab" + 52 * "c", "left_out": 0, "dropped": 0}
    given.params["data"]["faces"]["min_images"] = 6
    dropped = (
        "The model knows 2 of them: these outputs are dropped, and where it would name such a "
        "person, attacks hear of the next. "
    )
    for counts, words in (
        ((0, 0), ""),
        ((3, 0), "Left out: 3 with under 6 images. "),
        ((3, 2), f"Left out: 3 with under 6 images. {dropped}"),
    ):
        given.params["audit"] |= dict(zip(("left_out", "dropped"), counts, strict=True))
        _, text = front(given)
        assert text.startswith(
            "- **Which model**: SHA-256 0123456789ab…, 20 people, images of 32 pixels. "
            f"{words}Evaluator and control learnt 20 images of each. "
        )
    del given.params["audit"]
    assert "features" not in text
    given.params["attacks"]["lomma"] = {"feature_weight": 0.0}
    assert "It returns no features, so LOMMA gets less of it" in front(given)[1]
    del given.params["attacks"]["lomma"]


@pytest.mark.parametrize(
    ("aa1", "low", "control", "kind", "words"),
    [
        (0.6, 0.5, True, "caution", "The evaluator recognises the model's people, and no judge"),
        (
            0.6,
            0.5,
            False,
            "caution",
            ": the evaluator recognises 60.0 % of the images of PLG-MI (95 % interval 50.0 to 90.0 "
            "%), of random faces 6.0 % (95 % interval up to 9.0 %).",
        ),
        (0.1, 0.05, True, "warning", "**Cannot tell whether these attacks got more than random"),
        (0.05, 0.02, True, "warning", "**These attacks got no more out of the model than random"),
        (0.1, 0.05, False, "warning", "shows nothing about the model"),
    ],
)
def test_the_verdict(
    found: Findings, aa1: float, low: float, control: bool, kind: str, words: str
) -> None:
    note, _ = front(audit(found, aa1=aa1, low=low, control=control))
    assert note.kind == kind and words in note.text


def with_judges(found: Findings, shares: dict[str, tuple[float, float, float]]) -> Findings:
    """The same where all judges agree on so much, with these ends of the interval; by attack."""
    metrics = found.metrics
    means = {a: metrics["attacks"][a]["audited"] for a in shares if a != "floor"}
    for attack, (share, low, high) in shares.items():
        own = means.get(attack, metrics["references"]["floor"])
        own["judges"] = {"agree": share}
        own["intervals"]["judges.agree"] = {"low": low, "high": high, "kind": "identities"}
    return found


FLOOR = (0.008, 0.0, 0.046)


def test_of_whom_judges_grant_an_image_is_said(found: Findings) -> None:
    judged = (Person("ada", 0, 4, 2, 5), Person("b*b", 1, 1, 0, 5), Person("cy", 2, 0, 0, 5))
    given = audit(found, aa1=0.6, low=0.5)
    overall = (judged[0]._replace(n=16), judged[1]._replace(n=16, agreed=1), judged[2])
    given.exposed["audited"] = Exposed("plgmi", judged, overall)
    _, text = front(given)
    assert (
        "2 of 3 people are recognised in an image or more by PLG-MI (by chance 0.7), 1 of them by "
        "all judges, most often ada (4 of 5, 2 by all judges), b\\*b (1 of 5) (" in text
    )
    # Blind guesses among 20 people: 1 - 0.95 ** 16 is 0.56, 1 - 0.95 ** 5 is 0.23
    assert "By any of the 3 attacks it is 2 of 3 (by chance 1.3), 2 of them by all judges. " in text


def test_what_a_second_evaluator_recognises_is_said(found: Findings) -> None:
    given = audit(found, aa1=0.6, low=0.5)
    _, text = front(given)
    assert "second evaluator" not in text
    scores = dict(found.inputs.attack_runs)
    for row in found.attack_runs["plgmi", "audited"]:
        own = scores[row].judges
        assert own is not None
        missed = replace(own.disagreement["verifier"], false_positive_share=0.125)
        judges = replace(
            own, second_aa1=0.85, disagreement=own.disagreement | {"second_evaluator": missed}
        )
        ends = {"judges.second_aa1": Interval(low=0.8, high=0.9, kind="identities", n=20)}
        within = scores[row].intervals | ends
        scores[row] = replace(scores[row], judges=judges, intervals=within)
    _, text = front(replace(given, inputs=replace(found.inputs, attack_runs=scores)))
    (line,) = (one for one in text.splitlines() if "second evaluator" in one)
    assert line.startswith(
        "- **A second evaluator**, another network that learnt the same people, recognises 85.0 % "
        "of the images of PLG-MI ("
    )
    assert "), not 12.5 % of the first one's hits. It may be fooled" in line


def compared(measure: str, verdict: str, difference: float, **changes: Any) -> dict[str, Any]:
    """A worst case of the audited model against a control, as metrics.json has it."""
    ends = {"low": difference - 0.1, "high": difference + 0.1}
    within = {"verdict": verdict, "interval": ends}
    one = {"measure": measure, "attack": "worst case", "defense": "audited", "identities": 3}
    return one | {"against": "none@a", "difference": difference, "these_targets": within} | changes


def test_it_is_held_against_the_control(found: Findings) -> None:
    given = audit(found, aa1=0.6, low=0.5)
    _, text = front(given)
    assert "More than the control" not in text
    others = [{"attack": "gmi"}, {"defense": "none@b", "against": "none@a"}]
    given.metrics["comparisons"] = [
        compared("aa1", "lower", -0.2),
        *(compared("aa1", "higher", 0.9, **other) for other in others),
        compared("agree", "cannot tell", 0.05),
        compared("aa1", "higher", 0.5, against="none@c", identities=2),
    ]
    _, text = front(given)
    first, second = text.splitlines()[-2:]
    assert first == (
        "- **More than the control?** Against “No defence (a)”, person by person, each under the "
        "attack that got most of it: **less** by AA-1 (−20.0 points, 95 % interval −30.0 to "
        "−10.0, 3 people); **cannot tell** by what all judges agree on (+5.0 points, 95 % interval "
        "−5.0 to +15.0, 3 people). That holds for these two trained networks, whose architectures "
        "may differ: it says nothing of another training, nor what a difference comes from "
        "([attack by attack](#comparisons))."
    )
    assert "Against “No defence (c)”" in second and "**more** by AA-1 (+50.0 points" in second
    given.metrics["comparisons"][0]["these_targets"]["interval"] = None
    _, text = front(given)
    assert "**less** by AA-1 (−20.0 points, 3 people)" in text
    given.metrics["comparisons"][0]["doubted"] = ["target_agreement"]
    _, text = front(given)
    assert "3 people; no verdict, since a check failed: target agreement)" in text


def against_random(measure: str, verdict: str, difference: float) -> dict[str, Any]:
    return compared(measure, verdict, difference, against="random", identities=24)


def test_people_in_pairs_tell_what_two_intervals_cannot(found: Findings) -> None:
    """And the reverse: intervals that do not meet are no verdict where the pairs have none."""
    given = audit(found, aa1=0.1, low=0.05)
    given.metrics["comparisons"] = [against_random("aa1", "higher", 0.04)]
    note, text = front(given)
    assert note.kind == "caution" and "The evaluator recognises the model's people" in note.text
    assert "More than the control" not in text
    given = audit(found, aa1=0.6, low=0.5)
    given.metrics["comparisons"] = [against_random("aa1", "cannot tell", 0.54)]
    assert "**Cannot tell whether these attacks got more" in front(given)[0].text
    seen = {"plgmi": (0.1, 0.02, 0.2), "floor": FLOOR}
    given = with_judges(audit(found, aa1=0.6, low=0.5), seen)
    given.metrics["comparisons"] = [
        against_random("aa1", "higher", 0.54),
        against_random("agree", "higher", 0.09),
    ]
    assert front(given)[0].text.startswith("**The model gives away what its people look like**")


def test_few_people_whom_no_test_can_tell_apart_have_their_intervals(found: Findings) -> None:
    """Of five, no permutation is rare enough, however far apart model and random faces are."""
    given = audit(found, aa1=0.6, low=0.5)
    for people, kind in ((5, "caution"), (6, "warning")):
        pair = against_random("aa1", "cannot tell", 0.54) | {"identities": people}
        given.metrics["comparisons"] = [pair]
        assert front(given)[0].kind == kind
    given.metrics["comparisons"] = [pair | {"identities": 5, "doubted": ["every_class_attacked"]}]
    assert front(given)[0].kind == "warning"


def test_judges_that_failed_a_check_are_named_where_they_leave_it_open(found: Findings) -> None:
    """They agree on far more than of random faces, and are not to be believed."""
    seen = {"gmi": (0.3, 0.2, 0.4), "plgmi": (0.1, 0.04, 0.2), "floor": FLOOR}
    given = with_judges(audit(found, aa1=0.6, low=0.5), seen)
    given.metrics["comparisons"] = [
        against_random("aa1", "higher", 0.54),
        against_random("agree", "cannot tell", 0.3) | {"doubted": ["blank_images_refused"]},
    ]
    doubt = {("gmi", "audited"): ["blank_images_refused"]}
    given.__dict__["judged_in_doubt"] = doubt
    note, text = front(given)
    why = "recognises them, but a check of the judges failed (blank images refused), so what all"
    assert note.kind == "warning" and why in note.text
    assert "agree on says little. The evaluator recognises 60.0 % of the images" in note.text
    assert "all judges agree on 30.0 %‡ of the images of GMI" in note.text
    assert "At worst, all judges agree on 30.0 %‡ (GMI" in text


def broken(found: Findings, attacks: Iterable[str]) -> Findings:
    """The same where these attacks on the model did not reach what they asked for."""
    scores = dict(found.inputs.attack_runs)
    for attack in attacks:
        for row in found.attack_runs[attack, "audited"]:
            failed = scores[row].checks | {"target_agreement": False}
            scores[row] = replace(scores[row], checks=failed)
    return replace(found, inputs=replace(found.inputs, attack_runs=scores))


def test_searches_that_broke_on_the_model_show_nothing_of_it(found: Findings) -> None:
    """All that had the file; where one of them worked, its number stands."""
    own = {attack for attack, defense in found.attack_runs if defense == "audited"}
    low = audit(found, aa1=0.05, low=0.02)
    note, _ = front(broken(low, own))
    assert note.text.startswith(
        "**This audit shows nothing about whoever has the model's file**: every attack with it "
        "failed a check (target agreement). **These attacks got no more"
    )
    assert front(broken(low, own - {"gmi"}))[0].text.startswith("**These attacks got no more")


def test_every_number_of_an_attack_that_broke_has_its_star(found: Findings) -> None:
    seen = {"gmi": (0.3, 0.2, 0.4), "plgmi": (0.1, 0.04, 0.2), "floor": FLOOR}
    given = with_judges(audit(found, aa1=0.6, low=0.5), seen)
    note, text = front(broken(given, ("gmi", "plgmi")))
    assert "all judges agree on 30.0 %\\* of the images of GMI" in note.text
    (line,) = [one for one in text.splitlines() if one.startswith("- **Whoever has the")]
    assert "AA-1 **60.0 %**\\* (" in line and "all judges agree on 30.0 %\\* (GMI," in line
    given = audit(found, aa1=0.6, low=0.5)
    assert "recognises 60.0 %\\* of the images of PLG-MI" in front(broken(given, ["plgmi"]))[0].text


def test_a_model_that_does_not_know_these_people_is_said(found: Findings) -> None:
    given = audit(found, aa1=0.05, low=0.02)
    for accuracy, said in ((0.1, True), (0.6, False)):
        given.metrics["targets"]["audited"] = given.metrics["targets"]["none"] | {
            "test_accuracy": accuracy
        }
        words = (
            "**This audit shows little about the model**: it names only 10.0 % of these people's"
        )
        assert (words in front(given)[0].text) == said


def test_judges_that_see_nobody_leave_the_verdict_open(found: Findings) -> None:
    """AA-1 is far above that of random faces, what all judges agree on is not."""
    seen = {"gmi": (0.017, 0.0, 0.059), "plgmi": (0.01, 0.0, 0.05), "floor": FLOOR}
    note, text = front(with_judges(audit(found, aa1=0.6, low=0.5), seen))
    assert note.kind == "warning" and note.text == (
        "**Cannot tell whether the model gives away what its people look like**: the evaluator "
        "recognises them, but it is not sure that all judges agree on more than of random faces. "
        "The evaluator recognises 60.0 % of the images of PLG-MI (95 % interval 50.0 to 90.0 %), "
        "of random faces 6.0 % (95 % interval "
        "up to 9.0 %); but all judges agree on 1.7 % of the images of GMI (95 % interval 0.0 to "
        "5.9 %), on 0.8 % of random faces (95 % interval up to 4.6 %)."
    )
    assert "by PLG-MI, which trains" in text
    assert "At worst, all judges agree on 1.7 % (GMI, 95 % interval 0.0 to 5.9 %)." in text


def test_looks_are_given_away_where_all_judges_say_so(found: Findings) -> None:
    """By whichever attack, and even where AA-1 is no more than that of random faces."""
    seen = {"gmi": (0.3, 0.2, 0.4), "plgmi": (0.1, 0.04, 0.2), "floor": FLOOR}
    for low in (0.5, 0.05):
        note, _ = front(with_judges(audit(found, aa1=0.6, low=low), seen))
        assert note.kind == "caution" and note.text == (
            "**The model gives away what its people look like**: all judges agree on 30.0 % of the "
            "images of GMI (95 % interval 20.0 to 40.0 %), on 0.8 % of random faces (95 % interval "
            "up to 4.6 %)."
        )


def test_an_evaluator_that_is_not_fooled_either_shows_nothing(found: Findings) -> None:
    seen = {"plgmi": (0.0, 0.0, 0.046), "floor": FLOOR}
    for control, words in ((True, "These attacks got no more"), (False, "shows nothing about")):
        low = audit(found, aa1=0.05, low=0.02, control=control)
        note, _ = front(with_judges(low, seen))
        assert note.kind == "warning" and words in note.text


def test_it_stands_on_the_first_screen_of_audits_alone(found: Findings) -> None:
    told = verdict.front(audit(found, aa1=0.6, low=0.5))
    assert told[0] == "# What does the audited model give away?"
    assert isinstance(told[1], str) and told[1].startswith("An audit, ")
    assert isinstance(told[2], Note) and "evaluator recognises the model's" in told[2].text
    assert not any(isinstance(one, str) and "the strongest of 3 attacks" in one for one in told)


def test_who_sees_labels_alone_is_said_by_the_attacks() -> None:
    """Their classes say it; the report names them, as it loads no attack."""
    kinds = {
        name: import_module(f"trapmid.attacks.{name}").Attack for name in wiring.names("attacks")
    }
    assert tuple(name for name, kind in kinds.items() if kind.label_only) == audited.LABELS_ALONE
