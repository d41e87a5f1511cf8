"""Distances between readings and people, against literal loops, scikit-learn and known values."""

from __future__ import annotations

import math
import statistics

import pytest
import torch
from sklearn.metrics import r2_score, roc_auc_score

from trapmid.metrics import identification, verification

WEIGHTS, DEVIATION = torch.tensor([0.5, 0.0, 2.0]), torch.tensor([0.1, 7.0, 0.4])


def people(n: int, seed: int) -> torch.Tensor:
    return torch.rand(n, 3, generator=torch.Generator().manual_seed(seed))


def test_reliability_is_r_squared_and_never_negative() -> None:
    truth = people(50, 0)
    noise = torch.randn(50, 3, generator=torch.Generator().manual_seed(1))
    read = truth + noise * torch.tensor([0.05, 0.2, 3.0])
    found = identification.reliability(read, truth)
    expected = r2_score(truth.double(), read.double(), multioutput="raw_values")
    assert expected[2] < 0 and float(found[2]) == 0
    assert found[:2].tolist() == pytest.approx(expected[:2].tolist(), abs=1e-9)
    assert identification.reliability(truth, truth).tolist() == [1.0] * 3
    assert identification.reliability(truth, torch.ones(50, 3)).tolist() == [0.0] * 3


def test_distances_are_those_of_a_loop() -> None:
    read, truth = people(5, 2), people(4, 3)
    found = identification.distances(read, truth, DEVIATION, WEIGHTS)
    for i in range(5):
        for c in range(4):
            terms = [
                float(w) * ((float(read[i, a]) - float(truth[c, a])) / float(s)) ** 2
                for a, (w, s) in enumerate(zip(WEIGHTS, DEVIATION, strict=True))
            ]
            expected = math.sqrt(sum(terms) / float(WEIGHTS.sum()))
            assert float(found[i, c]) == pytest.approx(expected, rel=1e-9)


def test_strangers_are_the_root_of_two_deviations_apart() -> None:
    """E (x - y)^2 = 2 var for independent people, in whichever units."""
    many = torch.randn(2, 2000, 3, generator=torch.Generator().manual_seed(4)) * DEVIATION
    found = identification.distances(many[0], many[1], DEVIATION, WEIGHTS)
    assert float(found.square().mean()) == pytest.approx(2, rel=0.03)


def test_calibrated_readings_have_slope_1_and_the_error_of_their_precision() -> None:
    """A posterior mean of normal truth and noise: its slope is the reliability, r = 1 / (1 + v)."""
    generator = torch.Generator().manual_seed(9)
    truth = torch.randn(40_000, 3, generator=generator)
    noise = torch.tensor([0.25, 1.0, 3.0])  # variances v
    seen = truth + noise.sqrt() * torch.randn(40_000, 3, generator=generator)
    read = 0.3 + seen / (1 + noise)
    truth = truth + 0.3
    reliability = identification.reliability(read, truth)
    assert reliability.tolist() == pytest.approx((1 / (1 + noise)).tolist(), abs=0.01)
    found = identification.calibrated(read, torch.full((3,), 0.3), reliability.float())
    for a in range(3):
        slope = torch.cov(torch.stack([truth[:, a], found[:, a]]))[0] / truth[:, a].var()
        assert float(slope[1]) == pytest.approx(1, abs=0.03)
        error = float((found[:, a] - truth[:, a]).square().mean())
        assert error == pytest.approx(float(noise[a]), rel=0.05)
        assert float(identification.precision(reliability)[a]) == pytest.approx(1 / error, rel=0.05)


def test_what_is_hardly_read_has_no_weight_and_nothing_has_all() -> None:
    found = identification.precision(torch.tensor([0.0, 0.049, 0.05, 0.5, 0.95, 1.0]))
    assert found.tolist() == pytest.approx([0, 0, 0.05 / 0.95, 1, 19, 19])
    mean = torch.tensor([0.5, 0.5])
    read = torch.tensor([[0.9, 0.7]])
    calibrated = identification.calibrated(read, mean, torch.tensor([0.0, 0.4]))
    assert calibrated[0].tolist() == pytest.approx([0.5, 1.0])
    nothing = identification.distances(read, read + 1, mean, torch.zeros(2))
    assert nothing.tolist() == [[0.0]]


def test_what_is_not_reliable_does_not_count() -> None:
    truth = people(4, 5)
    read = truth.clone()
    read[:, 1] = 100.0
    found = identification.distances(read, truth, DEVIATION, WEIGHTS)
    assert found.diagonal().abs().max() < 1e-12


def over_people(values: dict[int, list[float]]) -> float:
    """Everybody's mean, averaged: with four images or three a person counts once."""
    return statistics.fmean(statistics.fmean(own) for own in values.values())


def test_likeness_parts_the_attacked_person_from_others() -> None:
    values, labels = (
        torch.rand(6, 4, generator=torch.Generator().manual_seed(6)),
        torch.tensor([0, 1, 2, 3, 0, 2]),
    )
    mine: dict[int, list[float]] = {}
    rest: dict[int, list[float]] = {}
    for row, label in zip(values.double().tolist(), labels.tolist(), strict=True):
        mine.setdefault(label, []).append(row[label])
        rest.setdefault(label, []).extend(v for k, v in enumerate(row) if k != label)
    found = identification.likeness(values, labels)
    assert found.attacked == pytest.approx(over_people(mine))
    assert found.others == pytest.approx(over_people(rest))


def test_marks_that_are_equal() -> None:
    marks, truth = torch.tensor([1, -1]), torch.tensor([1, 1, -1])
    assert identification.equal(marks, truth).tolist() == [
        [True, True, False],
        [False, False, True],
    ]


def test_farther_is_the_mean_area_under_the_curve_of_an_image() -> None:
    values = torch.rand(30, 8, generator=torch.Generator().manual_seed(7)).double()
    values[:5] = values[:5].round(decimals=1)  # ties
    labels = torch.arange(30) % 8
    areas: dict[int, list[float]] = {}
    for row, label in zip(values, labels.tolist(), strict=True):
        area = roc_auc_score([k == label for k in range(8)], (-row).tolist())
        areas.setdefault(label, []).append(area)
    assert identification.farther(values, labels) == pytest.approx(over_people(areas))


def test_farther_is_1_at_best_and_a_half_of_what_says_nothing() -> None:
    labels = torch.arange(3)
    assert identification.farther(1 - torch.eye(3), labels) == 1.0
    assert identification.farther(torch.eye(3), labels) == 0.0
    assert identification.farther(torch.ones(3, 3), labels) == 0.5


@pytest.mark.parametrize("n", [0, 1, 2])
def test_few_images(n: int) -> None:
    truth = people(3, 8)
    values = identification.distances(truth[:n], truth, DEVIATION, WEIGHTS)
    labels = torch.arange(n)
    found, farther = identification.likeness(values, labels), identification.farther(values, labels)
    assert (found.attacked, farther) == ((None, None) if n == 0 else (0.0, 1.0))
    assert (found.others is None) == (n == 0)
    assert torch.equal(verification.nearest(values), labels)
