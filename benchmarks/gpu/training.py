"""One epoch of the target's training, without a defence and with Trap-MID."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from gpu.clock import Clock, paced, peak_memory
from gpu.results import Book, Measure, Row, row
from gpu.study import PRECISIONS, World, numerics
from trapmid.training import classifier
from trapmid.training.classifier import Splits
from trapmid.types import Target

DEFENSES = ("none", "trapmid")


def measurements(book: Book) -> dict[str, Measure]:
    world = World(book)
    measures: dict[str, Measure] = {"work": partial(_work, world)}
    measures |= {name: partial(epochs, world, name, AS_SHIPPED) for name in PRECISIONS}
    measures["profile"] = partial(_profile, world)
    return measures


class Tuning(NamedTuple):
    """What the library does not do on a GPU, or not yet."""

    autotuned: bool  # cuDNN tries its kernels and keeps the fastest
    channels_last: bool  # weights, and so what the layers make, are laid out pixel by pixel


AS_SHIPPED = Tuning(False, False)


@dataclass(frozen=True)
class _Run:
    """Trainings of one defence in one precision."""

    world: World
    defense: str
    precision: str  # of the Runtime
    splits: Splits
    tuning: Tuning = AS_SHIPPED

    @property
    def batch(self) -> int:
        return self.world.plan().batch_size

    def seconds(self, steps: int) -> float:
        """Of so many steps of one epoch, its scores of 64 test images included."""
        clock = Clock(self.world.device, 0)
        self._train(steps, clock)
        return clock.seconds

    def flops(self) -> float:
        """Of one step: what two steps have more than one, so that scoring does not count."""
        counts = []
        for steps in (1, 2):
            with FlopCounterMode(display=False) as counter:
                self._train(steps, Clock(self.world.device, 0))
            counts.append(counter.get_total_flops())
        return float(counts[1] - counts[0])

    def _train(self, steps: int, clock: Clock) -> None:
        train = self.splits.train
        part = type(train)(train.images[: steps * self.batch], train.labels[: steps * self.batch])
        classifier.train(
            self.world.defense(self.defense),
            self._network,
            self.splits._replace(train=part),
            self.world.plan(epochs=1),
            self.world.runtime(self.precision),
            clock,
        )

    def _network(self, outputs: int) -> Target:
        network = self.world.new_network(outputs)
        if self.tuning.channels_last:
            network = network.to(memory_format=torch.channels_last)
        return network


def _work(world: World) -> Iterator[Row]:
    """Counted, and so the same in every precision."""
    for defense in DEFENSES:
        run = _Run(world, defense, "fp32", world.splits(world.sizes.private))
        yield row(defense, run.flops() / 1e9, "GFLOP", note=f"a step of {run.batch} images")


def _profile(world: World) -> Iterator[Row]:
    """The operations in which a step of Trap-MID spends its time on the device."""
    steps = 2 if world.book.toy else 20
    cuda = world.device.type == "cuda"
    with numerics("default") as precision:
        run = _Run(world, "trapmid", precision, world.splits(world.sizes.private))
        run.seconds(steps)
        kinds = [ProfilerActivity.CUDA] if cuda else [ProfilerActivity.CPU]
        with profile(activities=kinds) as profiler:
            seconds = run.seconds(steps)
    spent = {
        event.key: event.self_device_time_total if cuda else event.self_cpu_time_total
        for event in profiler.key_averages()
    }
    busy = sum(spent.values()) / 1e6 / seconds
    yield row("busy", busy, "share", note="of the wall time, that of two streams counted twice")
    for name in sorted(spent, key=lambda key: -spent[key])[:15]:
        yield row(f"{name[:100]}", spent[name] / 1e3 / steps, "ms a step", precision="default")


def epochs(world: World, name: str, tuning: Tuning) -> Iterator[Row]:
    """Both defences in one precision, and what Trap-MID costs more."""
    cudnn = torch.backends.cudnn
    before = cudnn.benchmark
    rates = {}
    with numerics(name) as precision:
        cudnn.benchmark = tuning.autotuned
        try:
            for defense in DEFENSES:
                splits = world.splits(world.sizes.private)
                run = _Run(world, defense, precision, splits, tuning)
                rows = list(_epoch(run, name))
                rates[defense] = rows[0]["value"]
                yield from rows
        finally:
            cudnn.benchmark = before
    ratio = rates["none"] / rates["trapmid"]
    yield row("cost of trapmid over none", ratio, "x", precision=name)


def _epoch(run: _Run, name: str) -> Iterator[Row]:
    sizes, batch = run.world.sizes, run.batch
    whole = sizes.private // batch
    with peak_memory(run.world.device) as peak:
        steps, seconds = paced(run.seconds, whole, 8 if whole > 8 else 1, sizes.seconds)
        memory = peak()
    rate = steps / seconds
    about = {"precision": name, "defense": run.defense, "batch_size": batch}
    note = "whole" if steps == whole else f"extrapolated from {steps} of {whole} steps"
    yield row(f"{run.defense}: steps", rate, "1/s", measured_steps=steps, **about)
    yield row(f"{run.defense}: images", rate * batch, "1/s", **about)
    epoch = sizes.private / (rate * batch)
    yield row(f"{run.defense}: epoch", epoch, "s", note=note, images=sizes.private, **about)
    yield row(f"{run.defense}: peak memory", memory, "MB", note="with the images", **about)
    work = run.world.book.value(f"training/work: {run.defense}")
    # Nearly all of the work is convolutions, which torch multiplies in TF32 unless told otherwise.
    most = run.world.book.value(f"machine/rates: rate {'tf32' if name == 'default' else name}")
    if work and most:
        achieved = work * rate / 1000
        yield row(f"{run.defense}: achieved", achieved, "TFLOP/s", **about)
        yield row(f"{run.defense}: share of the matrix rate", achieved / most, "", **about)
