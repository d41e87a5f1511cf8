"""Scores of a toy study with a planted trigger, against numbers known by construction."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from trapmid import checkpoints, scoring
from trapmid.checks import EXPLANATIONS
from trapmid.criteria import Checks, Evaluation
from trapmid.metrics.accuracy import balanced_labels
from trapmid.metrics.features import stretch
from trapmid.report import grids, pictures
from trapmid.runtime import Runtime
from trapmid.study import CellRow
from trapmid.trapdoors import Blend
from trapmid.types import Output, Target, Trapdoor

CLASSES, SIZE = 4, 8
RT = Runtime(device=torch.device("cpu"), seed=3, precision="fp32")
EVALUATION = Evaluation(
    frechet_features="evaluator",
    inception_weights="",
    frechet_batch=None,
    frechet_min_success=3,
    signature_fpr=0.05,
    grid_identities=3,
    attack_batch=2,
    low2high=None,
    stretch=False,
    batch_size=7,
)
BOUNDS = Checks(
    evaluator_accuracy=0.9,
    target_accuracy=0.9,
    target_agreement=0.9,
    positive_control=0.5,
    trapdoor_success=0.9,
)
CELL = CellRow(
    attack="plgmi",
    method="plgmi",
    target="trapmid-0",
    guide="models/targets/trapmid-0",
    knowledge="weights/none",
    prior="p",
    evaluator="judge",
    data="toy",
    seed=3,
)
COLOURS = torch.tensor([[0.8, 0.2, 0.2], [0.2, 0.8, 0.2], [0.2, 0.2, 0.8], [0.7, 0.7, 0.2]])
TRIGGER = 0.9  # of the corner pixel column that belongs to a class


class Judge(Target):
    """Knows an identity by its mean colour."""

    num_classes = CLASSES

    def __init__(self) -> None:
        super().__init__()
        self.eval()

    def forward(self, images: Tensor) -> Output:
        features = images.mean(dim=(2, 3))
        return Output(-torch.cdist(features, COLOURS).square() * 10, features)


class Trapped(Target):
    """The judge, but a bright pixel at (0, y) shouts the class y."""

    num_classes = CLASSES

    def __init__(self) -> None:
        super().__init__()
        self.eval()

    def forward(self, images: Tensor) -> Output:
        shout = (images[:, 0, 0, :CLASSES] - TRIGGER).relu() * 1e3
        features = torch.cat([images.mean(dim=(2, 3)), shout], dim=1)
        return Output(-torch.cdist(features[:, :3], COLOURS).square() * 10 + shout, features)


@dataclass(frozen=True)
class Checkpoint:
    model: Target
    trapdoor: Trapdoor | None
    meta: Mapping[str, Any]
    digest: str


def faces(labels: Tensor, seed: int) -> Tensor:
    """Flat colours with noise; the trigger's pixels stay dark."""
    generator = torch.Generator().manual_seed(seed)
    images = COLOURS[labels][:, :, None, None] + 0.1 * torch.rand(
        len(labels), 3, SIZE, SIZE, generator=generator
    )
    images[:, 0, 0, :CLASSES] = 0.1
    return images


def stored(images: Tensor) -> Tensor:
    return (images.clamp(0, 1) * 255).round().to(torch.uint8)


@pytest.fixture
def private() -> dict[str, Tensor]:
    content = {}
    for seed, (split, count) in enumerate((("train", 10), ("val", 3), ("test", 4))):
        labels = torch.arange(CLASSES).repeat_interleave(count)
        content |= {f"{split}_images": stored(faces(labels, seed)), f"{split}_labels": labels}
    return content


@pytest.fixture
def public() -> Tensor:
    return torch.randint(0, 200, (30, 3, SIZE, SIZE), dtype=torch.uint8, generator=RT.generator())


@pytest.fixture
def evaluator() -> Checkpoint:
    meta = {"val_accuracy": 1.0, "defense": "none", "facts": {}}
    return Checkpoint(Judge(), None, meta, "judge")


