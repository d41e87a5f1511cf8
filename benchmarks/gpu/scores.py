"""Metrics at the paper's size: 5,000 reconstructions, 27,000 private and 30,000 public images."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial

import torch

from gpu.clock import peak_memory
from gpu.results import Book, Measure, Row, row
from gpu.study import World
from trapmid.metrics import features, frechet, knn

WIDTH = 512  # of the evaluator's features
BATCH = 256  # `evaluation.batch_size` of the profile


def measurements(book: Book) -> dict[str, Measure]:
    world = World(book)
    return {
        "describe": partial(_describe, world),
        "knn": partial(_knn, world),
        "frechet": partial(_frechet, world),
    }


def _describe(world: World) -> Iterator[Row]:
    """Images to features by the profile's evaluator, which is where the time of a metric goes."""
    rt = world.runtime()
    judged = next(iter(world.study["attack_runs"].values()))
    evaluator = world.study["evaluators"][judged["evaluator"]]
    model = world.network(evaluator["arch"], rt)
    images = world.images(world.sizes.reconstructed, rt.device).cpu()
    features.describe(model, images[:BATCH], batch_size=BATCH, rt=rt)
    with peak_memory(world.device) as peak:
        describe = partial(features.describe, model, images, batch_size=BATCH, rt=rt)
        yield row("images", len(images) / _seconds(describe), "1/s", precision="fp32")
        yield row("peak memory", peak(), "MB", precision="fp32")


def _knn(world: World) -> Iterator[Row]:
    found, private = _features(world.sizes.reconstructed), _features(world.sizes.private)
    own, real = (torch.arange(len(side)) % world.sizes.classes for side in (found, private))
    measure = partial(knn.nearest_squared, found, own, private, real)
    yield row("seconds", _seconds(measure), "s", device="cpu", note=f"{WIDTH} features")


def _frechet(world: World) -> Iterator[Row]:
    measure = partial(
        frechet.frechet, _features(world.sizes.reconstructed), _features(world.sizes.public)
    )
    yield row("seconds", _seconds(measure), "s", device="cpu", note=f"{WIDTH} features")


def _features(count: int) -> torch.Tensor:
    return torch.randn(count, WIDTH, generator=torch.Generator().manual_seed(count))


def _seconds(action: Callable[[], object]) -> float:
    """Of an action that leaves its result on the CPU."""
    begun = time.perf_counter()
    action()
    return time.perf_counter() - begun
