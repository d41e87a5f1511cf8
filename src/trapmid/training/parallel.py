"""A classifier's training on several processes of one machine, e.g. one per GPU."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch.distributed import TCPStore  # type: ignore[attr-defined]

from trapmid.config.study import ClassifierTraining
from trapmid.runtime import Runtime
from trapmid.training import classifier
from trapmid.training.classifier import Splits, Trained
from trapmid.training.shared import Shared
from trapmid.types import Checkpointer, Defense, InMemory, Objective, Setting, Stateful, Target

_HOST = "127.0.0.1"


def train(
    processes: int,
    defense: Defense,
    new_network: Callable[[int], Target],
    splits: Splits,
    plan: ClassifierTraining,
    rt: Runtime,
    checkpointer: Checkpointer,
) -> Trained:
    """As `classifier.train`, but for the order in which floats are added (`training.shared`).

    This process is one of them, and the only one that saves. On CUDA the others take the next GPUs.
    All arguments but the last are pickled for them, and a script that calls this is imported by
    them: it needs `if __name__ == "__main__"`.

    Args:
        processes: how many.

    Raises:
        ValueError: the defence clips gradients image by image, its loss asks parts of the network
            by themselves, or the network draws random numbers; there are not so many GPUs.
        RuntimeError: another process ended early.
    """
    if rt.device.type == "cuda" and processes > torch.cuda.device_count():
        raise ValueError(f"processes: {processes}, GPUs here: {torch.cuda.device_count()}")
    threads = torch.get_num_threads()
    store = TCPStore(_HOST, 0, processes, is_master=True, wait_for_workers=False)
    context, others = mp.get_context("spawn"), []
    each = max(1, threads // processes)
    task = defense, new_network, splits, plan, rt
    for rank in range(1, processes):
        place = store.port, rank, processes, each
        others.append(context.Process(target=_follow, args=(place, task), daemon=True))
        others[-1].start()
    try:
        torch.set_num_threads(each)
        with _group(store, 0, processes, rt.device):
            trained = _train(task, _Leading(checkpointer))
        for other in others:
            other.join()
    finally:
        torch.set_num_threads(threads)
        for other in others:
            other.terminate()
    return dataclasses.replace(trained, defense=defense)


_Task = tuple[Defense, Callable[[int], Target], Splits, ClassifierTraining, Runtime]


def _follow(place: tuple[int, int, int, int], task: _Task) -> None:
    """What another process does: the same, and nothing is saved."""
    port, rank, processes, threads = place
    torch.set_num_threads(threads)
    rt = task[-1]
    if rt.device.type == "cuda":
        rt = dataclasses.replace(rt, device=torch.device("cuda", rank))
        torch.cuda.set_device(rt.device)
    store = TCPStore(_HOST, port, processes, is_master=False)
    with _group(store, rank, processes, rt.device):
        _train((*task[:-1], rt), _Following())


@contextmanager
def _group(store: TCPStore, rank: int, size: int, device: torch.device) -> Iterator[None]:
    backend = "nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(backend, store=store, rank=rank, world_size=size)
    try:
        yield
    finally:
        dist.destroy_process_group()


def _train(task: _Task, checkpointer: Checkpointer) -> Trained:
    defense, new_network, splits, plan, rt = task
    shared = Shared()
    sharing = cast(Defense, _Sharing(defense, shared))
    try:
        return classifier.train(sharing, new_network, splits, plan, rt, checkpointer)
    finally:
        shared.release()


@dataclasses.dataclass(frozen=True)
class _Sharing:
    """A defence whose networks are shared: the one that it trains, and its discriminators."""

    defense: Defense
    shared: Shared

    @property
    def alters_network(self) -> bool:
        return self.defense.alters_network

    def adapt(self, model: Target) -> Target:
        return self.shared.add(self.defense.adapt(model))

    def objective(self, setting: Setting) -> Objective:
        def network(outputs: int) -> Target:
            return self.shared.add(setting.new_network(outputs))

        made = self.defense.objective(dataclasses.replace(setting, new_network=network))
        if type(made).prepare is not Objective.prepare:
            raise ValueError(
                f"{type(self.defense).__module__}: clips gradients image by image, "
                "which processes cannot share; train it in one"
            )
        return made


class _Leading:
    """The true checkpointer; a restored state is sent to the others."""

    def __init__(self, inner: Checkpointer) -> None:
        self._inner = inner
        self.log, self.progress, self.save = inner.log, inner.progress, inner.save

    def restore(self, parts: Mapping[str, Stateful]) -> int:
        step = self._inner.restore(parts)
        state = {name: part.state_dict() for name, part in parts.items()} if step else {}
        dist.broadcast_object_list([step, state], src=0)
        return step


class _Following(InMemory):
    """Saves nothing, and begins where the leader does."""

    def restore(self, parts: Mapping[str, Stateful]) -> int:
        sent: list[Any] = [0, {}]
        dist.broadcast_object_list(sent, src=0)
        step, state = sent
        for name, content in state.items():
            parts[name].load_state_dict(content)
        return int(step)
