"""A toy study with a planted trigger, whose scores are known by construction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from trapmid.artifacts.lineage import Lineage
from trapmid.config.evaluation import Checks, Evaluation
from trapmid.config.study import AttackRunRow
from trapmid.runtime import Runtime
from trapmid.scoring import references
from trapmid.scoring.attack import ScoredAttack, score_attack
from trapmid.scoring.described import Private, Setup
from trapmid.scoring.evaluator import score_evaluator
from trapmid.scoring.evidence import AttackedModel, Data, Evidence
from trapmid.scoring.recognition import Evaluator
from trapmid.scoring.scores import AttackScores, EvaluatorScores
from trapmid.types import Output, Target, Trapdoor

CLASSES, SIZE = 4, 8
RT = Runtime(device=torch.device("cpu"), seed=3, precision="fp32")
EVALUATION = Evaluation(
    frechet_features="evaluator",
    inception_weights="models/external/inception-2015-12-05.pt",
    frechet_min_success=3,
    signature_fpr=0.05,
    verifier_fpr=0.1,
    robust_radii=(0.02, 0.3),
    grid_identities=3,
    neighbours=2,
    matched_size=5,
    batch_size=7,
)
BOUNDS = Checks(
    evaluator_accuracy=0.9,
    target_accuracy=0.9,
    target_agreement=0.9,
    stand_in_agreement=0.6,
    positive_control=0.5,
    judges_agree_on_real=0.9,
    reader_recognises_real=0.9,
    trapdoor_success=0.9,
)
SETUP = Setup(EVALUATION, BOUNDS, RT)
ATTACK_RUN = AttackRunRow(
    attack="plgmi",
    method="plgmi",
    target="trapmid-0",
    queried_model="models/targets/trapmid-0",
    side_information="weights/none",
    prior="p",
    evaluator="evaluator",
    verifier="weights/none",
    identity="weights/none",
    second_evaluator="weights/none",
    data="toy",
    seed=3,
)
COLOURS = torch.tensor([[0.8, 0.2, 0.2], [0.2, 0.8, 0.2], [0.2, 0.2, 0.8], [0.7, 0.7, 0.2]])
FEW = torch.full((3, 3, SIZE, SIZE), 0.5)  # public images, for who does not look at them
TRIGGER = 0.9  # of the corner pixel column that belongs to a class


class EvaluatorNetwork(Target):
    """Knows an identity by its mean colour."""

    num_classes = CLASSES

    def __init__(self) -> None:
        super().__init__()
        self.eval()

    def forward(self, images: Tensor) -> Output:
        features = images.mean(dim=(2, 3))
        return Output(-torch.cdist(features, COLOURS).square() * 10, features)


class Trapped(Target):
    """The evaluator, but a bright pixel at (0, y) shouts the class y."""

    num_classes = CLASSES

    def __init__(self) -> None:
        super().__init__()
        self.eval()

    def forward(self, images: Tensor) -> Output:
        shout = (images[:, 0, 0, :CLASSES] - TRIGGER).relu() * 1e3
        features = torch.cat([images.mean(dim=(2, 3)), shout], dim=1)
        return Output(-torch.cdist(features[:, :3], COLOURS).square() * 10 + shout, features)


LINEAGE = Lineage(people="people", target=None)


@dataclass(frozen=True)
class Checkpoint:
    model: Target
    trapdoor: Trapdoor | None
    meta: Mapping[str, Any]
    digest: str
    lineage: Lineage = LINEAGE


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


MANIFEST = [
    *({"identity": "1", "split": split, "hash": split} for split in ("train", "val", "test")),
    {"identity": "2", "split": "public", "hash": "public"},
]


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


def score_all(
    evaluator: Checkpoint,
    target: Checkpoint,
    private: Private,
    public: Tensor,
    made: Mapping[str, Any],
    *,
    block: AttackRunRow = ATTACK_RUN,
    queried_model: Checkpoint | None = None,
    students: Target | None = None,
    **changes: Any,
) -> ScoredAttack:
    """An attack's scores; `queried_model` stands in for the target; `changes` of EVALUATION."""
    setup = SETUP._replace(evaluation=replace(EVALUATION, **changes))
    complete = Evaluator(evaluator, references.of_evaluator(evaluator, private, public, setup))
    signature = references.of_target(target, private, public, setup)
    attacked = AttackedModel(target, queried_model or target, students, signature)
    data, evidence = Data(private, public), Evidence.of(made)
    return score_attack("c", block, complete, attacked, data, evidence, setup)


def score(
    evaluator: Checkpoint,
    target: Checkpoint,
    private: Private,
    public: Tensor,
    made: Mapping[str, Any],
    **changes: Any,
) -> AttackScores:
    """Scores of an attack that asked the target itself."""
    return score_all(evaluator, target, private, public, made, **changes).scores


def crowded(private: Private, *, wrong: Iterable[int]) -> dict[str, Tensor]:
    """The first of four people has 40 of 52 test images; what is `wrong` shows the next person."""
    labels, images = private["test_labels"], private["test_images"]
    times = torch.where(labels == 0, 10, 1)
    more = labels.repeat_interleave(times).sort(stable=True)
    shown = images.repeat_interleave(times, dim=0)[more.indices].clone()
    for place in wrong:
        next_ = (more.values[place] + 1) % CLASSES
        shown[place] = images[labels == next_][0]
    return dict(private) | {"test_images": shown, "test_labels": more.values}


def score_of_evaluator(
    evaluator: Checkpoint, private: Private, public: Tensor = FEW
) -> EvaluatorScores:
    reference = references.of_evaluator(evaluator, private, public, SETUP)
    complete = Evaluator(evaluator, reference)
    return score_evaluator("evaluator", complete, private, SETUP)
