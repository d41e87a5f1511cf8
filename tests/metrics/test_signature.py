"""Trapdoor signatures on a linear target with a planted trigger direction."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from sklearn.metrics import roc_auc_score

from trapmid.metrics.accuracy import balanced_labels
from trapmid.metrics.signature import cosine_scores, detect, intervals_of, planted, signatures
from trapmid.metrics.statistics.intervals import of_mean, of_rate, wilson
from trapmid.runtime import Runtime
from trapmid.training.trapdoors import Blend
from trapmid.types import Output, Target

CLASSES, WIDTH = 4, 24


@pytest.fixture
def world() -> dict[str, torch.Tensor]:
    """Clean features are noise; poisoned ones point along the direction of their class."""
    generator = torch.Generator().manual_seed(0)
    directions = torch.linalg.qr(torch.randn(WIDTH, CLASSES, generator=generator)).Q.T

    def noise(count: int) -> torch.Tensor:
        return torch.randn(count, WIDTH, generator=generator) / WIDTH**0.5

    assigned = torch.arange(200) % CLASSES
    return {
        "directions": directions,
        "assigned": assigned,
        "poisoned": noise(200) + 3 * directions[assigned],
        "train": noise(400),
        "public": noise(300),
        "trapped": noise(40) + 3 * directions[torch.arange(40) % CLASSES],
        "faces": noise(40),
    }


class Flat(Target):
    """Its features are the pixels."""

    num_classes = CLASSES

    def forward(self, images: torch.Tensor) -> Output:
        return Output(images.flatten(1)[:, :CLASSES], images.flatten(1))


def test_planted_is_the_mean_over_images_with_one_trigger_each() -> None:
    """Eq. 6: E g((1 - a) x + a k) over every image that a balanced list gives to the class."""
    rt = Runtime(device=torch.device("cpu"), seed=5, precision="fp32")
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (14, 3, 4, 4), dtype=torch.uint8, generator=generator)
    triggers = torch.rand(CLASSES, 3, 4, 4, generator=generator)
    found = planted(Flat(), Blend(triggers, 0.25), images, rt, batch_size=5)
    given = balanced_labels(14, CLASSES, rt.generator("signature", "signatures"))
    for label in range(CLASSES):
        rows = [
            0.75 * image.double() / 255 + 0.25 * triggers[label]
            for image, own in zip(images, given, strict=True)
            if own == label
        ]
        torch.testing.assert_close(found[label].view(3, 4, 4), sum(rows) / len(rows))


def test_signatures_are_the_class_means(world: dict[str, torch.Tensor]) -> None:
    found = signatures(world["poisoned"], world["assigned"], CLASSES)
    for label in range(CLASSES):
        rows = world["poisoned"][world["assigned"] == label].double()
        torch.testing.assert_close(found[label], rows.mean(dim=0))
    cosine = F.cosine_similarity(found, world["directions"].double())
    assert cosine.min() > 0.98


def test_trapped_reconstructions_are_found_and_faces_are_not(
    world: dict[str, torch.Tensor],
) -> None:
    centres = signatures(world["poisoned"], world["assigned"], CLASSES)
    score = {
        name: cosine_scores(
            world[name], (world[name] @ world["directions"].T).argmax(dim=1), centres
        )
        for name in ("train", "public", "trapped", "faces")
    }
    caught = detect(score["trapped"], score["public"], score["train"], fpr=0.05)
    assert caught.recall == 1
    assert caught.auc == 1
    assert caught.fpr_train == pytest.approx(0.05, abs=1 / 400)
    assert 0 < caught.fpr_public < 0.12
    ordered = score["train"].sort().values  # NumPy's linear quantile, by hand
    place = 0.95 * 399
    low = int(place)
    expected = ordered[low] + (place - low) * (ordered[low + 1] - ordered[low])
    assert caught.threshold == pytest.approx(float(expected), abs=1e-12)
    missed = detect(score["faces"], score["public"], score["train"], fpr=0.05)
    assert missed.recall < 0.2
    assert 0.3 < missed.auc < 0.7


def test_the_score_belongs_to_the_predicted_class() -> None:
    centres = torch.eye(3, dtype=torch.float64)
    features = torch.tensor([[2.0, 0.0, 0.0], [2.0, 0.0, 0.0], [3.0, 4.0, 0.0]])
    found = cosine_scores(features, torch.tensor([0, 1, 1]), centres)
    torch.testing.assert_close(found, torch.tensor([1.0, 0.0, 0.8], dtype=torch.float64))


def test_auc_counts_public_as_negative() -> None:
    recovered, public = torch.tensor([0.9, 0.2, 0.6]), torch.tensor([0.1, 0.5])
    pairs = [(r > p).item() for r in recovered for p in public]
    found = detect(recovered, public, torch.linspace(0, 1, 11), fpr=0.1)
    assert found.auc == pytest.approx(sum(pairs) / len(pairs))
    theirs = roc_auc_score([0, 0, 1, 1, 1], [0.1, 0.5, 0.9, 0.2, 0.6])
    assert found.auc == pytest.approx(theirs, abs=1e-12)


def test_auc_is_scikit_learns_with_equal_scores_among_them() -> None:
    draw = torch.Generator().manual_seed(0)
    recovered = torch.randint(2, 12, (57,), generator=draw) / 10
    public = torch.randint(0, 10, (83,), generator=draw) / 10
    found = detect(recovered, public, torch.linspace(0, 1, 11), fpr=0.1)
    theirs = roc_auc_score([0] * 83 + [1] * 57, torch.cat([public, recovered]).double().numpy())
    assert found.auc == pytest.approx(theirs, abs=1e-12)


def test_only_what_lies_above_the_threshold_counts() -> None:
    """The threshold is 0.7; three of ten training images, a quarter of the public ones and half of
    the reconstructions are above it, and some are at it."""
    train = torch.tensor([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.7, 0.8, 0.9, 1.0]).double()
    public = torch.tensor([0.7, 0.7, 0.2, 0.8]).double()
    recovered = torch.tensor([0.7, 0.9, 0.95, 0.1]).double()
    found = detect(recovered, public, train, fpr=0.3)
    assert found.threshold == pytest.approx(0.7)
    assert found.fpr_train == 3 / 11
    assert (found.fpr_public, found.recall) == (1 / 4, 2 / 4)
    within = intervals_of(found, recovered, public, torch.tensor([0, 1, 1, 2]))
    assert within["fpr_public"] == wilson(1, 4)
    assert within["recall"] == of_rate([False, True, True, False], [0, 1, 1, 2])


def test_intervals_are_over_people_and_public_images() -> None:
    """Four people of five images; the AUC of an image is its share of public images below it."""
    draw = torch.Generator().manual_seed(3)
    recovered, public = torch.rand(20, generator=draw) + 0.2, torch.rand(60, generator=draw)
    labels = torch.arange(4).repeat_interleave(5)
    found = detect(recovered, public, torch.linspace(0, 1, 11), fpr=0.3)
    within = intervals_of(found, recovered, public, labels)
    assert within["recall"] == of_rate(recovered > found.threshold, labels)
    below = [(public < one).double().mean().item() for one in recovered]
    ours, theirs = within["auc"], of_mean(below, labels)
    assert theirs is not None and ours is not None
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high))
    assert ours.low <= found.auc <= ours.high
    above = int((public > found.threshold).sum())
    assert within["fpr_public"] == wilson(above, 60)


def test_signatures_that_all_lie_above_have_an_interval() -> None:
    recovered, public, labels = torch.full((20,), 0.9), torch.rand(30) / 2, torch.arange(20) // 5
    found = detect(recovered, public, torch.linspace(0, 0.5, 11), fpr=0.1)
    within = intervals_of(found, recovered, public, labels)
    assert (found.auc, found.recall) == (1.0, 1.0)
    assert within["auc"] == within["recall"]
    assert within["recall"].low < within["recall"].high == 1.0


def test_a_class_without_poisoned_images_is_refused() -> None:
    with pytest.raises(ValueError, match=r"for the classes \[1, 3\]"):
        signatures(torch.ones(2, 5), torch.tensor([0, 2]), 4)
