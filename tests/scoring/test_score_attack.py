"""Scores of attacks on a toy study, against numbers known by construction."""

from __future__ import annotations

import statistics
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from painted import (
    ATTACK_RUN,
    COLOURS,
    SIZE,
    Checkpoint,
    Trapped,
    faces,
    reconstruction,
    score,
    score_all,
)
from torch import Tensor

from trapmid.artifacts import checkpoints
from trapmid.artifacts.lineage import Lineage
from trapmid.metrics.frechet import frechet
from trapmid.metrics.statistics.intervals import of_rate
from trapmid.report import grids, pictures
from trapmid.scoring import recognition
from trapmid.scoring.evidence import Evidence
from trapmid.scoring.scores import Count, rounded
from trapmid.types import Output, Target


def test_attack_run_of_faces(
    private: dict[str, Tensor], public: Tensor, evaluator: Checkpoint, trapped: Checkpoint
) -> None:
    """A leak: half of one class is missed; what is recovered are faces, not triggers."""
    made = reconstruction()
    made["images"][[0, 3]] = faces(torch.tensor([1, 1]), 10)
    found = score_all(evaluator, trapped, private, public, made)
    scores = found.scores
    assert (scores.aa1, scores.n_success, scores.n) == (0.9, 18, 20)
    assert scores.target_agreement == 0.9
    # Of four people the first is missed by draws 0 and 3.
    expected = statistics.stdev([0.75, 1, 1, 0.75, 1])
    assert scores.aa1_std == pytest.approx(expected, abs=1e-6)
    assert (scores.aa5, scores.aa5_std) == (1, 0)  # of four people every one is among five
    assert scores.frechet is not None
    assert {p: x for p, x in scores.intervals.items() if not p.startswith("signature.")} == {
        name: rounded(of_rate(hit, made["labels"]))
        for name, hit in (("aa1", found.hit), ("aa5", torch.ones(20)))
    }
    assert (scores.intervals["aa1"].kind, scores.intervals["aa1"].n) == ("identities", 4)
    assert torch.equal(found.rows["labels"], made["labels"])
    assert scores.signature.recall < 0.3
    assert all(scores.checks.values()), scores.failed_checks
    assert asdict(scores.protocol) == {
        "identities": 4,
        "images_per_identity": 5,
        "frechet_features": "evaluator",
        "evaluator": "evaluator",
    }
    assert found.rows["top5"].shape == (20, 4)
    assert (found.rows["predictions"] == made["labels"]).sum() == 18
    assert set(found.rows["signature_scores"]) == {"train", "poisoned", "public", "recovered"}
    assert scores.knn_dist == pytest.approx(float(found.rows["knn"].mean()), abs=1e-6)


def test_attack_run_of_triggers(
    private: dict[str, Tensor], public: Tensor, evaluator: Checkpoint, trapped: Checkpoint
) -> None:
    """A caught attack: the target is convinced, the evaluator is not, the signature shows why."""
    made = reconstruction(shift=1)
    assert trapped.trapdoor is not None
    made["images"] = trapped.trapdoor(made["images"], made["labels"]).clamp(0, 1)
    scores = score_all(evaluator, trapped, private, public, made).scores
    assert scores.aa1 < 0.3
    assert scores.target_agreement == 1
    assert scores.signature.recall == 1
    assert scores.signature.auc == 1
    assert scores.signature.fpr_train == pytest.approx(0.05)
    within = {p for p in scores.intervals if p.startswith("signature.")}
    assert within == {"signature.recall", "signature.auc", "signature.fpr_public"}


@pytest.mark.parametrize("of", ["evaluator", "target"])
def test_an_evaluator_that_shares_its_start_with_the_target_is_refused(
    private: dict[str, Tensor], public: Tensor, evaluator: Checkpoint, trapped: Checkpoint, of: str
) -> None:
    """One began from the other's checkpoint: the network that is told apart learnt there."""
    first, second = (evaluator, trapped) if of == "evaluator" else (trapped, evaluator)
    began = Lineage(people="people", target=None, sources={"init": second.digest})
    first = replace(first, lineage=began)
    pair = (first, trapped) if of == "evaluator" else (evaluator, first)
    found = score(*pair, private, public, reconstruction())
    assert found.checks["evaluator_is_another_network"] is False
    assert found.failed_checks["evaluator_is_another_network"].endswith(
        "; one began from the other's weights"
    )


