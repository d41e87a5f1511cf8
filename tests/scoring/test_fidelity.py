"""How scores of fidelity come about: which images, against which, and when there are too few."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from painted import EVALUATION, Checkpoint, faces, reconstruction, score, score_of_evaluator
from torch import Tensor

from trapmid.metrics import frechet as frechet_module
from trapmid.metrics import kid as kid_module
from trapmid.metrics import prdc
from trapmid.metrics.frechet import Gaussian, frechet
from trapmid.metrics.kid import kid
from trapmid.metrics.neighbours import covered, nearest_private
from trapmid.scoring.scores import AttackScores, Fidelity


def of(scores: AttackScores) -> Fidelity:
    assert scores.fidelity is not None
    return scores.fidelity


def colours(images: Tensor) -> Tensor:
    """What the toy evaluator's features are."""
    return (images.float() / 255 if images.dtype == torch.uint8 else images).mean(dim=(2, 3))


def partly_found() -> dict[str, Any]:
    """Image 0 was not found, image 1 shows somebody else."""
    made = reconstruction()
    made["images"][1] = faces(torch.tensor([2]), 4)[0]
    made["found"][0] = False
    return made


def test_each_number_is_of_its_images(
    private: dict[str, Tensor], public: Tensor, evaluator: Checkpoint, trapped: Checkpoint
) -> None:
    made = partly_found()
    found = of(score(evaluator, trapped, private, public, made))
    real, labels = colours(private["train_images"]), private["train_labels"]
    images, k = colours(made["images"]), EVALUATION.neighbours
    successes, everything = images[2:], images[1:]
    assert found.kid == pytest.approx(kid(successes, real), abs=1e-6)
    assert found.prdc is not None and found.nearest_private is not None
    assert vars(found.prdc) == pytest.approx(vars(prdc.prdc(real, everything, k)), abs=1e-6)
    nearest = nearest_private(everything, real, colours(public))
    assert vars(found.nearest_private) == pytest.approx(vars(nearest), abs=1e-6)
    per_class = prdc.ppa_per_class(real, labels, everything, made["labels"][1:], k)
    assert per_class is not None and found.prdc_ppa is not None
    assert vars(found.prdc_ppa) == pytest.approx(vars(per_class), abs=1e-6)
    assert found.covered is not None and 0 < found.covered < 1


def test_what_is_covered_is_of_the_people_who_were_attacked(
    private: dict[str, Tensor], public: Tensor, evaluator: Checkpoint, trapped: Checkpoint
) -> None:
    """Of a person of whom nothing was found, no image is covered; others who were not attacked do
    not count."""
    real, people = colours(private["train_images"]), private["train_labels"]
    made = reconstruction()
    images, labels = colours(made["images"]), made["labels"]
    made["found"][labels == 3] = False
    some = labels != 3
    found = of(score(evaluator, trapped, private, public, made)).covered
    wanted = covered(images[some], labels[some], real, people)
    of_three = covered(images[some], labels[some], real[people != 3], people[people != 3])
    assert found == pytest.approx(wanted, abs=1e-6) and found != of_three
    kept = {k: v if k in ("counts", "left_out") else v[some] for k, v in made.items()}
    part = of(score(evaluator, trapped, private, public, kept | {"left_out": 5})).covered
    assert part == pytest.approx(of_three, abs=1e-6)


def test_matched_sizes(
    private: dict[str, Tensor], public: Tensor, evaluator: Checkpoint, trapped: Checkpoint
) -> None:
    """With all successes as the subset it is the distance itself; with more there is none."""
    made = partly_found()
    parts = (evaluator, trapped, private, public, made)
    whole = score(*parts, matched_size=18)
    assert whole.n_success == 18
    assert of(whole).frechet_matched == pytest.approx(whole.frechet, abs=1e-6)
    few = of(score(*parts, matched_size=4)).frechet_matched
    real = colours(private["train_images"])
    assert few is not None and few != of(whole).frechet_matched
    assert few > frechet(colours(made["images"][2:]), real)  # fewer images, a larger distance
    assert of(score(*parts, matched_size=4)).kid_std is not None
    for size in (19, None):
        none = of(score(*parts, matched_size=size))
        assert none.frechet_matched is None and none.kid_std is None and none.kid is not None


def test_matched_numbers_are_of_all_subsets(
    private: dict[str, Tensor],
    public: Tensor,
    evaluator: Checkpoint,
    trapped: Checkpoint,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Frechet's is their mean, KID's their sample deviation, each of five subsets."""
    answers, sizes = iter((1.0, 2.0, 4.0, 8.0, 16.0)), []

    def of_fitted(made: Tensor, real: Tensor | Gaussian) -> float:
        if not isinstance(real, Gaussian):
            return frechet(made, real)
        sizes.append(len(made))
        return next(answers)

    def kids(first: Tensor, second: Tensor, size: int, subsets: int, generator: Any) -> Tensor:
        assert (size, subsets) == (4, 5)
        return torch.tensor([1, 2, 4, 8, 10], dtype=torch.float64)

    monkeypatch.setattr(frechet_module, "frechet", of_fitted)
    monkeypatch.setattr(kid_module, "subset_kids", kids)
    found = of(score(evaluator, trapped, private, public, partly_found(), matched_size=4))
    assert sizes == [4] * 5
    assert found.frechet_matched == pytest.approx(31 / 5)
    assert found.kid_std == pytest.approx(math.sqrt(15), abs=1e-6)  # 60 / 4


def test_few_images_have_no_numbers(
    private: dict[str, Tensor], public: Tensor, evaluator: Checkpoint, trapped: Checkpoint
) -> None:
    for found in (0, 1, 2, 3):
        made = reconstruction()
        made["found"][found:] = False
        scores = score(evaluator, trapped, private, public, made, matched_size=2)
        if found < 2:
            assert scores.fidelity is None
            continue
        assert of(scores).kid is not None and of(scores).frechet_matched is not None
        assert (of(scores).prdc is None) == (of(scores).prdc_ppa is None) == (found == 2)  # k = 2
    nobody = score(evaluator, trapped, private, public, reconstruction(shift=1))
    assert nobody.n_success == 0 and of(nobody).kid is None and of(nobody).frechet_matched is None
    assert of(nobody).prdc is not None


def test_rows_in_another_order_score_the_same(
    private: dict[str, Tensor], public: Tensor, evaluator: Checkpoint, trapped: Checkpoint
) -> None:
    """The drawn subsets, too."""
    made = partly_found()
    order = torch.randperm(20, generator=torch.Generator().manual_seed(2))
    turned = {k: v if k in ("counts", "left_out") else v[order] for k, v in made.items()}
    one, other = (score(evaluator, trapped, private, public, part) for part in (made, turned))
    assert one == other and of(one).frechet_matched is not None


def test_real_images_are_the_ceiling_and_public_ones_the_floor(
    private: dict[str, Tensor], public: Tensor, evaluator: Checkpoint, trapped: Checkpoint
) -> None:
    ceiling = score_of_evaluator(evaluator, private, public).ceiling_fidelity
    made = reconstruction() | {"images": public[:20].float() / 255}
    floor = of(score(evaluator, trapped, private, public, made))
    assert ceiling is not None and ceiling.prdc is not None and floor.prdc is not None
    assert ceiling.nearest_private is not None and floor.nearest_private is not None
    assert ceiling.nearest_private.equal > 0.9 and floor.nearest_private.equal < 0.1
    assert ceiling.prdc.precision > 0.8 and floor.prdc.precision < 0.1