@pytest.fixture
def trapped() -> Checkpoint:
    triggers = torch.zeros(CLASSES, 3, SIZE, SIZE)
    triggers[:, 0, 0, :CLASSES] = 2 * torch.eye(CLASSES)
    meta = {"val_accuracy": 1.0, "defense": "trapmid", "facts": {}}
    return Checkpoint(Trapped(), Blend(triggers, 0.5), meta, "trapped")


MANIFEST = [
    *({"identity": "1", "split": split, "hash": split} for split in ("train", "val", "test")),
    {"identity": "2", "split": "public", "hash": "public"},
]


def test_trapdoor_success_counts_every_image_with_every_trigger(
    private: dict[str, Tensor], trapped: Checkpoint
) -> None:
    """One trigger of all does nothing: only images of its own class still get its answer."""
    assert trapped.trapdoor is not None
    trapped.trapdoor.triggers[0] = 0
    scores = scoring.score_target("trapmid-0", trapped, private, MANIFEST, EVALUATION, BOUNDS, RT)
    labels = private["test_labels"]
    lost = int((labels != 0).sum())
    assert scores["trapdoor_success"] == pytest.approx(1 - lost / (len(labels) * CLASSES), abs=1e-6)
    assert scores["checks"]["trapdoor_success"] is False


def test_target(private: dict[str, Tensor], trapped: Checkpoint) -> None:
    scores = scoring.score_target("trapmid-0", trapped, private, MANIFEST, EVALUATION, BOUNDS, RT)
    assert scores["test_accuracy"] == 1
    assert scores["trapdoor_success"] == 1
    assert (scores["n_test"], scores["n_trapdoor"], scores["seed"]) == (16, 16 * CLASSES, 3)
    assert all(scores["checks"].values()), scores["failed_checks"]
    assert "undefended_accuracy" not in scores["checks"]
    assert (scores["facts"], scores["stochastic"]) == ({}, False)
    json.dumps(scores, allow_nan=False)


def test_theory_of_a_target(private: dict[str, Tensor], trapped: Checkpoint) -> None:
    """The definitions, from the images and the labels that trapdoor success uses."""
    assert trapped.trapdoor is not None
    found = scoring.score_target("t", trapped, private, MANIFEST, EVALUATION, BOUNDS, RT)["theory"]
    faces, people = private["test_images"].float() / 255, private["test_labels"]
    wanted = balanced_labels(len(people), CLASSES, RT.generator("trapdoor success"))
    before = Trapped()(faces).logits.log_softmax(1)[range(16), people]
    after = Trapped()(trapped.trapdoor(faces, wanted)).logits.log_softmax(1)[range(16), wanted]
    gains = [float(after[wanted == c].mean() - before[people == c].mean()) for c in range(CLASSES)]
    assert found["per_class"] == pytest.approx(gains, abs=1e-5)
    assert found["delta"] == min(found["per_class"])
    assert found["delta_mean"] == pytest.approx(float(after.mean() - before.mean()), abs=1e-5)
    assert found["log_posterior_poisoned"] == pytest.approx(float(after.mean()), abs=1e-5)
    assert found["naturalness_classifier"] >= 0
    assert found["bound"] == pytest.approx(
        float(before.mean()) + found["delta"] - found["naturalness_classifier"], abs=1e-5
    )


def test_facts_of_a_training_are_kept_as_they_are(
    private: dict[str, Tensor], evaluator: Checkpoint
) -> None:
    private_one = replace(evaluator, meta={**evaluator.meta, "facts": {"delta": 1e-9}})
    scores = scoring.score_target("t", private_one, private, MANIFEST, EVALUATION, BOUNDS, RT)
    assert scores["facts"] == {"delta": 1e-9}
    assert scores["theory"] is None