def test_no_frechet_under_the_floor_and_no_signature_without_a_trapdoor(
    private: dict[str, Tensor], public: Tensor, evaluator: Checkpoint, trapped: Checkpoint
) -> None:
    plain = replace(trapped, trapdoor=None)
    scores = score(evaluator, plain, private, public, reconstruction(1), frechet_min_success=1)
    assert scores.n_success == 0
    assert scores.frechet is None
    assert scores.signature is None
    scores = score(evaluator, plain, private, public, reconstruction(), frechet_min_success=21)
    assert scores.frechet is None


def test_the_floor_itself_is_enough_for_a_frechet_distance() -> None:
    made, real = (torch.randn(n, 3, generator=torch.Generator().manual_seed(n)) for n in (4, 9))
    assert recognition.distance(made, real, 4) == pytest.approx(frechet(made, real))
    assert recognition.distance(made, real, 5) is None
    assert recognition.distance(made[:2], real, 0) is not None
    assert recognition.distance(made[:1], real, 0) is None  # one image has no covariance


def test_an_attack_without_an_answer_has_missed(
    private: dict[str, Tensor], public: Tensor, evaluator: Checkpoint, trapped: Checkpoint
) -> None:
    made = reconstruction()
    made["found"][[0, 7]] = False
    made["counts"] = {"queries": torch.arange(20)}
    scores = score(evaluator, trapped, private, public, made)
    assert (scores.aa1, scores.aa5, scores.coverage) == (0.9, 0.9, 0.9)
    assert scores.n_success == 18 and scores.target_agreement == 1
    assert scores.counts == {"queries": Count(mean=9.5, max=19, sum=190)}
    made["found"][:] = False
    nothing = score(evaluator, trapped, private, public, made)
    assert nothing.coverage == 0 and nothing.target_agreement is None
    assert nothing.checks["target_agreement"] is False  # no answer is no proof of a defence


def test_a_stand_in_is_asked_instead_of_the_target(
    private: dict[str, Tensor], public: Tensor, evaluator: Checkpoint, trapped: Checkpoint
) -> None:
    """The check looks at what the search asked; what the target says is a score."""

    class FineTuned(Trapped):
        def forward(self, images: Tensor) -> Output:
            return Output(
                -torch.cdist(images.mean(dim=(2, 3)), COLOURS).square() * 10, images[:, 0]
            )

    made = reconstruction(shift=1)
    assert trapped.trapdoor is not None
    made["images"] = trapped.trapdoor(made["images"], made["labels"]).clamp(0, 1)
    finetuned = replace(trapped, model=FineTuned(), trapdoor=None, digest="finetuned")
    rest = (private, public, made)
    scores = score_all(evaluator, trapped, *rest, queried_model=finetuned).scores
    assert scores.target_agreement == 1 and scores.queried_agreement < 0.3
    assert scores.checks["target_agreement"] is False
    assert scores.stand_in.test_accuracy == 1
    assert scores.stand_in.trapdoor_success < 0.5
    itself = score(evaluator, trapped, *rest)
    assert itself.stand_in is None and itself.queried_agreement == 1


