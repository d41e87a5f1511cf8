"""Judges of a toy study: what they say of real images, of an attack's, and of nobody's."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from painted import (
    ATTACK_RUN,
    CLASSES,
    COLOURS,
    EVALUATION,
    SETUP,
    SIZE,
    Checkpoint,
    crowded,
    faces,
    reconstruction,
)
from scipy.stats import binomtest
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from trapmid.artifacts.judges import (
    LearntFrom,
    LearntFromPublic,
    LoadedJudge,
    Opened,
    Panel,
    Whom,
)
from trapmid.artifacts.lineage import Traced
from trapmid.config.study import AttackRunRow
from trapmid.data.drawing.attributes import GROUPS, binary_attributes
from trapmid.data.drawing.vectors import ATTRIBUTES
from trapmid.metrics.statistics.intervals import of_rate
from trapmid.scoring import references, verdicts
from trapmid.scoring.attack import ScoredAttack, score_attack
from trapmid.scoring.described import Shown
from trapmid.scoring.evidence import AttackedModel, Data, Evidence
from trapmid.scoring.judge import ScoredJudge, score_judge
from trapmid.scoring.judged import Disagreement, RefusedReal
from trapmid.scoring.recognition import Evaluator
from trapmid.scoring.scores import JudgeScores, rounded
from trapmid.types import Judge, Reader, Verifier

WHO = LearntFrom(maker="synthetic", seed=0, first=1000, last=1099)
TRACED = Traced(Path("judge.pt"), "people", None)
UNSEEN = nullcontext()
TRUTH = torch.rand(CLASSES, len(ATTRIBUTES), generator=torch.Generator().manual_seed(0))


class ByColour(Verifier):
    """One axis a person, and one, far out, for colours that are nobody's."""

    def forward(self, images: Tensor) -> Tensor:
        gaps = torch.cdist(images.mean(dim=(2, 3)), COLOURS + 0.05)
        nobody = torch.full((len(images), 1), 0.25)
        shares = (-40 * torch.cat([gaps, nobody], dim=1).square()).softmax(dim=1)
        return shares * torch.tensor([1.0, 1.0, 1.0, 1.0, 3.0])


class TakesFlatForSomebody(ByColour):
    """A plain picture is the first person's."""

    def forward(self, images: Tensor) -> Tensor:
        flat = images.std(dim=(2, 3)).sum(dim=1) < 1e-4
        return torch.where(flat[:, None], torch.eye(CLASSES + 1)[0], super().forward(images))


class OfColour(Reader):
    """Reads the parameters of the person whose colour is the nearest, each a little too high."""

    names = ATTRIBUTES
    groups: ClassVar = GROUPS
    marks = staticmethod(binary_attributes)
    truth = staticmethod(lambda table, people: TRUTH)

    def forward(self, images: Tensor) -> Tensor:
        nearest = torch.cdist(images.mean(dim=(2, 3)), COLOURS + 0.05).argmin(dim=1)
        return TRUTH[nearest] + 0.01


class OfLooks(OfColour):
    """The same, without a voice."""

    votes = False


@pytest.fixture
def people(private: dict[str, Tensor]) -> dict[str, Tensor]:
    return {**private, "identities": torch.arange(1, CLASSES + 1)}


def opened(judge: Judge, who: Whom | None = WHO) -> Opened:
    return Opened(judge.eval(), type(judge).__name__, 8, who)


def scored(judge: Judge, people: Mapping[str, Tensor], who: Whom | None = WHO) -> ScoredJudge:
    truth = TRUTH if isinstance(judge, Reader) else None
    return score_judge("j", opened(judge, who), people, truth, TRACED, SETUP)


def scored_by(
    truth: Tensor, people: Mapping[str, Tensor], judge: Reader | None = None
) -> ScoredJudge:
    """A reader's scores with any truth."""
    return score_judge("j", opened(judge or OfColour(8)), people, truth, TRACED, SETUP)


def loaded(judge: Judge, people: Mapping[str, Tensor]) -> LoadedJudge:
    return LoadedJudge(judge.eval(), scored(judge, people).reference, TRACED)


