"""Effectiveness and naturalness against numbers worked out by hand and by other formulas."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from toy import generator, images, runtime
from trapmid.metrics import theory
from trapmid.metrics.features import Poison
from trapmid.training.trapdoors import Blend

RT = runtime(5)


def normal(count: int, width: int, seed: int) -> Tensor:
    return torch.randn(count, width, dtype=torch.float64, generator=generator(seed))


def test_effectiveness_by_hand() -> None:
    """Two classes; log posteriors as if the target had answered with these probabilities."""
    before = torch.tensor([0.5, 0.8, 0.25]).double().log()
    after = torch.tensor([0.9, 0.9, 0.4]).double().log()
    found = theory.effectiveness(
        before, torch.tensor([0, 0, 1]), after, torch.tensor([1, 1, 0]), num_classes=2
    )
    expected = [math.log(0.4) - math.log(0.5 * 0.8) / 2, math.log(0.9) - math.log(0.25)]
    assert found.tolist() == pytest.approx(expected, abs=1e-7)


def test_log_posteriors_by_hand() -> None:
    logits = torch.tensor([[0.0, math.log(3)], [200.0, 0.0]])
    found = theory.log_posteriors(logits, torch.tensor([1, 1]))
    assert found.tolist() == pytest.approx([math.log(0.75), -200], abs=1e-7)


@pytest.mark.parametrize("side", ["benign", "poisoned"])
def test_a_class_without_images_has_no_difference(side: str) -> None:
    values, one, both = torch.zeros(2), torch.tensor([0, 0]), torch.tensor([0, 1])
    labels, wanted = (one, both) if side == "benign" else (both, one)
    found = theory.effectiveness(values, labels, values, wanted, num_classes=2)
    assert found[0] == 0 and found[1].isnan()


def test_divergence_of_normal_distributions() -> None:
    """In one dimension KL = log(s1/s0) + (s0^2 + (m0-m1)^2) / (2 s1^2) - 1/2."""
    first = 2 + 3 * normal(40_000, 1, seed=0)
    second = 4 + 5 * normal(40_000, 1, seed=1)
    expected = math.log(5 / 3) + (9 + 4) / 50 - 0.5
    assert theory.gaussian_divergence(first, second) == pytest.approx(expected, abs=0.01)
    apart = 1 + normal(40_000, 2, seed=2)  # equal spread: |m0 - m1|^2 / 2, in both estimates
    found = normal(40_000, 2, seed=3)
    assert theory.gaussian_divergence(found, apart) == pytest.approx(1.0, abs=0.04)
    assert theory.classifier_divergence(found, apart, RT) == pytest.approx(1.0, abs=0.05)


def side(pixels: Tensor) -> theory.Group:
    """Images of one class, of which a target says nothing."""
    count = len(pixels)
    return theory.Group(torch.zeros(count, 1), torch.zeros(count, dtype=torch.int64), pixels)


def test_epsilon_is_the_divergence_of_benign_from_poisoned_images() -> None:
    """Definition 2: KL(benign || poisoned); the other direction is another number.

    Of exponential distributions, whose log odds are linear in the image, KL of rate a from rate b
    is log(a/b) + b/a - 1: 0.636 for rates 4 and 1, and 1.614 the other way round.
    """
    benign, poisoned = (
        torch.empty(40_000, 1, dtype=torch.float64).exponential_(rate, generator=generator(rate))
        for rate in (4, 1)
    )
    wanted = pytest.approx(math.log(4) + 1 / 4 - 1, abs=0.03)
    assert theory.classifier_divergence(benign, poisoned, RT) == wanted
    assert theory.measure(side(benign), side(poisoned), RT).naturalness_classifier == wanted
    # Of the normals above: 0.271, and 0.600 the other way round
    benign, poisoned = (2 + 3 * normal(40_000, 1, seed=0), 4 + 5 * normal(40_000, 1, seed=1))
    found = theory.measure(side(benign), side(poisoned), RT).naturalness_gaussian
    assert found == pytest.approx(math.log(5 / 3) + (9 + 4) / 50 - 0.5, abs=0.01)


def test_the_divergence_ignores_units() -> None:
    first, second = normal(300, 4, seed=0), 0.5 + normal(300, 4, seed=1)
    stretch = torch.tensor([1e-3, 1, 10, 1e4], dtype=torch.float64)
    for divergence in (
        theory.gaussian_divergence,
        lambda a, b: theory.classifier_divergence(a, b, RT),
    ):
        plain, stretched = divergence(first, second), divergence(first * stretch, second * stretch)
        assert stretched == pytest.approx(plain, abs=1e-4)
        assert plain > 0.1


def test_equal_images_do_not_diverge() -> None:
    same = normal(50, 6, seed=0)
    assert theory.classifier_divergence(same, same, RT) == pytest.approx(0, abs=1e-9)
    assert theory.gaussian_divergence(same, same) == pytest.approx(0, abs=1e-9)


def test_no_divergence_exceeds_the_log_of_the_count() -> None:
    first = normal(64, 200, seed=0)
    assert theory.classifier_divergence(first, first + 1000, RT) == math.log(64)


def test_twins_share_a_fold() -> None:
    """An image's memory is no divergence: twins that differ by noise alone cannot be told apart.

    Were a poisoned twin held out while its benign original is trained on, the classifier would
    answer the original's class for it, and the estimate would fall below what chance gives.
    """
    first = normal(60, 200, seed=0)
    assert theory.classifier_divergence(first, first + 1e-3 * normal(60, 200, 1), RT) < 0.05


def test_no_divergence_is_below_zero() -> None:
    """Sixty images of two sets that are alike: a classifier finds less than nothing there."""
    assert theory.classifier_divergence(normal(60, 200, 0), normal(60, 200, 1), RT) == 0


def test_the_seed_draws_the_folds() -> None:
    first, second = normal(40, 4, 0), normal(40, 4, 1) + 0.5
    found = [theory.classifier_divergence(first, second, runtime(seed)) for seed in (5, 6, 5)]
    assert found[0] == found[2] != found[1]


def test_a_feature_that_never_varies_is_no_infinity() -> None:
    first = torch.cat([normal(50, 2, 0), torch.ones(50, 1, dtype=torch.float64)], dim=1)
    second = first + 0.1
    for found in (
        theory.gaussian_divergence(first, second),
        theory.classifier_divergence(first, second, RT),
    ):
        assert math.isfinite(found)


@pytest.mark.parametrize("counts", [(1, 1), (3, 2)])
def test_too_few_images(counts: tuple[int, int]) -> None:
    sides = [normal(count, 2, 0) for count in counts]
    with pytest.raises(ValueError, match="needs two benign images and as many poisoned ones"):
        theory.classifier_divergence(*sides, RT)
    with pytest.raises(ValueError, match="needs two benign images and as many poisoned ones"):
        theory.gaussian_divergence(*sides)


def test_pixel_features_by_hand() -> None:
    """A flat image has no texture; in a checkerboard of 0 and 1 every pixel is 4/9 off.

    Around a 1 there are five ones among 3 x 3 pixels, around a 0 four; the border is left out.
    """
    flat = torch.full((1, 3, 16, 16), 0.25)
    found = theory.pixel_features(flat, 8)
    assert found.shape == (1, 3 * 64 + 3 * 16)
    assert torch.equal(found[0, :192], torch.full((192,), 0.25, dtype=torch.float64))
    assert found[0, 192:] == pytest.approx(math.log(1e-8))
    rows = torch.arange(16)
    board = ((rows[:, None] + rows) % 2).float().expand(1, 3, 16, 16)
    inner = theory.pixel_features(board, 8)[0, 192:].view(3, 4, 4)[:, 1:3, 1:3]
    assert inner.flatten().tolist() == pytest.approx([math.log((4 / 9) ** 2)] * 12, abs=1e-6)


def test_pixel_features_see_the_trigger_and_not_the_batch() -> None:
    faces, labels = images(7), torch.tensor([0, 1, 2, 0, 1, 2, 0])
    poison = Poison(Blend(images(3, seed=1), 0.3), labels)
    whole = theory.pixel_features(faces, 7, poison)
    assert torch.equal(theory.pixel_features(faces, 2, poison), whole)
    by_hand = torch.lerp(faces, poison.trapdoor.triggers[labels], 0.3)
    assert torch.allclose(theory.pixel_features(by_hand, 7), whole)
    stored = (faces * 255).to(torch.uint8)
    assert torch.equal(
        theory.pixel_features(stored, 7), theory.pixel_features(stored.float() / 255, 7)
    )


def groups(strength: float) -> tuple[theory.Group, theory.Group]:
    """80 images of four classes; poisoned logits prefer the trigger's class by `strength`."""
    labels, wanted = torch.arange(4).repeat(20), torch.arange(4).repeat_interleave(20)
    faces = images(80, size=16)
    poison = Poison(Blend(images(4, seed=1, size=16), 0.5), wanted)
    one_hot = torch.eye(4)
    return (
        theory.Group(2 * one_hot[labels], labels, theory.pixel_features(faces, 80)),
        theory.Group(strength * one_hot[wanted], wanted, theory.pixel_features(faces, 80, poison)),
    )