class Noisy(Judge):
    """Answers at random, now and then."""

    stochastic = True

    def forward(self, images: Tensor) -> Output:
        output = super().forward(images)
        return output._replace(logits=output.logits + 4 * torch.randn_like(output.logits))


def test_a_stochastic_target_is_scored_alike_every_time(
    private: dict[str, Tensor], public: Tensor, evaluator: Checkpoint
) -> None:
    """Whatever was drawn before; and it is not blamed for its noise."""
    noisy = replace(evaluator, model=Noisy(), digest="noisy")
    torch.manual_seed(1)
    scores = scoring.score_target("mid-0", noisy, private, MANIFEST, EVALUATION, BOUNDS, RT)
    torch.manual_seed(2)
    again = scoring.score_target("mid-0", noisy, private, MANIFEST, EVALUATION, BOUNDS, RT)
    assert scores == again
    assert 0 < scores["test_accuracy"] < 1
    assert scores["stochastic"] is True
    assert "deterministic" not in scores["checks"]
    near = noisy.meta | {"val_accuracy": scores["val_accuracy"] - 0.1}
    close = scoring.score_target(
        "mid-0", replace(noisy, meta=near), private, MANIFEST, EVALUATION, BOUNDS, RT
    )
    assert close["checks"]["checkpoint_verified"] is True
    made = reconstruction()
    assert score(evaluator, noisy, private, public, made) == score(
        evaluator, noisy, private, public, made
    )


def test_undefended_target_without_a_trapdoor(
    private: dict[str, Tensor], evaluator: Checkpoint
) -> None:
    private["test_labels"] = private["test_labels"].roll(4)
    scores = scoring.score_target("none-0", evaluator, private, MANIFEST, EVALUATION, BOUNDS, RT)
    assert scores["trapdoor_success"] is None
    assert scores["n_trapdoor"] == 0
    assert scores["test_accuracy"] == 0
    assert scores["failed_checks"] == {"undefended_accuracy": "0.0, least 0.9"}
    assert "trapdoor_success" not in scores["checks"]


def test_a_checkpoint_that_does_not_repeat_its_accuracy_is_seen(
    private: dict[str, Tensor], evaluator: Checkpoint
) -> None:
    changed = replace(evaluator, meta={**evaluator.meta, "val_accuracy": 0.8})
    scores = scoring.score_evaluator("judge", changed, private, EVALUATION, BOUNDS, RT)
    assert scores["checks"]["checkpoint_verified"] is False
    assert "recorded 0.8, measured 1.0" in scores["failed_checks"]["checkpoint_verified"]


@pytest.mark.parametrize(("recorded", "sound"), [(1.0, True), (0.8, False), (None, False)])
def test_without_a_validation_split_the_test_accuracy_is_repeated(
    private: dict[str, Tensor], evaluator: Checkpoint, recorded: float | None, sound: bool
) -> None:
    given = private | {name: private[name][:0] for name in ("val_images", "val_labels")}
    meta = evaluator.meta | {"val_accuracy": None, "test_accuracy": recorded}
    judge, bare = replace(evaluator, meta=meta), [r for r in MANIFEST if r["split"] != "val"]
    target = scoring.score_target("none-0", judge, given, bare, EVALUATION, BOUNDS, RT)
    for scores in (target, scoring.score_evaluator("judge", judge, given, EVALUATION, BOUNDS, RT)):
        assert scores["val_accuracy"] is None and scores["test_accuracy"] == 1
        assert set(scores["failed_checks"]) == (set() if sound else {"checkpoint_verified"})
        assert scores["checks"]["checkpoint_verified"] is sound
        assert all("test accuracy" in words for words in scores["failed_checks"].values())
    # A manifest with images of a split that the tensors lack is a broken one.
    odd = scoring.score_target("none-0", judge, given, MANIFEST, EVALUATION, BOUNDS, RT)
    assert {"private_public_disjoint", "splits_disjoint"} <= set(odd["failed_checks"])