@pytest.fixture
def panel(people: dict[str, Tensor]) -> Panel:
    return Panel(loaded(ByColour(8), people), loaded(OfColour(8), people))


# --- a judge's own scores -------------------------------------------------------------------------


def test_a_verifier_knows_real_people(people: dict[str, Tensor]) -> None:
    found = scored(ByColour(8), people)
    quality = found.scores.verifier
    assert quality is not None and found.scores.identity is None
    assert (quality.true_accepts, quality.aa1, quality.threshold_split) == (1.0, 1.0, "val")
    assert (quality.n_impostors, quality.n_blanks) == (16 * 3, 4 * CLASSES + CLASSES)
    assert found.reference["test_accepted"].all()
    within = found.scores.intervals
    assert set(within) == {"verifier.true_accepts", "verifier.aa1", "verifier.false_accepts"}
    accepts = within["verifier.false_accepts"]
    assert accepts.low <= quality.false_accepts <= accepts.high
    assert all(one.n == CLASSES for one in within.values())
    assert within["verifier.true_accepts"].high == 1.0
    assert found.scores.checks == {
        "judge_knows_no_private_person": True,
        "blank_images_refused": True,
    }


def test_the_threshold_lets_through_the_share_of_impostors(people: dict[str, Tensor]) -> None:
    """Twelve validation images against three others each: a tenth of 36 is three."""
    reference = scored(ByColour(8), people).reference
    embeddings = ByColour(8)(people["val_images"] / 255).double()
    gaps = [
        float((one - template).norm())
        for one, label in zip(embeddings, people["val_labels"].tolist(), strict=True)
        for person, template in enumerate(reference["templates"])
        if person != label
    ]
    assert sum(gap < float(reference["threshold"]) - 1e-6 for gap in gaps) == 3


def loop_of_nearest(
    made: Tensor, labels: Tensor, people: Mapping[str, Tensor], judge: Verifier
) -> list[float]:
    """Squared distances of unit embeddings to a person's nearest training image."""
    with torch.no_grad():
        seen = judge(made.clamp(0, 1)).double()
        real = judge(people["train_images"] / 255).double()
    found = []
    for one, label in zip(seen, labels.tolist(), strict=True):
        own = real[people["train_labels"] == label]
        found.append(min(float((one / one.norm() - x / x.norm()).square().sum()) for x in own))
    return found


def test_how_near_real_test_images_come_is_measured(people: dict[str, Tensor]) -> None:
    """By the same measure as an attack's: what a photograph would have."""
    made = people["test_images"] / 255
    near = loop_of_nearest(made, people["test_labels"], people, ByColour(8))
    quality = scored(ByColour(8), people).scores.verifier
    assert quality is not None
    assert quality.nearest_image == pytest.approx(sum(near) / len(near), abs=1e-6)


def test_a_verifier_s_rates_count_everybody_once(people: dict[str, Tensor]) -> None:
    """Of four people the one with 40 of 52 test images is shown by the next one in all of them."""
    found = scored(ByColour(8), crowded(people, wrong=range(40)))
    quality = found.scores.verifier
    assert quality is not None
    assert (quality.true_accepts, quality.aa1) == (0.75, 0.75)
    # All 40 pass for the next person, one of three others; by pairs that were 40 of 156 and more
    assert 1 / 12 <= quality.false_accepts < 40 / 156


def test_without_validation_images_the_test_images_set_the_threshold(
    people: dict[str, Tensor],
) -> None:
    without = people | {key: people[key][:0] for key in ("val_images", "val_labels")}
    quality = scored(ByColour(8), without).scores.verifier
    assert quality is not None and quality.threshold_split == "test"
    assert quality.false_accepts <= EVALUATION.verifier_fpr


