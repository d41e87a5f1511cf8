"""How cost grows with a study: identities, pixels, images, stages.

    python benchmarks/growth.py [--quick] [--out FILE.json] [--plot FILE.svg]
    python benchmarks/growth.py --draw FILE.json --plot FILE.svg

What a study repeats is timed at several amounts, on one thread in seconds of the processor, so that
other work beside it changes little. The exponent is the slope of log seconds over log amount, a
least-squares line through the three largest amounts: below them the fixed cost of a call counts.
Images are random, and networks untrained. Three minutes.
"""

from __future__ import annotations

import argparse
import functools
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parent))

import bookkeeping
from bench import rows, worlds
from bench.paths import scores
from bench.paths.searches import Search
from bench.paths.training import Steps
from gpu.results import device_name
from gpu.study import World
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from trapmid.metrics import features
from trapmid.report import canvas
from trapmid.training.fit import to_float

PEOPLE = (24, 64, 160, 400, 1000)
SIDES = (32, 64, 128, 224)
IMAGES = (1000, 3000, 9000, 27000)
STAGES = (13, 43, 130, 400)
_AT_PIXELS = 4  # images of a step there
_AT_ONCE = 200  # rows of a search: a gigabyte
_LONG = 1.0  # seconds: a longer run is made once


class Curve(NamedTuple):
    """Something whose cost grows."""

    name: str
    axis: str  # of what
    expected: float  # exponent, by how the work is counted
    amounts: Sequence[int]
    run: Callable[[int], float]  # seconds at an amount


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="toy amounts: does everything work?")
    parser.add_argument("--out", type=Path, help="write the rows here")
    parser.add_argument("--plot", type=Path, help="draw them here, as SVG")
    parser.add_argument("--draw", type=Path, help="measure nothing: take these rows")
    given = parser.parse_args(words)
    found = json.loads(given.draw.read_text("utf-8")) if given.draw else measure(quick=given.quick)
    if given.out:
        given.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    if given.plot:
        plot(found, given.plot)
    print(table(found))


def measure(*, quick: bool) -> list[dict[str, Any]]:
    """A row a curve."""
    torch.set_num_threads(1)
    found = []
    for curve in curves(quick=quick):
        amounts = [*curve.amounts[:1], 2 * curve.amounts[0]] if quick else curve.amounts
        seconds = [float(f"{_least(curve.run, amount):.4g}") for amount in amounts]
        fitted = exponent(amounts, seconds)
        print(f"{curve.name}: {fitted:.2f}, expected {curve.expected:g}", flush=True)
        found.append(
            {
                "name": curve.name,
                "axis": curve.axis,
                "amounts": list(amounts),
                "seconds": seconds,
                "exponent": round(fitted, 2),
                "expected": curve.expected,
                **_machine(),
            }
        )
    return found


def exponent(amounts: Sequence[float], seconds: Sequence[float]) -> float:
    """p of seconds ~ amount^p, by least squares over the logarithms of the three largest."""
    x, y = (np.log(np.asarray(values[-3:], dtype=np.float64)) for values in (amounts, seconds))
    return float(np.polyfit(x, y, 1)[0])


def _least(run: Callable[[int], float], amount: int) -> float:
    """The shorter of two runs; a long one is not repeated."""
    first = run(amount)
    return first if first > _LONG else min(first, run(amount))