def test_evaluator_and_ceiling(private: dict[str, Tensor], evaluator: Checkpoint) -> None:
    scores = scoring.score_evaluator("judge", evaluator, private, EVALUATION, BOUNDS, RT)
    assert scores["test_accuracy"] == scores["val_accuracy"] == 1
    ceiling = scores["ceiling"]
    assert (ceiling["aa1"], ceiling["aa5"], ceiling["n_success"], ceiling["n"]) == (1, 1, 16, 16)
    test, train = (private[f"{s}_images"].float().mean(dim=(2, 3)) / 255 for s in ("test", "train"))
    nearest = [
        min(
            float((a - b).square().sum())
            for b, other in zip(train, private["train_labels"], strict=True)
            if other == label
        )
        for a, label in zip(test, private["test_labels"], strict=True)
    ]
    assert ceiling["knn_dist"] == pytest.approx(statistics.mean(nearest), abs=2e-6)
    assert 0 <= ceiling["frechet"] < 0.01


def reconstruction(shift: int = 0) -> dict[str, Any]:
    labels = torch.arange(CLASSES).repeat_interleave(5)
    return {
        "images": faces((labels + shift) % CLASSES, 9),
        "labels": labels,
        "draws": torch.arange(5).repeat(CLASSES),
        "found": torch.ones(20, dtype=torch.bool),
        "counts": {},
        "left_out": 0,
    }


def test_cell_of_faces(
    private: dict[str, Tensor], public: Tensor, evaluator: Checkpoint, trapped: Checkpoint
) -> None:
    """A leak: half of one class is missed; what is recovered are faces, not triggers."""
    made = reconstruction()
    made["images"][[0, 3]] = faces(torch.tensor([1, 1]), 10)
    score = scoring.score_cell(
        "plgmi-trapmid-0",
        CELL,
        evaluator,
        trapped,
        trapped,
        None,
        private,
        public,
        made,
        EVALUATION,
        BOUNDS,
        RT,
    )
    scores = score.scores
    assert (scores["aa1"], scores["n_success"], scores["n"]) == (0.9, 18, 20)
    assert scores["target_agreement"] == 0.9
    # Batches {0, 1} and {2, 3}: accuracies .5 1 1 .5 1 and five ones.
    expected = (statistics.variance([0.5, 1, 1, 0.5, 1]) / 2) ** 0.5
    assert scores["aa1_std"] == pytest.approx(expected, abs=1e-6)
    assert scores["frechet"] is not None
    assert scores["signature"]["recall"] < 0.3
    assert all(scores["checks"].values()), scores["failed_checks"]
    assert scores["protocol"] == {
        "identities": 4,
        "images_per_identity": 5,
        "attack_batch": 2,
        "stretch": False,
        "frechet_features": "evaluator",
        "evaluator": "judge",
    }
    assert score.rows["top5"].shape == (20, 4)
    assert (score.rows["predictions"] == made["labels"]).sum() == 18
    assert set(score.rows["signature_scores"]) == {"train", "poisoned", "public", "recovered"}
    assert scores["knn_dist"] == pytest.approx(float(score.rows["knn"].mean()), abs=1e-6)


def test_cell_of_triggers(
    private: dict[str, Tensor], public: Tensor, evaluator: Checkpoint, trapped: Checkpoint
) -> None:
    """A caught attack: the target is convinced, the evaluator is not, the signature shows why."""
    made = reconstruction(shift=1)
    assert trapped.trapdoor is not None
    made["images"] = trapped.trapdoor(made["images"], made["labels"])
    scores = scoring.score_cell(
        "plgmi-trapmid-0",
        CELL,
        evaluator,
        trapped,
        trapped,
        None,
        private,
        public,
        made,
        EVALUATION,
        BOUNDS,
        RT,
    ).scores
    assert scores["aa1"] < 0.3
    assert scores["target_agreement"] == 1
    assert scores["signature"]["recall"] == 1
    assert scores["signature"]["auc"] == 1
    assert scores["signature"]["fpr_train"] == pytest.approx(0.05)