def test_a_verifier_that_takes_plain_pictures_for_somebody_is_in_doubt(
    people: dict[str, Tensor],
) -> None:
    found = scored(TakesFlatForSomebody(8), people).scores
    assert found.verifier is not None and found.verifier.blanks_accepted == 3 / 20
    assert found.checks["blank_images_refused"] is False
    assert found.failed_checks == {"blank_images_refused": "accepted 0.1500, most 0.1"}


def test_blanks_are_flat_noise_and_the_mean_of_everybody_else(people: dict[str, Tensor]) -> None:
    class Watched(ByColour):
        def forward(self, images: Tensor) -> Tensor:
            seen.append(images.clone())
            return super().forward(images)

    seen: list[Tensor] = []
    scored(Watched(8), people)
    images, labels = people["train_images"].float() / 255, people["train_labels"]
    wanted = torch.stack([images[labels != person].mean(dim=0) for person in range(CLASSES)])
    assert any(len(x) == CLASSES and torch.allclose(x, wanted, atol=1e-6) for x in seen)
    (flat,) = [x for x in seen if len(x) == 4 and not x[0].any()]
    assert (flat[1] == 1).all() and flat[3].std() > 0.2
    colour = images.mean(dim=(0, 2, 3))[:, None, None]
    assert torch.allclose(flat[2], colour.expand_as(flat[2]), atol=1e-6)


def test_a_judge_that_learnt_from_a_private_person_is_in_doubt(people: dict[str, Tensor]) -> None:
    for judge in (ByColour(8), OfColour(8)):
        found = scored(judge, people, replace(WHO, first=CLASSES)).scores
        assert found.checks["judge_knows_no_private_person"] is False
        assert found.learnt_from == f"drawn people {CLASSES} to 1099 of seed 0"


def test_of_a_judge_that_comes_with_weights_nobody_knows_the_people(
    people: dict[str, Tensor],
) -> None:
    found = scored(ByColour(8), people, None).scores
    assert "judge_knows_no_private_person" not in found.checks
    assert found.learnt_from.startswith("people unknown here")


@pytest.mark.parametrize(
    ("numbers", "answer"),
    [
        ((), None),  # all of another source
        (range(100, 129), None),  # one of thirty is of another source
        (range(100, 130), True),
        ((2,), False),  # whoever the others are
        (range(2, 32), False),
    ],
)
def test_of_public_people_without_numbers_nobody_knows_whether_they_are_private(
    people: dict[str, Tensor], numbers: Iterable[int], answer: bool | None
) -> None:
    whom = LearntFromPublic(data="x", people=30, images=90, identities=tuple(numbers))
    found = scored(ByColour(8), people, whom).scores
    assert found.checks.get("judge_knows_no_private_person") is answer
    assert found.learnt_from == "30 public people of x (90 images)"


def test_a_reader_has_the_ceiling(people: dict[str, Tensor]) -> None:
    found = scored(OfColour(8), people).scores
    identity = found.identity
    assert identity is not None and found.verifier is None
    assert (identity.aa1, identity.farther) == (1.0, 1.0)
    assert identity.distance.attacked == pytest.approx(0.01, abs=1e-5)
    assert set(found.reliability) == set(ATTRIBUTES)
    assert found.checks["reader_recognises_real"] is True
    assert found.intervals["identity.aa1"].high == 1.0
    json.dumps(found.to_json(), allow_nan=False)
    assert JudgeScores.from_json(found.to_json(), Path("j.json")) == found


@pytest.mark.parametrize(("wrong", "rate"), [(40, 0.75), (10, (0.75 + 3) / 4)])
def test_a_reader_s_rate_counts_everybody_once(
    people: dict[str, Tensor], wrong: int, rate: float
) -> None:
    """As a verifier's, and so does its interval: by images it were 12 or 42 of 52."""
    crowd = crowded(people, wrong=range(wrong))
    found = scored(OfColour(8), crowd).scores
    assert found.identity is not None and found.identity.aa1 == rate
    labels = crowd["test_labels"]
    hit = torch.arange(len(labels)) >= wrong
    assert found.intervals["identity.aa1"] == rounded(of_rate(hit, labels, equal=True))


