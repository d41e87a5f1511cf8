"""The same epochs with what cuDNN offers and the library does not ask for."""

from __future__ import annotations

from functools import partial

from gpu.results import Book, Measure
from gpu.study import World
from gpu.training import Tuning, epochs

VARIANTS = {
    "bf16 channels last": ("bf16", Tuning(False, True)),
    "bf16 channels last autotuned": ("bf16", Tuning(True, True)),
    "tf32 channels last autotuned": ("tf32", Tuning(True, True)),
    "tf32 autotuned": ("tf32", Tuning(True, False)),
}


def measurements(book: Book) -> dict[str, Measure]:
    world = World(book)
    return {
        name: partial(epochs, world, precision, tuning)
        for name, (precision, tuning) in VARIANTS.items()
    }