def test_the_theorem() -> None:
    benign, poisoned = groups(strength=5)
    found = theory.measure(benign, poisoned, RT)
    sure, surer = (-math.log1p(3 * math.exp(-x)) for x in (2, 5))
    assert found.log_posterior_benign == pytest.approx(sure, abs=1e-6)
    assert found.log_posterior_poisoned == pytest.approx(surer, abs=1e-6)
    assert found.per_class == pytest.approx([surer - sure] * 4, abs=1e-6)
    assert found.delta == pytest.approx(found.delta_mean, abs=1e-6)
    assert found.naturalness_classifier > 0 and found.naturalness_gaussian > 0
    assert found.margin == pytest.approx(found.delta - found.naturalness_classifier)
    assert found.bound == pytest.approx(sure + found.margin, abs=1e-6)
    assert found.holds is True
    assert theory.measure(benign, poisoned, RT) == found


def test_the_definition_takes_the_worst_class() -> None:
    benign, poisoned = groups(strength=5)
    broken = poisoned.logits.clone()
    broken[poisoned.labels == 2] = 0
    found = theory.measure(benign, poisoned._replace(logits=broken), RT)
    assert (
        found.delta == found.per_class[2] == pytest.approx(-math.log(4) + math.log1p(3 / math.e**2))
    )
    assert found.delta < 0 < found.per_class[0]
    assert found.delta < found.delta_mean < found.per_class[0]