def test_a_reader_with_the_truth_of_others_is_in_doubt(people: dict[str, Tensor]) -> None:
    found = scored_by(TRUTH.roll(1, dims=0), people).scores
    assert found.identity is not None and found.identity.aa1 == 0.0
    assert found.failed_checks["reader_recognises_real"].startswith("0.0000 (0.0000 to 0.")


def test_a_reader_without_a_vote_need_not_recognise(people: dict[str, Tensor]) -> None:
    found = scored_by(TRUTH.roll(1, dims=0), people, OfLooks(8)).scores
    assert found.votes is False and "reader_recognises_real" not in found.checks
    assert found.intervals["identity.aa1"].low == 0.0


@pytest.mark.parametrize("truth", [None, TRUTH[:, :3]])
def test_a_reader_without_the_truth_is_refused(
    people: dict[str, Tensor], truth: Tensor | None
) -> None:
    with pytest.raises(ValueError, match=r"^judge: truth: needs 41 parameters of every person"):
        score_judge("j", opened(OfColour(8)), people, truth, TRACED, SETUP)


# --- an attack ------------------------------------------------------------------------------------


def shown(found: Tensor | None = None) -> Shown:
    """Five images a person; of the second person, one shows the third."""
    made = reconstruction()
    made["images"][5] = faces(torch.tensor([2]), 4)[0]
    found = made["found"] if found is None else found
    return Shown(made["images"], made["labels"], made["draws"], found)


def test_verdicts_on_an_attack(panel: Panel) -> None:
    images = shown()
    hit = torch.ones(20, dtype=torch.bool)
    hit[0] = False  # the evaluator misses one, and is fooled by number 5
    found = verdicts.judge(panel, images, hit, SETUP)
    assert found.scores is not None
    wrong = [number for number in range(20) if not found.rows["verifier"][number]]
    assert wrong == [5] and found.rows["verifier_nearest"][5] == 2
    assert found.scores.verifier is not None and found.scores.identity is not None
    assert (found.scores.verifier.accepted, found.scores.verifier.aa1) == (0.95, 0.95)
    assert found.scores.identity.aa1 == 0.95
    assert (found.scores.n_agree, found.scores.agree) == (18, 0.9)
    counts = Disagreement(
        both=18,
        false_positives=1,
        false_negatives=1,
        neither=0,
        false_positive_share=1 / 19,
        false_negative_share=1 / 19,
    )
    assert found.scores.disagreement == {"verifier": counts, "identity": counts}
    assert found.rows["agreed"].sum() == 18


def test_the_distance_to_the_nearest_image_is_a_mean_of_minima(
    people: dict[str, Tensor], panel: Panel
) -> None:
    """Of what was found, whether accepted or not: image 5 shows another person."""
    images = shown(torch.arange(20) % 4 > 0)
    found = verdicts.judge(panel, images, torch.ones(20, dtype=torch.bool), SETUP)
    near = loop_of_nearest(images.images, images.labels, people, ByColour(8))
    assert found.rows["verifier_nearest_image"].tolist() == pytest.approx(near, abs=1e-6)
    own = [one for number, one in enumerate(near) if number % 4 > 0]
    assert near[5] > 1.5 and 5 % 4 > 0
    assert found.scores is not None and found.scores.verifier is not None
    assert found.scores.verifier.nearest_image == pytest.approx(sum(own) / 15, abs=1e-6)


def test_a_reader_of_looks_has_no_voice(people: dict[str, Tensor], panel: Panel) -> None:
    looks, hit = loaded(OfLooks(8), people), torch.ones(20, dtype=torch.bool)
    assert scored(OfLooks(8), people).scores.votes is False
    both = verdicts.judge(panel._replace(identity=looks), shown(), hit, SETUP)
    usual = verdicts.judge(panel, shown(), hit, SETUP).scores
    assert both.scores is not None and usual is not None
    assert both.scores.identity == usual.identity
    assert set(both.scores.disagreement) == {"verifier"} and "identity" not in both.rows
    alone = verdicts.judge(Panel(None, looks), shown(), torch.arange(20) > 4, SETUP).scores
    assert alone is not None and alone.identity == usual.identity
    assert (alone.n_agree, alone.agree, alone.disagreement) == (None, None, {})