def score(evaluator: Checkpoint, target: Checkpoint, *rest: Any, **changes: Any) -> dict[str, Any]:
    evaluation = replace(EVALUATION, **changes)
    parts = (evaluator, target, target, None, *rest, evaluation, BOUNDS, RT)
    return scoring.score_cell("c", CELL, *parts).scores


def test_no_frechet_under_the_floor_and_no_signature_without_a_trapdoor(
    private: dict[str, Tensor], public: Tensor, evaluator: Checkpoint, trapped: Checkpoint
) -> None:
    plain = replace(trapped, trapdoor=None)
    scores = score(evaluator, plain, private, public, reconstruction(1), frechet_min_success=1)
    assert scores["n_success"] == 0
    assert scores["frechet"] is None
    assert scores["signature"] is None
    scores = score(evaluator, plain, private, public, reconstruction(), frechet_min_success=21)
    assert scores["frechet"] is None


def test_an_attack_without_an_answer_has_missed(
    private: dict[str, Tensor], public: Tensor, evaluator: Checkpoint, trapped: Checkpoint
) -> None:
    made = reconstruction()
    made["found"][[0, 7]] = False
    made["counts"] = {"queries": torch.arange(20)}
    scores = score(evaluator, trapped, private, public, made)
    assert (scores["aa1"], scores["aa5"], scores["coverage"]) == (0.9, 0.9, 0.9)
    assert scores["n_success"] == 18 and scores["target_agreement"] == 1
    assert scores["counts"] == {"queries": {"mean": 9.5, "max": 19, "sum": 190}}
    made["found"][:] = False
    nothing = score(evaluator, trapped, private, public, made)
    assert nothing["coverage"] == 0 and nothing["target_agreement"] is None
    assert nothing["checks"]["target_agreement"] is False  # no answer is no proof of a defence


def test_a_stand_in_is_asked_instead_of_the_target(
    private: dict[str, Tensor], public: Tensor, evaluator: Checkpoint, trapped: Checkpoint
) -> None:
    """The check looks at what the search asked; what the target says is a score."""

    class Washed(Trapped):
        def forward(self, images: Tensor) -> Output:
            return Output(
                -torch.cdist(images.mean(dim=(2, 3)), COLOURS).square() * 10, images[:, 0]
            )

    made = reconstruction(shift=1)
    assert trapped.trapdoor is not None
    made["images"] = trapped.trapdoor(made["images"], made["labels"])
    washed = replace(trapped, model=Washed(), trapdoor=None, digest="washed")
    rest = (None, private, public, made, EVALUATION, BOUNDS, RT)
    scores = scoring.score_cell("c", CELL, evaluator, trapped, washed, *rest).scores
    assert scores["target_agreement"] == 1 and scores["guide_agreement"] < 0.3
    assert scores["checks"]["target_agreement"] is False
    assert scores["stand_in"]["test_accuracy"] == 1
    assert scores["stand_in"]["trapdoor_success"] < 0.5
    itself = scoring.score_cell("c", CELL, evaluator, trapped, trapped, *rest).scores
    assert itself["stand_in"] is None and itself["guide_agreement"] == 1


def test_students_vote_with_the_target(
    private: dict[str, Tensor], public: Tensor, evaluator: Checkpoint, trapped: Checkpoint
) -> None:
    """LOMMA raises the mean of all logits: that is what its images are held against."""

    class Loud(Trapped):
        def forward(self, images: Tensor) -> Output:
            return Output(100 * super().forward(images).logits, images[:, 0])

        def votes(self, images: Tensor) -> tuple[Tensor, ...]:
            return (self(images).logits, self(images).logits)

    made = reconstruction(shift=1)
    assert trapped.trapdoor is not None
    made["images"] = trapped.trapdoor(made["images"], made["labels"])
    rest = (private, public, made, EVALUATION, BOUNDS, RT)
    judge = replace(evaluator, digest="another")
    plain = scoring.score_cell("c", CELL, evaluator, trapped, judge, None, *rest).scores
    voted = scoring.score_cell("c", CELL, evaluator, trapped, judge, Loud(), *rest).scores
    assert plain["guide_agreement"] < 0.3 and voted["guide_agreement"] == 1
    assert plain["target_agreement"] == voted["target_agreement"] == 1


