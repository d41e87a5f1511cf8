"""How many epochs or steps fit into so many seconds, measured with a few of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from gpu.clock import Clock
from trapmid.config.study import ClassifierTraining
from trapmid.runtime import Runtime
from trapmid.training import classifier
from trapmid.training.classifier import Splits, Trained
from trapmid.training.fit import Labelled
from trapmid.types import Defense, InMemory, Target

_USED = 0.85  # of the seconds: a neighbour may be slower tomorrow than now
_TRIALS = (4, 12)  # steps of two runs; their difference leaves out what goes before


def steps_within(
    seconds: float, run: Callable[[int], float], most: int, trials: tuple[int, int] = _TRIALS
) -> int:
    """How many steps to make so that all, this measurement included, takes `seconds`.

    Args:
        seconds: from now on.
        run: makes so many steps and returns the seconds that they took.
        most: the answer is at most this, and at least 1.
        trials: steps of the two runs that are timed, of each `most` at most. Where they are the
            same, as in an epoch of one step, what goes before the steps counts as part of them.
    """
    begun = time.perf_counter()
    few, more = (min(trial, most) for trial in trials)
    run(few)  # the first run loads kernels
    first = run(few)
    longer = run(more)
    each = max((longer - first) / (more - few) if more > few else longer / more, 1e-6)
    left = _USED * seconds - (time.perf_counter() - begun)
    return max(1, min(most, int(left / each)))


def train_within(
    seconds: float,
    defense: Defense,
    network: Callable[[int], Target],
    splits: Splits,
    plan: ClassifierTraining,
    rt: Runtime,
) -> tuple[Trained, ClassifierTraining]:
    """Trains for as many of the plan's epochs as fit, and returns the plan that was kept to.

    The learning rate falls at 60 and 85 % of them, so that every training comes to its end.
    """
    size = min(plan.batch_size, len(splits.train))
    whole = len(splits.train) // size

    def run(steps: int) -> float:
        rows = slice(0, steps * size)
        part = Labelled(splits.train.images[rows], splits.train.labels[rows])
        test = Labelled(splits.test.images[:1], splits.test.labels[:1])
        clock = Clock(rt.device, 0)
        short = replace(plan, epochs=1, milestones=())
        classifier.train(defense, network, splits._replace(train=part, test=test), short, rt, clock)
        return clock.seconds

    trials = (min(_TRIALS[0], max(1, whole // 3)), min(_TRIALS[1], whole))
    epochs = max(1, steps_within(seconds, run, plan.epochs * whole, trials) // whole)
    falls = sorted({int(0.6 * epochs), int(0.85 * epochs)} - {0})
    kept = replace(plan, epochs=epochs, milestones=tuple(falls))
    return classifier.train(defense, network, splits, kept, rt, InMemory()), kept