def test_attributes_are_shares_of_equal_marks(panel: Panel) -> None:
    images = shown()
    found = verdicts.judge(panel, images, torch.ones(20, dtype=torch.bool), SETUP).scores
    assert found is not None and found.identity is not None
    male = TRUTH[:, ATTRIBUTES.index("masculinity")]
    seen = [label if number != 5 else 2 for number, label in enumerate(images.labels.tolist())]
    marks = [bool(male[person] + 0.01 > 0.5) for person in seen]
    truth = (male > 0.5).tolist()
    same = [mark == truth[label] for mark, label in zip(marks, images.labels.tolist(), strict=True)]
    others = [
        mark == truth[person]
        for mark, label in zip(marks, images.labels.tolist(), strict=True)
        for person in range(CLASSES)
        if person != label
    ]
    assert found.identity.attributes["Male"].attacked == pytest.approx(sum(same) / 20)
    assert found.identity.attributes["Male"].others == pytest.approx(sum(others) / 60)
    assert found.identity.groups["skin"].farther == pytest.approx(1 - 1 / 60, abs=0.04)


def test_intervals_are_over_people(panel: Panel) -> None:
    """Each by SciPy's Wilson, the least that a share of clusters gets, of what a loop counts."""
    images, hit = shown(), torch.ones(20, dtype=torch.bool)
    hit[0] = False
    found = verdicts.judge(panel, images, hit, SETUP)
    shares = "judges.disagreement.verifier.false_{}_share"
    counts = {"judges.agree": (18, 20), "judges.verifier.accepted": (19, 20)}
    counts |= {shares.format("positive"): (1, 19), shares.format("negative"): (1, 19)}
    for path, (successes, n) in counts.items():
        wilson = binomtest(successes, n).proportion_ci(method="wilson")
        one = found.intervals[path]
        assert one.low <= wilson.low + 1e-12 and one.high >= wilson.high - 1e-12
        assert (one.kind, one.n) == ("identities", CLASSES)
    assert found.scores is not None and found.scores.identity is not None
    farther = found.intervals["judges.identity.farther"]
    assert farther.low <= (found.scores.identity.farther or 0) <= farther.high < 1 + 1e-12
    assert {path.rpartition(".")[2] for path in found.intervals} == {
        *("agree", "accepted", "aa1", "farther"),
        *("false_positive_share", "false_negative_share"),
    }


def test_perfect_leakage_has_an_interval(panel: Panel) -> None:
    """Every image is nearest to its person: what the report calls above chance is above it."""
    made = shown()
    right = made._replace(images=faces(made.labels, 4))
    hit = torch.ones(20, dtype=torch.bool)
    found = verdicts.judge(panel, right, hit, SETUP)
    assert found.scores is not None and found.scores.identity is not None
    assert found.scores.identity.farther == 1.0
    overall = found.intervals["judges.identity.farther"]
    named = found.intervals["judges.identity.aa1"]
    assert (overall.low, overall.high) == pytest.approx((named.low, named.high))
    assert 0.5 < overall.low < overall.high == 1.0
    half = verdicts.judge(panel, shown(torch.arange(20) > 3), hit, SETUP)
    assert "judges.identity.farther" in half.intervals  # of what was found


def test_what_cannot_be_read_has_no_interval(people: dict[str, Tensor], panel: Panel) -> None:
    """All distances are ties there, and everybody is at a half."""

    class Blind(OfColour):
        def __init__(self, size: int) -> None:
            super().__init__(size)
            self.reliability = torch.zeros(len(ATTRIBUTES))

    blind = panel._replace(identity=loaded(Blind(8), people))
    found = verdicts.judge(blind, shown(), torch.ones(20, dtype=torch.bool), SETUP)
    assert found.scores is not None and found.scores.identity is not None
    assert found.scores.identity.farther == 0.5
    assert not [path for path in found.intervals if path.endswith("farther")]