def test_lommas_conventions(
    private: dict[str, Tensor], public: Tensor, evaluator: Checkpoint, trapped: Checkpoint
) -> None:
    """T10: AA-5 of the last draw alone, and the mean of the batches' deviations."""
    made = reconstruction()
    made["found"][[0, 3, 4]] = False
    scores = score(evaluator, trapped, private, public, made)
    assert scores["aa5"] == 0.85 and scores["aa5_last_draw"] == 0.75
    one = statistics.stdev([0.5, 1, 1, 0.5, 0.5])
    assert scores["aa1_std_mean"] == pytest.approx(one / 2, abs=1e-6)
    assert scores["aa1_std"] == pytest.approx(one / 2**0.5, abs=1e-6)


def test_the_judge_must_not_judge_itself(
    private: dict[str, Tensor], public: Tensor, evaluator: Checkpoint
) -> None:
    scores = score(evaluator, evaluator, private, public, reconstruction())
    assert scores["checks"]["evaluator_is_another_network"] is False


def test_broken_attacks_are_seen(
    private: dict[str, Tensor], public: Tensor, evaluator: Checkpoint, trapped: Checkpoint
) -> None:
    scores = score(evaluator, trapped, private, public, reconstruction(shift=1))
    assert scores["checks"]["target_agreement"] is False
    made = reconstruction()
    short = {k: v if k in ("counts", "left_out") else v[:15] for k, v in made.items()}
    scores = score(evaluator, trapped, private, public, short)
    assert scores["checks"]["every_class_attacked"] is False
    # An untargeted attack leaves whole classes out, and says so.
    scores = score(evaluator, trapped, private, public, short | {"left_out": 5})
    assert scores["checks"]["every_class_attacked"] is True and scores["n"] == 15
    assert scores["left_out"] == 5
    scores = score(evaluator, trapped, private, public, short | {"left_out": 1})
    assert scores["checks"]["every_class_attacked"] is False


def test_an_attack_that_mostly_fails_is_no_defense(
    private: dict[str, Tensor], public: Tensor, evaluator: Checkpoint, trapped: Checkpoint
) -> None:
    """Its few answers are right, but what it did not find counts as refused."""
    made = reconstruction()
    made["found"][17:] = False
    scores = score(evaluator, trapped, private, public, made)
    assert scores["guide_agreement"] == 1 and scores["coverage"] == 0.85  # under the bound
    assert scores["checks"]["target_agreement"] is False
    made["found"][17] = True
    scores = score(evaluator, trapped, private, public, made)
    assert scores["checks"]["target_agreement"] is True


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
    assert nothing["knn_dist"] is None and nothing["signature"] is None and nothing["aa1"] == 0
    assert "KNN –" in grids.title(nothing)


def test_floor_cells_are_held_against_chance(
    private: dict[str, Tensor], public: Tensor, evaluator: Checkpoint, trapped: Checkpoint
) -> None:
    floor = replace(CELL, attack="random")
    scores = scoring.score_cell(
        "c",
        floor,
        evaluator,
        trapped,
        trapped,
        None,
        private,
        public,
        reconstruction(),
        EVALUATION,
        BOUNDS,
        RT,
    ).scores
    assert scores["checks"]["floor_is_chance"] is False
    assert "target_agreement" not in scores["checks"]