def test_students_vote_with_the_target(
    private: dict[str, Tensor], public: Tensor, evaluator: Checkpoint, trapped: Checkpoint
) -> None:
    """LOMMA raises the mean of all logits: that is what its images are held against."""

    class Loud(Trapped):
        def forward(self, images: Tensor) -> Output:
            return Output(100 * super().forward(images).logits, images[:, 0])

        def member_logits(self, images: Tensor) -> tuple[Tensor, ...]:
            return (self(images).logits, self(images).logits)

    made = reconstruction(shift=1)
    assert trapped.trapdoor is not None
    made["images"] = trapped.trapdoor(made["images"], made["labels"]).clamp(0, 1)
    rest = (private, public, made)
    other = replace(evaluator, digest="another")
    plain = score_all(evaluator, trapped, *rest, queried_model=other).scores
    with_students = score_all(
        evaluator, trapped, *rest, queried_model=other, students=Loud()
    ).scores
    assert plain.queried_agreement < 0.3 and with_students.queried_agreement == 1
    assert plain.target_agreement == with_students.target_agreement == 1


def test_a_student_that_says_the_opposite_outvotes_the_target(
    private: dict[str, Tensor], public: Tensor, evaluator: Checkpoint, trapped: Checkpoint
) -> None:
    """By the mean of logits, whoever is surest; what the target says alone is its own score."""

    class Opposed(Trapped):
        def member_logits(self, images: Tensor) -> tuple[Tensor, ...]:
            return (-3 * self(images).logits,)

    made = reconstruction(shift=1)
    assert trapped.trapdoor is not None
    made["images"] = trapped.trapdoor(made["images"], made["labels"]).clamp(0, 1)
    found = score_all(evaluator, trapped, private, public, made, students=Opposed()).scores
    assert (found.queried_agreement, found.target_agreement) == (0, 1)


def test_a_stand_in_that_learnt_little_of_the_target_is_seen(
    private: dict[str, Tensor], public: Tensor, evaluator: Checkpoint, trapped: Checkpoint
) -> None:
    """It accepts its own images, so that nothing else tells of it; of several the worst counts."""

    class Fool(Trapped):
        def forward(self, images: Tensor) -> Output:
            return Output(super().forward(images).logits.roll(1, dims=1), images[:, 0])

    class Class(Trapped):
        def __init__(self, *members: Target) -> None:
            super().__init__()
            self.members = members

        def member_logits(self, images: Tensor) -> tuple[Tensor, ...]:
            return tuple(one(images).logits for one in self.members)

    made = reconstruction()
    rest = (private, public, made)
    alone = score(evaluator, trapped, *rest)
    assert alone.stand_in_agreement is None and "stand_in_agreement" not in alone.checks
    copy = replace(trapped, model=Trapped(), digest="copy")
    fool = replace(trapped, model=Fool(), digest="fool")
    for queried, agreement in ((copy, 1.0), (fool, 0.0)):
        scores = score_all(evaluator, trapped, *rest, queried_model=queried).scores
        assert scores.stand_in is not None and scores.stand_in.test_accuracy == agreement
        assert scores.stand_in_agreement == agreement
        assert scores.checks["stand_in_agreement"] == (agreement == 1)
    for students, agreement in ((Class(Trapped(), Trapped()), 1.0), (Class(Trapped(), Fool()), 0)):
        scores = score_all(evaluator, trapped, *rest, students=students).scores
        assert scores.stand_in_agreement == agreement


def test_the_evaluator_must_not_score_itself(
    private: dict[str, Tensor], public: Tensor, evaluator: Checkpoint
) -> None:
    scores = score(evaluator, evaluator, private, public, reconstruction())
    assert scores.checks["evaluator_is_another_network"] is False


def test_broken_attacks_are_seen(
    private: dict[str, Tensor], public: Tensor, evaluator: Checkpoint, trapped: Checkpoint
) -> None:
    scores = score(evaluator, trapped, private, public, reconstruction(shift=1))
    assert scores.checks["target_agreement"] is False
    made = reconstruction()
    short = {k: v if k in ("counts", "left_out") else v[:15] for k, v in made.items()}
    scores = score(evaluator, trapped, private, public, short)
    assert scores.checks["every_class_attacked"] is False
    # An untargeted attack leaves whole classes out, and says so.
    scores = score(evaluator, trapped, private, public, short | {"left_out": 5})
    assert scores.checks["every_class_attacked"] is True and scores.n == 15
    assert scores.left_out == 5
    scores = score(evaluator, trapped, private, public, short | {"left_out": 1})
    assert scores.checks["every_class_attacked"] is False