def test_shares_of_nothing_have_no_interval(panel: Panel) -> None:
    none = torch.zeros(20, dtype=torch.bool)
    found = verdicts.judge(panel, shown(none), none, SETUP)
    assert found.scores is not None
    one = found.scores.disagreement["verifier"]
    assert (one.false_positive_share, one.false_negative_share) == (None, None)
    assert set(found.intervals) == {
        *("judges.agree", "judges.verifier.accepted", "judges.verifier.aa1", "judges.identity.aa1")
    }


def test_what_was_not_found_is_refused_and_says_nothing(panel: Panel) -> None:
    half = torch.arange(20) % 2 == 0
    hit = half.clone()
    found = verdicts.judge(panel, shown(half), hit, SETUP)
    assert found.scores is not None and found.scores.verifier is not None
    assert found.scores.verifier.accepted == 0.5
    assert not found.rows["verifier"][~half].any() and not found.rows["identity"][~half].any()
    none = verdicts.judge(panel, shown(half & ~half), hit & ~hit, SETUP).scores
    assert none is not None and none.verifier is not None and none.identity is not None
    assert (none.agree, none.verifier.accepted, none.identity.aa1) == (0.0, 0.0, 0.0)
    assert none.verifier.distance is None and none.verifier.nearest_image is None
    assert none.identity.distance.attacked is None and none.identity.farther is None
    assert none.identity.attributes["Male"].others is None


@pytest.mark.parametrize("n", [1, 2])
def test_few_images(panel: Panel, n: int) -> None:
    every = shown()
    few = Shown(*(part[:n] for part in every))
    found = verdicts.judge(panel, few, torch.ones(n, dtype=torch.bool), SETUP).scores
    assert found is not None and (found.agree, found.n_agree) == (1.0, n)


def test_no_score_depends_on_the_batch_size_or_the_order(panel: Panel) -> None:
    images, hit = shown(), torch.arange(20) % 3 > 0
    usual = verdicts.judge(panel, images, hit, SETUP)
    single = SETUP._replace(evaluation=replace(EVALUATION, batch_size=1))
    again = verdicts.judge(panel, images, hit, single)
    assert again.scores == usual.scores
    order = torch.randperm(20, generator=torch.Generator().manual_seed(1))
    mixed = verdicts.judge(panel, Shown(*(part[order] for part in images)), hit[order], SETUP)
    for name, values in usual.rows.items():
        assert torch.equal(mixed.rows[name], values[order])
    assert mixed.scores is not None and usual.scores is not None
    assert mixed.scores.disagreement == usual.scores.disagreement


def test_judges_see_what_a_file_keeps(panel: Panel) -> None:
    """A tanh may leave [0, 1]: a verdict is about the picture that one can look at."""
    images = shown()
    pixels = images.images.clamp(0, 1)
    low, high = pixels.quantile(0.1), pixels.quantile(0.9)
    pixels = torch.where(pixels > high, 1.4, torch.where(pixels < low, -0.4, pixels))
    beyond = images._replace(images=pixels)
    inside = images._replace(images=beyond.images.clamp(0, 1))
    hit = torch.ones(20, dtype=torch.bool)
    assert verdicts.judge(panel, beyond, hit, SETUP).scores == (
        verdicts.judge(panel, inside, hit, SETUP).scores
    )


def test_a_second_evaluator_is_compared_and_has_no_voice(
    panel: Panel, evaluator: Checkpoint
) -> None:
    hit = torch.ones(20, dtype=torch.bool)
    hit[7] = False
    without = verdicts.judge(panel, shown(), hit, SETUP).scores
    found = verdicts.judge(panel._replace(second_evaluator=evaluator), shown(), hit, SETUP)
    assert without is not None and found.scores is not None
    assert (without.second_aa1, found.scores.second_aa1) == (None, 0.95)  # number 5 fools it, too
    counts = found.scores.disagreement["second_evaluator"]
    assert (counts.both, counts.false_positives, counts.false_negatives) == (18, 1, 1)
    assert found.scores.agree == without.agree
    assert found.rows["second_evaluator"].sum() == 19