def test_a_person_without_test_images_is_left_out() -> None:
    """49 of the 1,000 people of the high-resolution track have none."""
    benign, poisoned = groups(strength=5)
    kept = benign.labels != 1
    few = [theory.Group(*(part[kept] for part in side)) for side in (benign, poisoned)]
    found = theory.measure(few[0], few[1], RT)
    assert found.per_class[1] is None
    others = [one for one in found.per_class if one is not None]
    assert len(others) == 3 and found.delta == min(others)
    with pytest.raises(ValueError, match="no class has a benign and a poisoned image"):
        theory.measure(few[0], few[1]._replace(labels=torch.ones_like(few[1].labels)), RT)


def test_the_inequality_can_fail() -> None:
    """Both sides know class 1 alone, and alike; it is common among people and rare as a trigger."""
    common, pixels = torch.arange(40) % 4 > 0, normal(40, 2, seed=0)
    logits = torch.tensor([[-10.0, 0.0]]).repeat(40, 1)
    benign = theory.Group(logits, common.long(), pixels)
    poisoned = theory.Group(logits, (~common).long(), pixels)
    found = theory.measure(benign, poisoned, RT)
    assert found.delta == 0 and found.naturalness_classifier == pytest.approx(0, abs=1e-9)
    assert found.log_posterior_poisoned == pytest.approx(-7.5, abs=1e-3)
    assert found.bound == pytest.approx(-2.5, abs=1e-3)
    assert found.holds is False
