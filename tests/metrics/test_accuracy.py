"""Hit rates and the papers' within-run deviation."""

from __future__ import annotations

import statistics

import numpy as np
import pytest
import torch
from sklearn.metrics import balanced_accuracy_score

from trapmid.metrics.accuracy import (
    balanced_labels,
    best_classes,
    hit_shares,
    hits,
    mean_of_stds,
    rate,
    rate_by_class,
    within_run_std,
)


def test_hits_by_hand() -> None:
    logits = torch.tensor([[3.0, 2.0, 1.0], [1.0, 3.0, 2.0], [0.0, 0.0, 0.0]])
    labels = torch.tensor([0, 2, 2])
    assert hits(logits, labels).tolist() == [True, False, False]
    assert hits(logits, labels, 2).tolist() == [True, True, False]
    assert hits(logits, labels, 5).all()  # five of three classes
    assert rate(hits(logits, labels)) == pytest.approx(1 / 3)
    assert best_classes(logits, 5).shape == (3, 3)


def test_hits_break_ties_as_the_best_classes_do() -> None:
    """Five levels among nine classes: nearly every boundary is tied."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randint(5, (200, 9), generator=generator).float()
    labels = torch.randint(9, (200,), generator=generator)
    for k in (1, 3, 5):
        among = (best_classes(logits, k) == labels[:, None]).any(dim=1)
        assert hits(logits, labels, k).tolist() == among.tolist()


def _grid(classes: int, draws: int) -> tuple[torch.Tensor, torch.Tensor]:
    labels = torch.arange(classes).repeat_interleave(draws)
    return labels, torch.arange(draws).repeat(classes)


def test_the_published_pair_of_two_successes() -> None:
    """0.04 +- 0.11 % is two successes in one batch of 250 ids."""
    labels, draws = _grid(1000, 5)
    hit = torch.zeros(5000, dtype=torch.bool)
    hit[10 * 5 + 0] = hit[200 * 5 + 3] = True
    std = within_run_std(hit, labels, draws, 250)
    assert std is not None
    assert (round(100 * rate(hit), 2), round(100 * std, 2)) == (0.04, 0.11)
    # The released batches of 60 could not have printed this pair.
    other = within_run_std(hit, labels, draws, 60)
    assert other is not None
    assert round(100 * other, 2) != 0.11


def test_std_equals_the_scripts_loop_in_any_row_order() -> None:
    labels, draws = _grid(10, 4)
    hit = torch.rand(40, generator=torch.Generator().manual_seed(0)) < 0.4
    variances = []
    for batch in (range(4), range(4, 8), range(8, 10)):
        accuracies = []
        for draw in range(4):
            inside = [bool(hit[4 * label + draw]) for label in batch]
            accuracies.append(sum(inside) / len(inside))
        variances.append(statistics.variance(accuracies))
    expected = statistics.mean(variances) ** 0.5
    order = torch.randperm(40, generator=torch.Generator().manual_seed(1))
    std = within_run_std(hit[order], labels[order] + 7, draws[order], 4)
    assert std == pytest.approx(expected, abs=1e-12)


def test_lommas_deviation_is_the_mean_of_the_batches() -> None:
    labels, draws = _grid(4, 3)
    hit = torch.tensor([1, 0, 1, 1, 1, 1, 0, 0, 1, 0, 0, 1]).bool()
    first, second = statistics.stdev([1, 0.5, 1]), statistics.stdev([0, 0, 1])
    assert mean_of_stds(hit, labels, draws, 2) == pytest.approx((first + second) / 2, abs=1e-12)
    other = within_run_std(hit, labels, draws, 2)
    assert other == pytest.approx(((first**2 + second**2) / 2) ** 0.5, abs=1e-12)


def test_one_draw_has_no_deviation_and_gaps_are_refused() -> None:
    labels, draws = _grid(6, 1)
    assert within_run_std(torch.ones(6, dtype=torch.bool), labels, draws, 3) is None
    labels, draws = _grid(6, 2)
    with pytest.raises(ValueError, match="each draw exactly once"):
        within_run_std(torch.ones(11, dtype=torch.bool), labels[:-1], draws[:-1], 3)
    twice = torch.cat([torch.arange(12), torch.tensor([4])])
    with pytest.raises(ValueError, match="each draw exactly once"):
        within_run_std(torch.ones(13, dtype=torch.bool), labels[twice], draws[twice], 3)


def test_hit_shares_are_of_every_class_that_was_attacked() -> None:
    """Whatever the order of the images, and without the classes that were not attacked."""
    hit = torch.tensor([1, 1, 0, 1, 1, 0]).bool()
    labels = torch.tensor([7, 2, 7, 7, 7, 2])
    assert hit_shares(hit, labels) == {2: 0.5, 7: 0.75}
    assert list(hit_shares(hit, labels)) == [2, 7]
    assert rate_by_class(hit, labels) == 0.625  # each class once; of the images four of six


def test_a_rate_by_class_is_scikit_learns_balanced_accuracy() -> None:
    draw = np.random.default_rng(4)
    labels, logits = (
        np.repeat(np.arange(5), [60, 12, 9, 6, 3]),
        torch.from_numpy(draw.random((90, 5))),
    )
    hit = hits(logits, torch.from_numpy(labels))
    theirs = balanced_accuracy_score(labels, logits.argmax(dim=1))
    assert rate_by_class(hit, torch.from_numpy(labels)) == pytest.approx(theirs)


def test_balanced_labels() -> None:
    labels = balanced_labels(27_008, 1000, torch.Generator().manual_seed(0))
    counts = torch.bincount(labels, minlength=1000)
    assert len(labels) == 27_008
    assert counts.min() == 27
    assert counts.max() == 28
    assert (counts == 28).sum() == 8
    assert not torch.equal(labels, labels.sort().values)
    assert torch.equal(labels, balanced_labels(27_008, 1000, torch.Generator().manual_seed(0)))


def test_balanced_labels_prefer_no_class_and_no_place() -> None:
    """Three labels of seven classes: over seeds every class comes everywhere equally often."""
    drawn = [balanced_labels(3, 7, torch.Generator().manual_seed(seed)) for seed in range(2100)]
    assert all(len(labels.unique()) == 3 for labels in drawn)
    for place in range(3):
        counts = torch.bincount(torch.stack(drawn)[:, place], minlength=7)
        assert counts.min() > 220 and counts.max() < 380  # 300 each; five deviations of 16
    orders = [balanced_labels(4, 4, torch.Generator().manual_seed(seed)) for seed in range(200)]
    assert 20 < sum(int(order[0]) == 0 for order in orders) < 80  # 50; five deviations of 6
