"""Identification by parameters: whom an image shows, and what of the person is in it.

A drawn person is a vector of parameters, so the truth is known of everybody. A reading is what a
judge finds in an image; a parameter counts as far as readings of it can be relied on.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from trapmid.metrics.verification import others, own

_LEAST = 0.05  # a parameter of less reliability does not count
_MOST = 0.95  # none counts for more than one of this reliability: it would count alone


class Likeness(NamedTuple):
    """How alike images are to the person they are to show, and to other people; None: no image."""

    attacked: float | None
    others: float | None  # mean over images and all other people: what says nothing has


def reliability(readings: Tensor, truth: Tensor) -> Tensor:
    """R squared of every parameter, no less than 0: the share of its variance that is read.

    Args:
        readings, truth: (N, A), of N images of several people.

    Returns:
        (A,) float64 in [0, 1]; 0 where a parameter does not vary.
    """
    readings, truth = readings.double(), truth.double()
    error = (readings - truth).square().sum(dim=0)
    spread = (truth - truth.mean(dim=0)).square().sum(dim=0)
    return torch.where(spread > 0, 1 - error / spread.clamp(min=1e-12), 0.0).clamp(0, 1)


def calibrated(readings: Tensor, mean: Tensor, reliability: Tensor) -> Tensor:
    """Readings that are right on average for every value of a parameter.

    A judge trained by squared error answers the mean parameter where it cannot tell: its readings
    are the truth shrunk by the reliability. Undone, an image near the mean is nobody's more than
    another's. What is hardly read at all is left at the mean, and has no weight.

    Args:
        readings: (N, A).
        mean: (A,) of each parameter over people.
        reliability: (A,) in [0, 1].
    """
    counts = reliability >= _LEAST
    unshrunk = mean + (readings - mean) / reliability.clamp(min=_LEAST)
    return torch.where(counts, unshrunk, mean)


def precision(reliability: Tensor) -> Tensor:
    """How much each parameter counts: the inverse of its calibrated reading's error variance.

    In units of the variance between people that error is (1 - r) / r, so that the distance of a
    reading from a person is, but for a constant, the likelihood of the person (normal errors).

    Args:
        reliability: r, (A,) in [0, 1].
    """
    most = reliability.clamp(max=_MOST)
    return torch.where(reliability >= _LEAST, most / (1 - most), 0.0)


def distances(readings: Tensor, truth: Tensor, deviation: Tensor, weights: Tensor) -> Tensor:
    """How far each image is from each person, in units of the deviation between people.

    The root of the weighted mean square over the parameters.

    Args:
        readings: (N, A).
        truth: (C, A), of the people.
        deviation: (A,) of each parameter between people, above 0.
        weights: (A,), how much each counts; where all are 0, nothing is far.

    Returns:
        (N, C) float64.
    """
    share = weights.double() / weights.double().sum().clamp(min=1e-12)
    scale = share.sqrt() / deviation.double()
    return torch.cdist(
        readings.double() * scale,
        truth.double() * scale,
        compute_mode="donot_use_mm_for_euclid_dist",
    )


def likeness(values: Tensor, labels: Tensor) -> Likeness:
    """The means of a value (N, C) of each image and person: of attacked people, and of others.

    Everybody counts once, however many images show a person.
    """
    if not len(values):
        return Likeness(None, None)
    return Likeness(
        _over_people(own(values, labels).double(), labels),
        _over_people(others(values, labels).double().mean(dim=1), labels),
    )


def _over_people(values: Tensor, labels: Tensor) -> float:
    """The mean of the people's means of a value (N,) of each image."""
    _, person = labels.unique(return_inverse=True)
    return float((torch.bincount(person, weights=values) / torch.bincount(person)).mean())


def equal(marks: Tensor, truth: Tensor) -> Tensor:
    """Whether the mark (N,) of each image is that (C,) of each person; bool (N, C)."""
    return marks[:, None] == truth


def farther(values: Tensor, labels: Tensor) -> float | None:
    """Share of pairs of an image and another person who is farther from it than the attacked one.

    It is 0.5 where images say nothing of whom they are to show, 1 where each is nearest to that
    person; a tie counts half. Everybody counts once. It is the area under the ROC curve of every
    image, averaged.

    Args:
        values: (N, C) distances.
        labels: (N,) int64, the attacked people.

    Returns:
        None without an image.
    """
    return _over_people(farther_by_image(values, labels), labels) if len(values) else None


def farther_by_image(values: Tensor, labels: Tensor) -> Tensor:
    """That share for every image: (N,) float64 in [0, 1]."""
    gap = others(values, labels) - own(values, labels)[:, None]
    return (gap > 0).double().add((gap == 0).double() / 2).mean(dim=1)
