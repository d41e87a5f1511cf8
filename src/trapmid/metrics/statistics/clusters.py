"""Values that come in clusters, several images of one person: how far their mean may lie off.

By a bootstrap of whole clusters.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from trapmid.metrics.statistics.values import Numbers, finite

RESAMPLES = 2000
_CHUNK = 4_000_000  # weights of a bootstrap that are in memory at once
_CORRELATION = 0.4  # of a person's images, the highest of 24 rates of the default study

Drawn = npt.NDArray[np.uint32]


class Clusters(NamedTuple):
    """Clusters, those that are alike counted: a resample cannot tell them apart.

    Small ones come first, and of one size those of a small sum: the order of the rows has no
    influence. Nor has it a place that is drawn: where values rise, no resample's mean falls.
    """

    size: Numbers  # (K,) how many values
    total: Numbers  # (K,) their sum
    times: npt.NDArray[np.int64]  # (K,) how many clusters are like this
    equal: bool = False  # every cluster counts once; otherwise every value does

    @classmethod
    def of(cls, values: npt.ArrayLike, clusters: npt.ArrayLike, *, equal: bool = False) -> Clusters:
        """Values (N,) of the clusters (N,), numbers that tell them apart.

        Raises:
            ValueError: there is no value, or one that is not finite.
        """
        numbers = finite(values)
        _, place = np.unique(np.asarray(clusters), return_inverse=True)
        order = np.lexsort((numbers, place))  # a sum of floats depends on its order
        numbers, place = numbers[order], place[order]
        pairs = np.stack([np.bincount(place), np.bincount(place, weights=numbers)])
        kinds, times = np.unique(pairs, axis=1, return_counts=True)
        return cls(kinds[0], kinds[1], times, equal)

    @property
    def number(self) -> int:
        return int(self.times.sum())

    @property
    def means(self) -> Numbers:
        """(K,) of each kind's values."""
        return self.total / self.size

    @property
    def mean(self) -> float:
        """Of all values, or of the clusters' means."""
        total, weight = self._weighed()
        return float((self.times @ total) / (self.times @ weight))

    @property
    def independent(self) -> float:
        """How many values that all weigh alike have a mean as sure as this, were none correlated.

        As many as there are, unless the small clusters' values weigh more (Kish's effective size).
        """
        return self._worth(0.0)

    @property
    def worth(self) -> float:
        """Likewise, if values of one cluster have the correlation assumed."""
        return self._worth(_CORRELATION)

    def _worth(self, correlation: float) -> float:
        """The inverse of the mean's variance, in those of one value.

        By the clusters' sizes alone, whatever their values: to the last digit, too.
        """
        size, place = np.unique(self.size, return_inverse=True)
        times = np.bincount(place, weights=self.times)
        weight = np.ones_like(size) if self.equal else size
        of_mean = (1 + (size - 1) * correlation) / size
        return float((times @ weight) ** 2 / (times @ (weight**2 * of_mean)))

    def resampled(self, seed: int) -> Numbers:
        """(RESAMPLES,) means of as many clusters, drawn with replacement."""
        total, weight = self._weighed()
        first = np.cumsum(self.times) - self.times  # where each kind begins
        means = []
        for drawn in _draws(self.number, seed):
            counts = np.add.reduceat(drawn, first, axis=1, dtype=np.int64)
            means.append((counts @ total) / (counts @ weight))
        return np.concatenate(means)

    def _weighed(self) -> tuple[Numbers, Numbers]:
        """What a cluster of each kind adds to the sum of values, and to their number."""
        return (self.means, np.ones_like(self.size)) if self.equal else (self.total, self.size)


def _draws(number: int, seed: int) -> Iterable[Drawn]:
    """How often each of so many clusters is drawn, (RESAMPLES, number), in parts."""
    if RESAMPLES * number <= _CHUNK:
        return [_kept(number, seed)]
    return _drawn(number, seed)


@functools.lru_cache(maxsize=4)
def _kept(number: int, seed: int) -> Drawn:
    """A row has some twenty rates of the same people."""
    (drawn,) = _drawn(number, seed)
    drawn.flags.writeable = False
    return drawn


def _drawn(number: int, seed: int) -> Iterator[Drawn]:
    draw: Any = np.random.default_rng(seed)
    step, equal = max(1, _CHUNK // number), np.full(number, 1 / number)
    for start in range(0, RESAMPLES, step):
        size = min(step, RESAMPLES - start)
        yield draw.multinomial(number, equal, size=size).astype(np.uint32)
