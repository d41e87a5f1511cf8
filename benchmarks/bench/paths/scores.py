"""Metrics of one attack, on features that are there; and the delivery of an epoch's images."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from gpu.study import World
from torch import Tensor

from bench.plain import loading
from bench.plain import scores as plain
from bench.timing import Clocked, Path
from trapmid import augment
from trapmid.metrics import accuracy, frechet, knn, neighbours, prdc, signature
from trapmid.metrics.statistics import clusters, intervals
from trapmid.training import fit
from trapmid.training.pseudo_labels import top_n_selection


class Amounts(NamedTuple):
    """Rows of every kind. The reference's loops over pairs take part of them."""

    made: int
    private: int
    public: int
    features: int
    people: int


PAPER = Amounts(5000, 27000, 30000, 512, 1000)
TOY = Amounts(40, 64, 48, 8, 8)
NEIGHBOURS = 3
TOP = 30


class Rows(NamedTuple):
    """Random features, as an evaluator would have made them."""

    made: Tensor
    labels: Tensor
    private: Tensor
    people: Tensor
    public: Tensor
    probabilities: Tensor

    @classmethod
    def drawn(cls, n: Amounts) -> Rows:
        generator = torch.Generator().manual_seed(0)
        made, private, public = (
            torch.randn(count, n.features, generator=generator, dtype=torch.float32)
            for count in (n.made, n.private, n.public)
        )
        answers = torch.randn(n.public, n.people, generator=generator, dtype=torch.float32)
        labels, people = torch.arange(n.made) % n.people, torch.arange(n.private) % n.people
        return cls(made, labels, private, people, public, answers.softmax(dim=1))


class Pair(NamedTuple):
    """A metric by both sides."""

    ours: Callable[[Rows], Any]
    reference: Callable[[Rows], Any]
    few: Callable[[Rows, int], Rows]  # so many of the reference's rounds
    flops: Callable[[Amounts], float]
    bytes: Callable[[Amounts], float]


def _first_made(rows: Rows, n: int) -> Rows:
    return rows._replace(made=rows.made[:n], labels=rows.labels[:n])


def _first_classes(rows: Rows, n: int) -> Rows:
    return rows._replace(probabilities=rows.probabilities[:, :n])


def _of_people(rows: Rows, n: int) -> Rows:
    """All rows of the first so many people."""
    own, real = rows.labels < n, rows.people < n
    made = {"made": rows.made[own], "labels": rows.labels[own]}
    return rows._replace(**made, private=rows.private[real], people=rows.people[real])


@functools.lru_cache(maxsize=1)
def _fitted_to(private: Tensor) -> frechet.Gaussian:
    return frechet.Gaussian.of(private)


def _fitted(rows: Rows) -> frechet.Gaussian:
    """As a study's row has it for all its distances but the first."""
    return _fitted_to(rows.private)


def _hit(rows: Rows) -> Tensor:
    """One in two, unevenly over people."""
    return (torch.arange(len(rows.labels)) * 7 % 10 < rows.labels % 10).long()


_SEEDS = itertools.count(1)  # intervals keep what they drew of a seed and a number of people


def _bootstrap(rows: Rows, seed: int) -> tuple[float, float]:
    values = _hit(rows).double().numpy()
    found = intervals.of_mean(values, rows.labels.numpy(), seed=seed)
    assert found is not None
    return found.low, found.high


def _loop_bootstrap(rows: Rows) -> tuple[float, float]:
    means = plain.bootstrap(_hit(rows).double().numpy(), rows.labels.numpy(), clusters.RESAMPLES)
    low, high = np.quantile(means, (0.025, 0.975))
    return float(low), float(high)