def _machine() -> dict[str, Any]:
    return {
        "device": device_name(torch.device("cpu")),
        "processor": rows.processor(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "clock": "processor, one thread, beside other work",
        "torch": str(torch.__version__),
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
    }


# --- what is timed --------------------------------------------------------------------------------


def curves(*, quick: bool) -> list[Curve]:
    """Every curve; quick: of toys."""
    world, width = worlds.world("laptop", quick=quick), 8 if quick else 512
    batch, images = (8, (48,)) if quick else (64, IMAGES)
    return [
        *_of_people(world, batch, width),
        *_of_pixels(world),
        *_of_images(world, images, width),
        Curve("`trapmid run`", "stages", 1, STAGES, partial(_books, "ours", 0)),
        Curve("`trapmid run`, no-op", "stages", 1, STAGES, partial(_books, "ours", 1)),
        Curve("`dvc repro`", "stages", 2, STAGES[:3], partial(_books, "dvc", 0)),
    ]


def _of_people(world: World, batch: int, width: int) -> Iterator[Curve]:
    """Each has 5 reconstructions, 27 private and 30 public images, as in the paper."""
    kind = partial(Curve, axis="identities", amounts=PEOPLE)
    yield kind(
        "Trap-MID's step", expected=0, run=lambda n: _step(world, "trapmid", batch, classes=n)
    )
    yield kind("PLG-MI's step, an image a person", expected=1, run=partial(_search, world))
    for name, title, expected in (
        ("top-n", "pseudo-labels", 2),
        ("KNN distance", "KNN distance", 1),
        ("precision, recall, density, coverage", "PPA's precision and recall", 1),
        ("nearest private image", "nearest private image", 2),
        ("bootstrap of people", "bootstrap", 1),
    ):
        yield kind(title, expected=expected, run=partial(_score, name, width))


def _of_pixels(world: World) -> Iterator[Curve]:
    kind = partial(Curve, axis="pixels a side", amounts=SIDES)
    for defense, title in (("trapmid", "Trap-MID's step"), ("none", "unprotected step")):

        def run(side: int, defense: str = defense) -> float:
            return _step(world, defense, _AT_PIXELS, image_size=side)

        yield kind(title, expected=2, run=run)
    yield kind("delivery", expected=2, run=lambda side: _deliver(256, side))


def _of_images(world: World, amounts: Sequence[int], width: int) -> Iterator[Curve]:
    kind = partial(Curve, axis="images", amounts=amounts)
    yield kind("delivery", expected=1, run=lambda n: _deliver(n, 32))
    yield kind("description by a target", expected=1, run=partial(_describe, world))
    yield kind("signatures", expected=1, run=partial(_signatures, width))


def _step(world: World, defense: str, batch: int, **sizes: int) -> float:
    """A step of a small VGG's training."""
    some = World(world.book, world.sizes._replace(**sizes))
    return Steps(some, defense, batch, 1).ours(time.process_time).seconds


def _search(world: World, people: int) -> float:
    """A step for all people, some at a time, as memory allows."""
    some = World(world.book, world.sizes._replace(classes=people))
    parts = [min(_AT_ONCE, people - start) for start in range(0, people, _AT_ONCE)]
    found = [Search(some, "plgmi", part, 1).ours(time.process_time) for part in parts]
    return sum(one.seconds for one in found)


def _score(name: str, width: int, people: int) -> float:
    drawn = _rows(people, width)
    return _seconds(lambda: scores.PAIRS[name].ours(drawn))


def _seconds(action: Callable[[], object]) -> float:
    begun = time.process_time()
    action()
    return time.process_time() - begun


@functools.lru_cache(maxsize=len(PEOPLE))
def _rows(people: int, width: int) -> scores.Rows:
    return scores.Rows.drawn(scores.Amounts(5 * people, 27 * people, 30 * people, width, people))


def _deliver(count: int, side: int) -> float:
    images = torch.zeros(count, 3, side, side, dtype=torch.uint8)
    order = torch.randperm(count).split(64)
    return _seconds(lambda: [to_float(images[part]) for part in order])


def _describe(world: World, count: int) -> float:
    rt = world.runtime()
    target = world.target(rt)
    images = world.images(count, rt.device)
    return _seconds(lambda: features.describe(target, images, batch_size=256, rt=rt))


def _signatures(width: int, count: int) -> float:
    drawn = scores.Rows.drawn(scores.Amounts(4, count, 4, width, 4))
    return _seconds(lambda: scores.PAIRS["signatures"].ours(drawn))


def _books(way: str, time_of: int, stages: int) -> float:
    """From nothing (0), or with nothing to do (1)."""
    return _study(way, stages)[time_of]


@functools.cache
def _study(way: str, stages: int) -> list[float]:
    """Both times of a study of about so many stages; it is made once."""
    return [float(row["value"]) for row in bookkeeping.of(way, stages)]


# --- what is written ------------------------------------------------------------------------------


def table(found: Sequence[Mapping[str, Any]]) -> str:
    """The table of docs/performance.md."""
    lines = ["| cost of | with | from | to | exponent | expected |", "|---|---|---|---|---|---|"]
    for one in found:
        ends = [
            f"{amount:,}: {seconds:.3g} s"
            for amount, seconds in (
                (one["amounts"][0], one["seconds"][0]),
                (one["amounts"][-1], one["seconds"][-1]),
            )
        ]
        cells = [one["name"], one["axis"], *ends, f"{one['exponent']:.2f}", f"{one['expected']:g}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def plot(found: Sequence[Mapping[str, Any]], file: Path) -> None:
    """A panel for each of what a study has more of; both axes are logarithmic."""
    axes = list(dict.fromkeys(one["axis"] for one in found))
    figure = Figure(figsize=(10, 7.5), layout="constrained")
    spots = dict(zip(axes, figure.subplots(2, 2).flat, strict=True))
    for axis, ax in spots.items():
        _panel(ax, axis, [one for one in found if one["axis"] == axis])
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "growth"}):
        figure.savefig(file, format="svg", metadata={"Date": None})
    lines = [line.rstrip() for line in file.read_text("utf-8").splitlines()]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _panel(ax: Axes, axis: str, curves: Sequence[Mapping[str, Any]]) -> None:
    for number, one in enumerate(curves):
        ax.loglog(
            one["amounts"],
            one["seconds"],
            color=canvas.PALETTE[number],
            marker=canvas.MARKERS[number],
            markersize=4,
            label=f"{one['name'].replace('`', '')}: {one['exponent']:.2f} ({one['expected']:g})",
        )
    amounts = sorted({amount for one in curves for amount in one["amounts"]})
    ax.set_xticks(amounts, [f"{amount:,}" for amount in amounts])
    ax.minorticks_off()
    ax.set_xlabel(axis)
    ax.set_ylabel("seconds")
    above = {"loc": "lower left", "bbox_to_anchor": (0, 1), "ncols": 2}
    ax.legend(fontsize=7, frameon=False, title="exponent (expected)", title_fontsize=7, **above)
    canvas.finish(ax)


if __name__ == "__main__":
    main()
