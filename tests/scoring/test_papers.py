"""The papers' way of scoring, step by step by hand, and never mixed with the standard one."""

from __future__ import annotations

import io
import statistics
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from painted import (
    ATTACK_RUN,
    CLASSES,
    COLOURS,
    SIZE,
    Checkpoint,
    EvaluatorNetwork,
    faces,
    reconstruction,
    score,
)
from PIL import Image
from torch import Tensor
from torchvision.transforms.functional import to_pil_image, to_tensor
from torchvision.utils import save_image

from trapmid import wiring
from trapmid.metrics import accuracy
from trapmid.metrics.frechet import frechet
from trapmid.scoring.scores import AttackScores, PaperScores
from trapmid.types import Output

ENLARGED = 12
OFFICIAL = {"gmi": 250, "kedmi": 250, "plgmi": 100, "lomma": 50, "brepmi": 1}
"""Identities per attack batch of the paper, recovered from its within-run deviations."""


class Sharp(EvaluatorNetwork):
    """Sees the mean colour, the edges and the number of pixels; enlarges as the literature's."""

    side = ENLARGED

    def forward(self, images: Tensor) -> Output:
        if images.shape[-1] != ENLARGED:
            images = F.interpolate(images, (ENLARGED,) * 2, mode="bilinear", align_corners=True)
        colours = images.mean(dim=(2, 3))
        edges = images.diff(dim=3).abs().mean(dim=(2, 3))
        features = torch.cat([colours, edges], dim=1)
        return Output(-torch.cdist(colours, COLOURS).square() * 10, features)


@pytest.fixture
def sharp() -> Checkpoint:
    return Checkpoint(Sharp(), None, {"val_accuracy": 1.0, "defense": "none", "facts": {}}, "sharp")


def pale() -> dict[str, Any]:
    """An attack of low contrast that leaves [0, 1], one image of another person's colour."""
    made = reconstruction()
    made["images"] = 0.25 + made["images"] / 2
    made["images"][0] = made["images"][19]
    made["images"][1, 0, 5, 5] = -0.2
    return made


def of(method: str, *parts: Any, **changes: Any) -> AttackScores:
    return score(*parts, block=replace(ATTACK_RUN, attack=method, method=method), **changes)


def paper(scores: AttackScores) -> PaperScores:
    assert scores.paper is not None
    return scores.paper


def as_png(image: Tensor) -> Tensor:
    stream = io.BytesIO()
    save_image(image, stream, format="png", normalize=True)
    return to_tensor(Image.open(stream))


def low_to_high(image: Tensor) -> Tensor:
    small = to_pil_image(image.clamp(0, 1))  # truncates
    return to_tensor(small.resize((ENLARGED, ENLARGED), Image.Resampling.BILINEAR))


def aligned(image: Tensor) -> Tensor:
    return F.interpolate(image[None], (ENLARGED,) * 2, mode="bilinear", align_corners=True)[0]


def knn_loop(images: list[Tensor], labels: Tensor, private: dict[str, Tensor]) -> float:
    """After the scripts: every image against every private one of its class, squared."""
    network, total = Sharp(), 0.0
    real = network(private["train_images"].float() / 255).features.double()
    for image, label in zip(images, labels.tolist(), strict=True):
        seen = network(image[None]).features.double()
        gaps = (real[private["train_labels"] == label] - seen).square().sum(dim=1)
        total += float(gaps.min())
    return total / len(images)


@pytest.mark.parametrize(
    ("method", "shown", "judged"),
    [
        ("gmi", low_to_high, lambda image: aligned(as_png(image))),
        ("kedmi", low_to_high, lambda image: aligned(as_png(image))),
        ("plgmi", aligned, lambda image: aligned(as_png(image))),
        ("lomma", low_to_high, low_to_high),
    ],
)
def test_every_step_by_hand(
    private: dict[str, Tensor],
    public: Tensor,
    trapped: Checkpoint,
    sharp: Checkpoint,
    method: str,
    shown: Any,
    judged: Any,
) -> None:
    made = pale()
    found = paper(of(method, sharp, trapped, private, public, made))
    images, labels = made["images"], made["labels"]
    logits = Sharp()(torch.stack([shown(image) for image in images])).logits
    hit = logits.argmax(dim=1) == labels
    assert found.aa1 == pytest.approx(float(hit.double().mean()), abs=1e-6)
    assert 0 < found.n_success == int(hit.sum()) < 20
    wanted = knn_loop([judged(image) for image in images], labels, private)
    assert found.knn_dist == pytest.approx(wanted, abs=2e-6)
    assert found.pixels == ENLARGED and found.attack_batch == OFFICIAL[method]