def test_where_no_judge_has_a_voice_nothing_is_agreed_on(evaluator: Checkpoint) -> None:
    """As on photographs without a verifier: AA-1 under another name would be a false comfort."""
    panel = Panel(None, None, evaluator)
    found = verdicts.judge(panel, shown(), torch.ones(20, dtype=torch.bool), SETUP)
    assert found.scores is not None and found.scores.second_aa1 == 0.95
    assert (found.scores.agree, found.scores.n_agree) == (None, None)
    assert "judges.agree" not in found.intervals and "agreed" not in found.rows


@pytest.mark.parametrize("which", ["verifier", "identity", None])
def test_a_judge_that_is_not_there_is_not_asked(panel: Panel, which: str | None) -> None:
    alone = (
        Panel(None, None)
        if which is None
        else Panel(None, None)._replace(**{which: getattr(panel, which)})
    )
    found = verdicts.judge(alone, shown(), torch.ones(20, dtype=torch.bool), SETUP)
    if which is None:
        assert found == (None, {}, {})
        return
    assert found.scores is not None and list(found.scores.disagreement) == [which]
    assert (found.scores.verifier is None) == (which == "identity")
    assert (found.scores.n_agree, which in found.rows) == (19, True)


# --- in the scores of an attack -------------------------------------------------------------------


def attack_of(
    panel: Panel,
    evaluator: Checkpoint,
    target: Checkpoint,
    people: dict[str, Tensor],
    block: AttackRunRow = ATTACK_RUN,
    within: AbstractContextManager[object] = UNSEEN,
) -> ScoredAttack:
    """Scores a toy attack; `within`: what looks on."""
    public = people["train_images"][:6]
    complete = Evaluator(evaluator, references.of_evaluator(evaluator, people, public, SETUP))
    signature = references.of_target(target, people, public, SETUP)
    attacked = AttackedModel(target, target, None, signature)
    evidence = Evidence.of(reconstruction())
    data = Data(people, public)
    with within:
        return score_attack("c", block, complete, attacked, data, evidence, SETUP, panel)


