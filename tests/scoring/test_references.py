"""What attacks are measured by, described once and kept in files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from painted import (
    ATTACK_RUN,
    EVALUATION,
    SETUP,
    Checkpoint,
    reconstruction,
    score,
    stored,
)
from torch import Tensor

from trapmid.artifacts.checkpoints import CheckpointError
from trapmid.scoring import described, references
from trapmid.scoring.attack import score_attack
from trapmid.scoring.evidence import AttackedModel, Data, Evidence
from trapmid.scoring.recognition import Evaluator

FILE = Path("features") / "row.pt"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / FILE


def same(one: tuple[object, ...], other: tuple[object, ...]) -> bool:
    return len(one) == len(other) and all(
        torch.equal(a, b) if isinstance(a, Tensor) and isinstance(b, Tensor) else a == b
        for a, b in zip(one, other, strict=True)
    )


def test_an_evaluators_reference_is_read_as_it_was_written(
    file: Path, private: dict[str, Tensor], public: Tensor, evaluator: Checkpoint
) -> None:
    found = references.of_evaluator(evaluator, private, public, SETUP)
    assert found.features.shape == (40, 3) and found.inception is None
    references.save_evaluator(file, evaluator, private, found)
    assert same(references.load_evaluator(file, evaluator, private, EVALUATION), found)


def test_a_targets_reference_is_read_as_it_was_written(
    file: Path, private: dict[str, Tensor], public: Tensor, trapped: Checkpoint
) -> None:
    found = references.of_target(trapped, private, public, SETUP)
    assert found is not None and found.poisoned.mean() > found.public.mean()
    references.save_target(file, trapped, private, found)
    again = references.load_target(file, trapped, private)
    assert again is not None and same(again, found)


def test_without_a_trapdoor_the_reference_is_empty(
    file: Path, private: dict[str, Tensor], public: Tensor, evaluator: Checkpoint
) -> None:
    assert references.of_target(evaluator, private, public, SETUP) is None
    references.save_target(file, evaluator, private, None)
    assert references.load_target(file, evaluator, private) is None


def test_a_file_about_another_checkpoint_is_refused(
    file: Path, private: dict[str, Tensor], public: Tensor, trapped: Checkpoint
) -> None:
    """Of a target without a trapdoor, too: it had one when the file was made, or will have."""
    found = references.of_target(trapped, private, public, SETUP)
    retrained = replace(trapped, digest="another")
    for reference in (found, None):
        references.save_target(file, retrained, private, reference)
        with pytest.raises(CheckpointError) as error:
            references.load_target(file, trapped, private)
        assert str(error.value) == (
            f"{file}: describes images with another checkpoint than the one that is scored; "
            "`dvc repro` renews it"
        )


@pytest.mark.parametrize("changed", ["train_images", "train_labels"])
def test_a_file_about_other_private_images_is_refused(
    file: Path,
    private: dict[str, Tensor],
    public: Tensor,
    evaluator: Checkpoint,
    changed: str,
) -> None:
    found = references.of_evaluator(evaluator, private, public, SETUP)
    references.save_evaluator(file, evaluator, private, found)
    other = private | {changed: private[changed].flip(0)}
    with pytest.raises(CheckpointError, match=r"row\.pt: describes other private images"):
        references.load_evaluator(file, evaluator, other, EVALUATION)


def test_a_file_for_another_frechet_distance_is_refused(
    file: Path, private: dict[str, Tensor], public: Tensor, evaluator: Checkpoint
) -> None:
    found = references.of_evaluator(evaluator, private, public, SETUP)
    references.save_evaluator(file, evaluator, private, found)
    inception = replace(EVALUATION, frechet_features="inception")
    with pytest.raises(CheckpointError, match=r"row\.pt: made for other features than inception"):
        references.load_evaluator(file, evaluator, private, inception)


def test_fewer_public_images_are_described_evenly_spread(
    private: dict[str, Tensor], public: Tensor, evaluator: Checkpoint
) -> None:
    """Of n images the i-th of m is number floor(i n / m); the others' are not looked at."""
    n, m = len(public), 7
    assert n % m  # the spread is no plain stride
    whole = references.of_evaluator(evaluator, private, public, SETUP)
    few = SETUP._replace(evaluation=replace(EVALUATION, public_images=m))
    found = references.of_evaluator(evaluator, private, public, few)
    chosen = [i * n // m for i in range(m)]
    assert torch.equal(found.public, whole.public[chosen])
    assert found.public_digest == whole.public_digest
    assert torch.equal(references.public_features(found, evaluator, public, few), found.public)
    other = public.flip(0)
    wanted = whole.public.flip(0)[chosen]
    assert torch.equal(references.public_features(found, evaluator, other, few), wanted)


def test_an_attack_with_other_public_images_is_held_against_these(
    private: dict[str, Tensor], public: Tensor, evaluator: Checkpoint, trapped: Checkpoint
) -> None:
    """The target's row has other negatives, but its centres are the same."""
    other = stored(torch.rand(12, 3, 8, 8, generator=torch.Generator().manual_seed(1)))
    made = reconstruction()
    whole = score(evaluator, trapped, private, other, made)
    signature = references.of_target(trapped, private, public, SETUP)
    complete = Evaluator(evaluator, references.of_evaluator(evaluator, private, public, SETUP))
    attacked = AttackedModel(trapped, trapped, None, signature)
    data, evidence = Data(private, other), Evidence.of(made)
    found = score_attack("c", ATTACK_RUN, complete, attacked, data, evidence, SETUP)
    assert found.scores == whole and whole.fidelity is not None
    assert found.scores.fidelity == whole.fidelity  # the evaluator's row has others, too
    assert len(found.rows["signature_scores"]["public"]) == 12


def test_an_attack_describes_reconstructions_alone(
    monkeypatch: pytest.MonkeyPatch,
    private: dict[str, Tensor],
    public: Tensor,
    evaluator: Checkpoint,
    trapped: Checkpoint,
) -> None:
    complete = Evaluator(evaluator, references.of_evaluator(evaluator, private, public, SETUP))
    signature = references.of_target(trapped, private, public, SETUP)
    attacked = AttackedModel(trapped, trapped, None, signature)
    counts: list[int] = []
    real = described.features.describe
    monkeypatch.setattr(
        described.features,
        "describe",
        lambda model, images, **more: counts.append(len(images)) or real(model, images, **more),
    )
    data, evidence = Data(private, public), Evidence.of(reconstruction())
    score_attack("c", ATTACK_RUN, complete, attacked, data, evidence, SETUP)
    # The evaluator and the target see the images, and their files for the paper's scores.
    assert counts == [20] * 4


def test_inception_features_of_private_images_come_from_the_file(
    monkeypatch: pytest.MonkeyPatch,
    file: Path,
    private: dict[str, Tensor],
    public: Tensor,
    evaluator: Checkpoint,
    trapped: Checkpoint,
) -> None:
    """Mean colours stand for Inception's features: the distance is then the evaluator's."""
    seen: list[int] = []

    def colours(images: Tensor, **_: object) -> Tensor:
        seen.append(len(images))
        return described.features.as_float(images).mean(dim=(2, 3))

    monkeypatch.setattr(described.inception, "inception_features", colours)
    setup = SETUP._replace(evaluation=replace(EVALUATION, frechet_features="inception"))
    reference = references.of_evaluator(evaluator, private, public, setup)
    references.save_evaluator(file, evaluator, private, reference)
    read = references.load_evaluator(file, evaluator, private, setup.evaluation)
    assert seen == [40]
    attacked = AttackedModel(trapped, trapped, None, None)
    data, evidence = Data(private, public), Evidence.of(reconstruction())
    parts = (ATTACK_RUN, Evaluator(evaluator, read), attacked, data, evidence, setup)
    found = score_attack("c", *parts).scores
    assert found.paper is not None
    assert seen == [40, found.n_success, found.paper.n_success]
    plain = score(evaluator, trapped, private, public, reconstruction())
    assert found.frechet == pytest.approx(plain.frechet, abs=1e-5)
    assert found.protocol.frechet_features == found.frechet_features == "inception"
    with pytest.raises(CheckpointError, match=r"row\.pt: made for other features than evaluator"):
        references.load_evaluator(file, evaluator, private, EVALUATION)
