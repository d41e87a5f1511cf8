"""The best rows of every class, against sorting by hand."""

from __future__ import annotations

import torch

from toy import uniform
from trapmid.search.selection import most_of_each, ranks


def test_the_best_of_each_label_come_by_label_and_score() -> None:
    labels = torch.arange(5).repeat(4)[torch.randperm(20, generator=torch.Generator())]
    scores = (4 * uniform(20, 1).squeeze(1)).round()  # many are equal
    found = most_of_each(labels, scores, 3).tolist()
    wanted = []
    for label in range(5):
        rows = [i for i in range(20) if labels[i] == label]
        wanted += sorted(rows, key=lambda i: (-scores[i].item(), i))[:3]
    assert found == wanted


def test_a_label_with_fewer_rows_keeps_them() -> None:
    found = most_of_each(torch.tensor([3, 1, 3]), torch.tensor([0.1, 0.2, 0.9]), 5)
    assert found.tolist() == [1, 2, 0]


def test_ranks_count_from_zero() -> None:
    assert ranks(torch.tensor([0, 0, 2, 2, 2, 5])).tolist() == [0, 1, 0, 1, 2, 0]