class Copies(TorchDispatchMode):
    """Within it, the largest number of images that an operation makes at once is kept."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch gives it no types
        self.most = 0

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        if isinstance(out, Tensor) and out.shape[1:] == (3, SIZE, SIZE):
            given = {one.untyped_storage().data_ptr() for one in args if isinstance(one, Tensor)}
            if out.untyped_storage().data_ptr() not in given:  # no view
                self.most = max(self.most, len(out))
        return out


def test_an_attack_is_scored_without_a_copy_of_its_images(
    panel: Panel, evaluator: Checkpoint, trapped: Checkpoint, people: dict[str, Tensor]
) -> None:
    """They may be 30 GB: a batch at a time is made of them, whoever looks at them."""
    by_ppa, copies = replace(ATTACK_RUN, attack="ppa", method="ppa"), Copies()
    found = attack_of(panel, evaluator, trapped, people, by_ppa, copies).scores
    assert found.judges is not None and found.signature is not None and found.n_success == 20
    assert copies.most == EVALUATION.batch_size


def test_the_scores_of_an_attack_have_the_judges(
    panel: Panel, evaluator: Checkpoint, trapped: Checkpoint, people: dict[str, Tensor]
) -> None:
    found = attack_of(panel, evaluator, trapped, people)
    assert found.scores.judges is not None and found.scores.judges.agree == 1.0
    assert found.scores.intervals["judges.agree"].high == 1.0
    assert found.scores.checks["judges_agree_on_real"] is True
    assert found.rows["judged"]["agreed"].all()
    without = attack_of(Panel(None, None), evaluator, trapped, people)
    assert without.scores.judges is None and without.rows["judged"] == {}
    assert "judges_agree_on_real" not in without.scores.checks


def test_judges_that_disagree_on_real_people_are_in_doubt(
    panel: Panel, evaluator: Checkpoint, trapped: Checkpoint, people: dict[str, Tensor]
) -> None:
    assert panel.verifier is not None
    refusing = panel.verifier.reference["test_accepted"].clone()
    refusing[:2] = False  # 14 of 16 agree, under nine tenths
    reference = {**panel.verifier.reference, "test_accepted": refusing}
    doubtful = panel._replace(verifier=panel.verifier._replace(reference=reference))
    found = attack_of(doubtful, evaluator, trapped, people).scores
    wrong = "0.875, least 0.9 (verifier 0.8750, identity 1.0000)"
    assert found.failed_checks == {"judges_agree_on_real": wrong}


def test_a_reader_that_disagrees_on_real_people_is_in_doubt(
    panel: Panel, evaluator: Checkpoint, trapped: Checkpoint, people: dict[str, Tensor]
) -> None:
    """A truth of other people: it has a vote, and refuses everybody."""
    another = scored_by(TRUTH.roll(1, dims=0), people)
    wrong = panel._replace(identity=LoadedJudge(OfColour(8).eval(), another.reference, TRACED))
    found = attack_of(wrong, evaluator, trapped, people).scores
    assert found.judges is not None and found.judges.agree == 0.0
    assert found.checks["judges_agree_on_real"] is False
    alone = attack_of(wrong._replace(verifier=None), evaluator, trapped, people).scores
    assert alone.checks["judges_agree_on_real"] is False


def test_a_reader_of_looks_is_not_held_against_the_evaluator(
    panel: Panel, evaluator: Checkpoint, trapped: Checkpoint, people: dict[str, Tensor]
) -> None:
    looks = loaded(OfLooks(8), people)
    alone = attack_of(Panel(None, looks), evaluator, trapped, people).scores
    assert "judges_agree_on_real" not in alone.checks
    assert alone.judges is not None and alone.judges.ceiling == {}


def test_how_severe_judges_are_is_measured_on_real_people(
    panel: Panel, evaluator: Checkpoint, trapped: Checkpoint, people: dict[str, Tensor]
) -> None:
    """Of 16 test images the verifier refuses three; the evaluator misses one of these."""
    assert panel.verifier is not None
    accepted = torch.arange(16) > 2
    reference = {**panel.verifier.reference, "test_accepted": accepted}
    severe = panel._replace(verifier=panel.verifier._replace(reference=reference))
    labels = people["test_labels"].clone()
    labels[0] = 1 - labels[0]  # whom the evaluator does not see there
    found = attack_of(severe, evaluator, trapped, people | {"test_labels": labels}).scores
    assert found.judges is not None
    assert found.judges.ceiling == {
        "verifier": RefusedReal(n_recognised=15, refused_of_recognised=0.133333),
        "identity": RefusedReal(n_recognised=15, refused_of_recognised=0.0),
    }
    # Of the first person a third, of the second, to whom the first image went, four fifths
    assert found.judges.agree_on_real == pytest.approx((1 / 3 + 4 / 5 + 2) / 4, abs=1e-6)
    assert found.intervals["judges.agree_on_real"].n == CLASSES
    path = "judges.ceiling.verifier.refused_of_recognised"
    ends = found.intervals[path]
    wilson = binomtest(2, 15).proportion_ci(method="wilson")
    assert ends.low <= wilson.low + 1e-6 and ends.high >= wilson.high - 1e-6
    assert (ends.kind, ends.n) == ("identities", CLASSES)


def test_an_evaluator_that_recognises_nobody_says_nothing_of_judges(
    panel: Panel, evaluator: Checkpoint, trapped: Checkpoint, people: dict[str, Tensor]
) -> None:
    others = {"test_labels": (people["test_labels"] + 1) % CLASSES}
    found = attack_of(panel, evaluator, trapped, people | others).scores
    assert found.judges is not None
    nothing = RefusedReal(n_recognised=0, refused_of_recognised=None)
    assert found.judges.ceiling == {"verifier": nothing, "identity": nothing}
    assert not [path for path in found.intervals if "ceiling" in path]