def test_the_standard_scores_are_of_raw_images_whatever_the_attack(
    private: dict[str, Tensor], public: Tensor, trapped: Checkpoint, sharp: Checkpoint
) -> None:
    made, found = pale(), {}
    for method in (*OFFICIAL, "random"):
        scores = of(method, sharp, trapped, private, public, made)
        found[method] = scores
        wanted = knn_loop(list(made["images"]), made["labels"], private)
        assert scores.knn_dist == pytest.approx(wanted, abs=2e-6)
        assert scores.signature == found["gmi"].signature
        assert scores.frechet == found["gmi"].frechet
    distances = [paper(found[method]).knn_dist for method in ("gmi", "lomma")]
    assert len({found["gmi"].knn_dist, *distances}) == 3
    assert found["random"].paper is None  # an attack of nobody's


def test_files_move_distances_and_signature_but_not_the_successes(
    private: dict[str, Tensor], public: Tensor, trapped: Checkpoint, sharp: Checkpoint
) -> None:
    """PLG-MI's successes are those of raw images; their files are compared."""
    made = pale()
    files = torch.stack([as_png(image) for image in made["images"]])
    raw = of("plgmi", sharp, trapped, private, public, made)
    assert raw.n_success == paper(raw).n_success == 19
    network = Sharp()
    real = network(private["train_images"].float() / 255).features
    wanted = frechet(network(files[1:]).features, real)  # image 0 shows somebody else
    assert paper(raw).frechet == pytest.approx(wanted, abs=1e-6) and wanted != raw.frechet
    stored = of("plgmi", sharp, trapped, private, public, made | {"images": files})
    assert paper(raw).signature == stored.signature != raw.signature


def test_without_an_enlarging_evaluator_images_keep_their_pixels(
    private: dict[str, Tensor], public: Tensor, trapped: Checkpoint, evaluator: Checkpoint
) -> None:
    found = of("gmi", evaluator, trapped, private, public, reconstruction())
    assert paper(found).pixels == SIZE and paper(found).aa1 == found.aa1 == 1


def test_a_last_partial_batch_is_dropped_on_both_sides(
    private: dict[str, Tensor], public: Tensor, trapped: Checkpoint, evaluator: Checkpoint
) -> None:
    """Batches of 100: of 240 private images the first 200 count, of 20 successes all."""
    many = {name: part.repeat(6, *[1] * (part.ndim - 1)) for name, part in private.items()}
    fewer = many | {name: many[name][:200] for name in ("train_images", "train_labels")}
    found = {
        (method, len(part["train_labels"])): of(
            method, evaluator, trapped, part, public, reconstruction()
        )
        for method in ("plgmi", "lomma")
        for part in (many, fewer)
    }
    assert paper(found["plgmi", 240]).frechet is not None
    assert paper(found["plgmi", 240]).frechet == paper(found["plgmi", 200]).frechet
    assert paper(found["lomma", 240]).frechet == found["lomma", 240].frechet
    assert paper(found["lomma", 240]).frechet != paper(found["lomma", 200]).frechet


def crowd(found: int) -> dict[str, Any]:
    """30 reconstructions of everybody, of which so many were found."""
    labels = torch.arange(CLASSES).repeat_interleave(30)
    made = {"images": faces(labels, 9), "labels": labels, "draws": torch.arange(30).repeat(CLASSES)}
    return made | {"found": torch.arange(len(labels)) < found, "counts": {}, "left_out": 0}