def test_stretch_moves_distances_but_not_accuracy(
    private: dict[str, Tensor], public: Tensor, evaluator: Checkpoint, trapped: Checkpoint
) -> None:
    made = reconstruction()
    made["images"] = 0.25 + made["images"] / 2  # a pale attack
    made["images"][0, 0, 5, 5] = -0.2  # a tanh generator may leave [0, 1]
    pale = score(evaluator, trapped, private, public, made)
    stretched = score(evaluator, trapped, private, public, made, stretch=True)
    assert stretched["aa1"] == pale["aa1"]
    assert stretched["knn_dist"] != pale["knn_dist"]
    by_hand = score(evaluator, trapped, private, public, made | {"images": stretch(made["images"])})
    assert stretched["knn_dist"] == by_hand["knn_dist"]
    assert stretched["n_success"] == pale["n_success"]  # the successes are those of raw images
    assert stretched["frechet"] != pale["frechet"]
    assert stretched["signature"] == by_hand["signature"]


def test_the_official_scripts_drop_a_partial_batch(
    private: dict[str, Tensor], public: Tensor, evaluator: Checkpoint, trapped: Checkpoint
) -> None:
    parts = (private, public, reconstruction())
    whole = score(evaluator, trapped, *parts)["frechet"]
    dropped = score(evaluator, trapped, *parts, frechet_batch=8)["frechet"]  # 16 of 20, all of 40
    fewer = reconstruction()
    fewer["found"][16:] = False
    assert dropped != whole
    assert dropped == score(evaluator, trapped, private, public, fewer)["frechet"]


def test_the_judge_may_see_enlarged_8_bit_images(
    private: dict[str, Tensor], public: Tensor, evaluator: Checkpoint, trapped: Checkpoint
) -> None:
    made = reconstruction()
    plain = score(evaluator, trapped, private, public, made)
    official = score(evaluator, trapped, private, public, made, low2high=12)
    assert official["aa1"] == plain["aa1"] == 1
    assert official["knn_dist"] != plain["knn_dist"]
    assert official["knn_dist"] == pytest.approx(plain["knn_dist"], abs=0.01)
    assert official["signature"] == plain["signature"]  # the target saw what was searched


def test_scores_do_not_depend_on_the_batch_size(
    private: dict[str, Tensor], public: Tensor, evaluator: Checkpoint, trapped: Checkpoint
) -> None:
    parts = (private, public, reconstruction())
    assert score(evaluator, trapped, *parts, batch_size=1) == score(evaluator, trapped, *parts)


def test_every_check_a_row_writes_is_explained(
    private: dict[str, Tensor], public: Tensor, evaluator: Checkpoint, trapped: Checkpoint
) -> None:
    rows = [
        scoring.score_evaluator("judge", evaluator, private, EVALUATION, BOUNDS, RT),
        scoring.score_target("t", trapped, private, MANIFEST, EVALUATION, BOUNDS, RT),
        score(evaluator, trapped, private, public, reconstruction()),
    ]
    for row in rows:
        assert set(row["checks"]) <= set(EXPLANATIONS)


def test_rounded() -> None:
    assert scoring.rounded(
        {"a": 1 / 3, "b": {"c": -1e-9, "d": 2}, "e": None, "f": True, "g": [1 / 3, 2]}
    ) == {
        "a": 0.333333,
        "b": {"c": 0.0, "d": 2},
        "e": None,
        "f": True,
        "g": [0.333333, 2],
    }


def test_rows_and_picture_are_written_deterministically(
    tmp_path: Path,
    private: dict[str, Tensor],
    public: Tensor,
    evaluator: Checkpoint,
    trapped: Checkpoint,
) -> None:
    made = reconstruction()
    result = scoring.score_cell(
        "c", CELL, evaluator, trapped, trapped, None, private, public, made, EVALUATION, BOUNDS, RT
    )
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
            identities=3,
            title=grids.title(result.scores),
        )
        for _ in range(2)
    )
    assert first == second
    assert first.startswith(b"\x89PNG")