PAIRS: dict[str, Pair] = {
    "top-n": Pair(
        lambda r: tuple(map(Tensor.tolist, top_n_selection(r.probabilities, TOP))),
        lambda r: plain.top_n(r.probabilities, TOP),
        _first_classes,
        lambda n: 0.0,
        lambda n: 4.0 * n.public * n.people,
    ),
    "AA-5": Pair(
        lambda r: accuracy.hits(r.probabilities[: len(r.labels)], r.labels, 5).tolist(),
        lambda r: plain.hits(r.probabilities[: len(r.labels)], r.labels, 5),
        _first_made,
        lambda n: 0.0,
        lambda n: 4.0 * n.made * n.people,
    ),
    "KNN distance": Pair(
        lambda r: knn.nearest_squared(r.made, r.labels, r.private, r.people),
        lambda r: plain.nearest_squared(r.made, r.labels, r.private, r.people),
        _first_made,
        lambda n: 3.0 * n.made * n.private / n.people * n.features,
        lambda n: 4.0 * (n.made + n.private) * n.features,
    ),
    "Frechet distance": Pair(
        lambda r: frechet.frechet(r.made, r.private),
        lambda r: plain.frechet(r.made.double().numpy(), r.private.double().numpy()),
        lambda rows, n: rows,
        lambda n: 2.0 * (n.made + n.private) * n.features**2,
        lambda n: 4.0 * (n.made + n.private) * n.features,
    ),
    "Frechet distance, private side fitted": Pair(
        lambda r: frechet.frechet(r.made, _fitted(r)),
        lambda r: plain.frechet(r.made.double().numpy(), r.private.double().numpy()),
        lambda rows, n: rows,
        lambda n: 2.0 * n.made * n.features**2,
        lambda n: 4.0 * n.made * n.features,
    ),
    "precision, recall, density, coverage": Pair(
        lambda r: prdc.ppa_per_class(r.private, r.people, r.made, r.labels, NEIGHBOURS),
        lambda r: plain.ppa_per_class(r.private, r.people, r.made, r.labels, NEIGHBOURS),
        _of_people,
        lambda n: 2.0 * n.features * (n.made + n.private) ** 2 / n.people,
        lambda n: 4.0 * (n.made + n.private) * n.features,
    ),
    "nearest private image": Pair(
        lambda r: neighbours.nearest_private(r.made, r.private, r.public).all,
        lambda r: plain.nearest_private(r.made, r.private, r.public),
        _first_made,
        lambda n: 2.0 * n.made * (n.private + n.public) * n.features,
        lambda n: 4.0 * (n.made + n.private + n.public) * n.features,
    ),
    "signatures": Pair(
        lambda r: signature.signatures(r.private, r.people, int(r.people.max()) + 1),
        lambda r: plain.signatures(r.private, r.people, int(r.people.max()) + 1),
        lambda rows, n: rows,
        lambda n: float(n.private * n.features),
        lambda n: 4.0 * n.private * n.features,
    ),
    "bootstrap of people": Pair(
        lambda r: _bootstrap(r, next(_SEEDS)),
        _loop_bootstrap,
        lambda rows, n: rows,
        lambda n: 2.0 * clusters.RESAMPLES * n.people,
        lambda n: 0.0,
    ),
    "bootstrap of people, draws kept": Pair(  # as every rate of a study's row has it but the first
        lambda r: _bootstrap(r, 0),
        _loop_bootstrap,
        lambda rows, n: rows,
        lambda n: 2.0 * clusters.RESAMPLES * n.people,
        lambda n: 0.0,
    ),
}
"""By name; their references are exact (`tests/benchmarks/test_bench.py`), the bootstrap's but for
other random numbers and a correction of its tails."""

FEW = {"top-n": 4, "AA-5": 200, "KNN distance": 4, "nearest private image": 20}
"""Images, of `top-n` classes, that a call of the reference takes."""
PEOPLE = {"precision, recall, density, coverage": 4}
"""Likewise people."""


def paths(worlds: Mapping[str, World]) -> Iterator[Path]:
    """At the paper's amounts; a loop over pairs makes some of its rounds, and is scaled."""
    quick = next(iter(worlds.values())).book.toy
    amounts = TOY if quick else PAPER
    rows = functools.cache(lambda: Rows.drawn(amounts))
    for name, pair in PAIRS.items():
        yield _metric(name, pair, amounts, rows)
    for title, world in worlds.items():
        yield _delivery(f"delivery of an epoch, {title}", world, 64 if quick else 512)


def _metric(name: str, pair: Pair, amounts: Amounts, rows: Callable[[], Rows]) -> Path:
    few = FEW.get(name) or PEOPLE.get(name)
    whole = amounts.people if name in (*PEOPLE, "top-n") else amounts.made
    share = min(few, whole) / whole if few else 1.0

    def part() -> Rows:
        return pair.few(rows(), few) if few else rows()

    def reference(now: Callable[[], float]) -> Any:
        chosen = part()
        begun = now()
        pair.reference(chosen)
        return Clocked((now() - begun) / share, None)

    note = "" if share == 1 else f"the published loop: {share:.2%} of its rounds, extrapolated"
    return Path(
        name=name,
        ours=lambda now: pair.ours(rows()),
        reference=reference,
        unit="attack",
        flops=lambda: pair.flops(amounts),
        bytes=pair.bytes(amounts),
        precision="fp64",
        note=note,
    )


def _delivery(name: str, world: World, count: int) -> Path:
    """Images of an epoch, in batches of 64 on the device, in [0, 1] and flipped by chance."""
    size = world.sizes.image_size
    chosen = functools.cache(partial(loading.pictures, count, size))
    return Path(
        name=name,
        ours=lambda now: deliver(chosen()),
        reference=lambda now: deliver_one_by_one(chosen()),
        units=count,
        unit="image",
        bytes=(1 + 4) * 3.0 * size**2,
        note=f"{count} images of {size} pixels, batches of 64",
    )


def deliver(chosen: loading.Pictures) -> list[Tensor]:
    """As `training.fit` does it."""
    torch.manual_seed(0)
    batches = []
    for index in torch.randperm(len(chosen.prepared)).split(64):
        images = fit.to_float(chosen.prepared[index])
        batches.append(augment.flip(images, torch.rand(len(index)) < 0.5))
    return batches


def deliver_one_by_one(chosen: loading.Pictures) -> list[Tensor]:
    """As the released loaders do it."""
    torch.manual_seed(0)
    size, batches = chosen.prepared.shape[-1], []
    for index in torch.randperm(len(chosen.prepared)).split(64):
        where = torch.rand(len(index)) < 0.5
        images = [loading.load(chosen.decoded[i], size) for i in index.tolist()]
        pairs = zip(images, where, strict=True)
        batches.append(torch.stack([x.flip(-1) if on else x for x, on in pairs]))
    return batches