def test_an_attack_that_mostly_fails_is_no_defense(
    private: dict[str, Tensor], public: Tensor, evaluator: Checkpoint, trapped: Checkpoint
) -> None:
    """Its few answers are right, but what it did not find counts as refused."""
    made = reconstruction()
    made["found"][17:] = False
    scores = score(evaluator, trapped, private, public, made)
    assert scores.queried_agreement == 1 and scores.coverage == 0.85  # under the bound
    assert scores.checks["target_agreement"] is False
    made["found"][17] = True
    scores = score(evaluator, trapped, private, public, made)
    assert scores.checks["target_agreement"] is True


def test_what_was_not_found_is_no_image(
    private: dict[str, Tensor], public: Tensor, evaluator: Checkpoint, trapped: Checkpoint
) -> None:
    """What stands in the place of a miss moves neither distance nor signature."""
    made = reconstruction()
    made["found"][::5] = False
    odd = made | {"images": made["images"].clone()}
    odd["images"][::5] = torch.rand(4, 3, SIZE, SIZE)
    one, other = (score(evaluator, trapped, private, public, part) for part in (made, odd))
    assert one == other
    made["found"][:] = False
    nothing = score(evaluator, trapped, private, public, made)
    assert nothing.knn_dist is None and nothing.signature is None and nothing.aa1 == 0
    assert "KNN –" in grids.title(nothing)


def test_floor_attack_runs_are_held_against_chance(
    private: dict[str, Tensor], public: Tensor, evaluator: Checkpoint, trapped: Checkpoint
) -> None:
    floor = replace(ATTACK_RUN, attack="random")
    scores = score_all(evaluator, trapped, private, public, reconstruction(), block=floor).scores
    assert scores.checks["floor_is_chance"] is False
    assert "target_agreement" not in scores.checks


def test_scores_do_not_depend_on_the_batch_size(
    private: dict[str, Tensor], public: Tensor, evaluator: Checkpoint, trapped: Checkpoint
) -> None:
    parts = (private, public, reconstruction())
    assert score(evaluator, trapped, *parts, batch_size=1) == score(evaluator, trapped, *parts)


def test_rows_and_picture_are_written_deterministically(
    tmp_path: Path,
    private: dict[str, Tensor],
    public: Tensor,
    evaluator: Checkpoint,
    trapped: Checkpoint,
) -> None:
    made = reconstruction()
    result = score_all(evaluator, trapped, private, public, made)
    checkpoints.save(tmp_path / "c.pt", result.rows)
    again = checkpoints.load(tmp_path / "c.pt")
    assert torch.equal(
        again["signature_scores"]["public"], result.rows["signature_scores"]["public"]
    )
    first, second = (
        pictures.private_vs_reconstructed(
            private=private["train_images"],
            private_labels=private["train_labels"],
            images=made["images"],
            labels=made["labels"],
            hit=result.hit,
            found=made["found"],
            names={},
            identities=3,
            title=grids.title(result.scores),
        )
        for _ in range(2)
    )
    assert first == second
    assert first.startswith(b"\x89PNG")


@pytest.mark.parametrize("wrong", [255.0, 2.01, -2.01, float("nan")])
def test_images_of_another_range_are_refused(wrong: float) -> None:
    """They would not be recognised, which would look like a defence."""
    made = reconstruction()
    made["images"][3, 2, 1, 0] = wrong
    with pytest.raises(ValueError, match=r"^reconstructions: pixels of size .*, at most 2 is an"):
        Evidence.of(made)


@pytest.mark.parametrize("pixel", [-1.0, -1.3, 1.4])
def test_a_generator_may_leave_the_range(pixel: float) -> None:
    """A tanh does, and StyleGAN2, whose pixels PPA clips nowhere with `clip: never`."""
    made = reconstruction()
    made["images"][0] = pixel
    assert (Evidence.of(made).images[0] == pixel).all()
