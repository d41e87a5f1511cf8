"""Ours beside the published procedures (`bench.plain`), in turn, on the same device.

A row has the keys of `trapmid bench`: name, ours_s, reference_s, ratio, limit_share, device, date.
Iterations are compared at the paper's batch. A search is compared image by image: ours searches as
many rows at once as memory allows, the published one has the paper's batch and makes the whole
batch again for every image that it saves.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from functools import partial

from bench import timing
from bench.paths.priors import Iterations
from bench.paths.searches import Search
from bench.timing import Clocked, Path, Plan

from gpu.clock import Now, synchronize
from gpu.results import Book, Measure, Row, row
from gpu.searches import SEARCHES, rows_at_once, searches_people
from gpu.study import Sizes, World, numerics

PAPER = Sizes("paper_attacks", 1000, 64, 27000, 1024, 5000, 5, 8.0, {}, {})
TOY = Sizes("attacks", 6, 32, 48, 48, 12, 1, 0.0, {"batch_size": 6}, {})
PRIORS = {"plgmi": 2, "kedmi": 10}
"""Iterations that are timed; KED-MI's generator learns at every fifth."""
REPEATS = 3  # of both sides


def measurements(book: Book) -> dict[str, Measure]:
    world = World(book, TOY if book.toy else PAPER)
    searched: dict[str, Measure] = {
        f"{name} search": partial(_search, world, name) for name in SEARCHES
    }
    first: dict[str, Measure] = {"plgmi prior": partial(_iterations, world, "plgmi")}
    return first | searched | {"kedmi prior": partial(_iterations, world, "kedmi")}


def _iterations(world: World, method: str) -> Iterator[Row]:
    steps = 1 if world.book.toy else PRIORS[method]
    with numerics("default"):
        one = Iterations(world, method, steps)
        path = Path(
            name=method,
            ours=one.ours,
            reference=one.reference,
            units=steps,
            unit="iteration",
            flops=one.flops,
            note=f"batch {world.prior_block(method)['batch_size']}; pictures are loaded anew by "
            "one process, as released",
        )
        yield _compared(world, path)


def _search(world: World, name: str) -> Iterator[Row]:
    """Of one image; of KED-MI and LOMMA on its prior, of one person's search."""
    block = world.study["attacks"][SEARCHES[name][0]]
    steps, whole = world.sizes.steps, block["steps"]
    people = searches_people(name)
    most = world.sizes.classes if people else world.sizes.reconstructed
    batch = min(block["reference_batch"], most)
    with numerics("default") as precision:
        at_once = rows_at_once(world, name, world.runtime(precision))
        many, few = (Search(world, name, count, steps) for count in (at_once, batch))

        def reference(now: Now) -> Clocked:
            seconds = few.reference(now).seconds * whole / steps
            if not name.startswith("lomma"):
                seconds += _saving(few, now)
            return Clocked(seconds / batch, None)

        path = Path(
            name=name,
            ours=lambda now: Clocked(many.ours(now).seconds * whole / steps / at_once, None),
            reference=reference,
            unit="person" if people else "image",
            flops=few.flops,
            note=f"{whole} steps, extrapolated from {steps}; ours {at_once} at once, "
            f"published {batch}",
        )
        yield _compared(world, path)


def _saving(search: Search, now: Now) -> float:
    """Seconds in which the published code makes the images of a batch, which it does one by one."""
    device = search.world.device
    synchronize(device)
    begun = now()
    search.images_one_by_one()
    synchronize(device)
    return now() - begun


def _compared(world: World, path: Path) -> Row:
    """Medians of both sides, and of the limit by the matrix rate of the part `machine`."""
    repeats = 1 if world.book.toy else REPEATS
    times = timing.measure(path, Plan(repeats, 3 * world.sizes.seconds))
    ours, reference = statistics.median(times.ours), statistics.median(times.reference)
    assert path.flops is not None
    work, rate = path.flops(), world.book.value("machine/rates: rate tf32")
    more = {"ours": timing.spread(times.ours), "reference": timing.spread(times.reference)}
    return row(
        "ratio",
        reference / ours,
        "x",
        ours_s=_short(ours),
        reference_s=_short(reference),
        ratio=_short(reference / ours),
        limit_share=_short(work / (1e12 * rate) / ours) if rate else None,
        per=path.unit,
        repeats=len(times.ours),
        spread={side: _short(value) for side, value in more.items()},
        gflop=_short(work / 1e9),
        precision="default",
        note=path.note,
    )


def _short(value: float) -> float:
    return float(f"{value:.4g}")