def test_of_many_successes_the_last_partial_batch_is_dropped_too(
    private: dict[str, Tensor], public: Tensor, trapped: Checkpoint, evaluator: Checkpoint
) -> None:
    scores = {
        (method, n): of(method, evaluator, trapped, private, public, crowd(n))
        for method in ("plgmi", "lomma")
        for n in (120, 100)
    }
    assert [one.n_success for one in scores.values()] == [120, 100] * 2
    assert paper(scores["plgmi", 120]).frechet == paper(scores["plgmi", 100]).frechet is not None
    assert scores["plgmi", 120].frechet != scores["plgmi", 100].frechet
    assert paper(scores["lomma", 120]).frechet != paper(scores["lomma", 100]).frechet


def test_no_floor_under_the_number_of_successes(
    private: dict[str, Tensor], public: Tensor, trapped: Checkpoint, evaluator: Checkpoint
) -> None:
    """Three are a distance to the papers; of one and of none nobody has one."""
    for n in (0, 1, 2, 3):
        made = reconstruction(shift=1)
        made["images"][:n] = reconstruction()["images"][:n]
        found = of("gmi", evaluator, trapped, private, public, made, frechet_min_success=30)
        assert paper(found).n_success == found.n_success == n and found.frechet is None
        assert (paper(found).frechet is None) == (n < 2)
        assert paper(found).knn_dist is not None
    made["found"][:] = False
    nothing = paper(of("gmi", evaluator, trapped, private, public, made))
    assert nothing.knn_dist is None and nothing.aa1 == 0 and nothing.signature is None


def test_brepmis_code_has_neither_distances_nor_a_deviation(
    private: dict[str, Tensor], public: Tensor, trapped: Checkpoint, evaluator: Checkpoint
) -> None:
    made = reconstruction()
    first = {k: v if k in ("counts", "left_out") else v[::5].clone() for k, v in made.items()}
    found = paper(of("brepmi", evaluator, trapped, private, public, first))
    assert found.aa1 == 1
    assert (found.knn_dist, found.frechet, found.aa1_std) == (None, None, None)


def test_lommas_conventions(
    private: dict[str, Tensor], public: Tensor, evaluator: Checkpoint, trapped: Checkpoint
) -> None:
    """AA-5 of the last draw alone; the deviation of four people in one batch."""
    made = reconstruction()
    made["found"][[1, 3, 4]] = (
        False  # of the first person: the first draw is found, the last is not
    )
    found = of("lomma", evaluator, trapped, private, public, made)
    assert found.aa5 == 0.85 and paper(found).aa5 == 0.75
    one = statistics.stdev([1, 0.75, 1, 0.75, 0.75])
    assert paper(found).aa1_std == found.aa1_std == pytest.approx(one, abs=1e-6)


@pytest.mark.parametrize(
    ("method", "wanted"), [("plgmi", 0.046829), ("gmi", 0.031987), ("kedmi", 0.031987)]
)
def test_the_deviation_within_a_run_at_paper_size(method: str, wanted: float) -> None:
    """5,000 drawn hits; the numbers are the official scripts'."""
    scoring = wiring.paper_scoring(method)
    assert scoring is not None and scoring.deviation == "root_of_mean_variance"
    assert accuracy.within_run_std(*paper_size(), scoring.batch) == pytest.approx(wanted, abs=5e-7)


def test_lommas_deviation_within_a_run_at_paper_size() -> None:
    """The mean of the batches' deviations, not the root of their mean variance."""
    scoring = wiring.paper_scoring("lomma")
    assert scoring is not None and scoring.deviation == "mean_of_deviations"
    found = accuracy.mean_of_stds(*paper_size(), scoring.batch)
    assert found == pytest.approx(0.062517, abs=5e-7)
    root = accuracy.within_run_std(*paper_size(), scoring.batch)
    assert root == pytest.approx(0.066166, abs=5e-7)


def paper_size() -> tuple[Tensor, Tensor, Tensor]:
    hits = torch.rand(5000, generator=torch.Generator().manual_seed(0)) < 0.3
    return hits, torch.arange(1000).repeat_interleave(5), torch.arange(5).repeat(1000)


@pytest.mark.parametrize(("arch", "pixels"), [("facenet112", 112), ("inception_v3", 299)])
def test_the_papers_evaluators_are_shown_their_own_pixels(arch: str, pixels: int) -> None:
    """Of the two tracks; PIL enlarges to so many before 8-bit images are judged."""
    assert wiring.target(arch).side == pixels  # type: ignore[attr-defined]
