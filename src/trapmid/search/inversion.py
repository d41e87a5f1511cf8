"""Every class and every draw of one attack, in batches that no result depends on."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor

from trapmid.config.study import Inversion
from trapmid.runtime import Runtime, Stream, eval_mode, frozen
from trapmid.search import parts
from trapmid.search.selection import ranks
from trapmid.types import (
    Attack,
    Checkpointer,
    DivergedError,
    LabelAttack,
    LabelsOnly,
    Prior,
    Reconstruction,
    Saving,
    SideInformation,
    Stateful,
    Target,
    Task,
)

_FIELDS = ("images", "labels", "draws", "latents", "losses", "found")
_COUNTS = "counts."  # before the names of an attack's own counts, in a part
_SAVES = 100  # of finished batches at most: a state has all rows that are kept
_MEMORY_SHARE = 0.25  # of the memory: what autograd saves is not all that a step needs


class Inverted(NamedTuple):
    """What one attack made of a target, and how."""

    rows: dict[str, Any]  # the fields of `Reconstruction`, on the CPU, sorted by (label, draw)
    batch_size: int  # rows searched at once
    queries: int | None  # images that a label-only attack asked about (`LabelAttack.queries`)


def invert_all(
    attack: Attack | LabelAttack,
    target: Target,
    prior: Prior,
    side_information: SideInformation,
    plan: Inversion,
    rt: Runtime,
    checkpointer: Checkpointer,
) -> Inverted:
    """Attacks every class of `target`, `images_per_class` times or as often as the attack can.

    Args:
        target: what the search asks: the target itself, or what stands in for it.
        prior: what the attacker knows about faces.
        side_information: what it knows about the target.
        plan: how many images, and how many of them at once; null: as many as memory allows.
        rt: where to compute; its seed starts every search.
        checkpointer: where finished batches and the state of the unfinished one are kept.

    Raises:
        DivergedError: a search diverged, or its images or losses are not finite.
    """
    labels, draws = _asked(attack.images_of_each(plan.images_per_class), target.num_classes)
    asked = LabelsOnly(target) if attack.label_only else target
    size = plan.batch_size or _affordable(attack, target, prior, len(labels), rt)
    done = _Done(size, len(labels))
    checkpointer.restore({"done": done})
    while done.count < len(labels):
        rows = slice(done.count, done.count + done.size)
        saving = Saving(_Within(checkpointer, done, rt), plan.keep_every)
        task = _task(labels[rows], draws[rows], side_information, saving, rt)
        try:
            part = _invert(attack, asked, prior, task, rt)
        except torch.cuda.OutOfMemoryError:
            if plan.batch_size is not None or done.size == 1:
                raise
            done.halve()
            continue
        before = _SAVES * done.count // len(labels)
        done.add(part)
        done.settle(attack, labels)
        if _SAVES * done.count // len(labels) > before:
            checkpointer.save({"done": done}, 0)
    rows_done = done.rows()
    return Inverted(rows_done, done.size, _queries(attack, rows_done))


def _asked(each: int, classes: int) -> tuple[Tensor, Tensor]:
    """Labels and draws of `each` images of every class, sorted."""
    return torch.arange(classes).repeat_interleave(each), torch.arange(each).repeat(classes)


def _task(
    labels: Tensor, draws: Tensor, side_information: SideInformation, saving: Saving, rt: Runtime
) -> Task:
    return Task(
        labels=labels.to(rt.device),
        draws=draws.to(rt.device),
        side_information=side_information,
        saving=saving,
    )


def _invert(
    attack: Attack | LabelAttack,
    queried_model: Target | LabelsOnly,
    prior: Prior,
    task: Task,
    rt: Runtime,
) -> Reconstruction:
    # Searches have streams of their own; a stochastic target draws its noise from this.
    with rt.seeded("target's noise"):
        if isinstance(queried_model, LabelsOnly):
            return cast(LabelAttack, attack).invert(queried_model, prior, task, rt)
        return cast(Attack, attack).invert(queried_model, prior, task, rt)


def _queries(attack: Attack | LabelAttack, rows: Mapping[str, Any]) -> int | None:
    if not attack.label_only:
        return None
    return cast(LabelAttack, attack).queries(rows["labels"], rows["draws"], rows["counts"])


def _chosen(attack: Attack | LabelAttack, rows: dict[str, Tensor]) -> dict[str, Tensor]:
    """Of whole classes the rows that the attack keeps, their draws numbered anew within each."""
    counts = {name.removeprefix(_COUNTS): rows[name] for name in rows if name.startswith(_COUNTS)}
    picked = attack.chosen(rows["labels"], counts) if len(rows["labels"]) else None
    if picked is None:
        return rows
    kept = {name: values[picked] for name, values in rows.items()}
    return kept | {"draws": ranks(kept["labels"])}


def _check_finite(part: Reconstruction) -> None:
    for name in ("latents", "losses", "images"):
        finite = getattr(part, name).isfinite().reshape(len(part.labels), -1).all(dim=1)
        if not finite.all():
            raise DivergedError(
                f"{name} of {int((~finite).sum())} of {len(finite)} reconstructions are not "
                f"finite, first those of class {int(part.labels[~finite][0])}"
            )


def _affordable(
    attack: Attack | LabelAttack, target: Target, prior: Prior, rows: int, rt: Runtime
) -> int:
    """How many rows fit into a share of the memory, by what autograd saves for one of them."""
    probes = 2  # two, for what is there once per batch
    row = max(1.0, _saved(target, prior, probes, rt) / probes * attack.rows_in_memory())
    return max(1, min(rows, int(_MEMORY_SHARE * _memory(rt.device) / row)))


def _saved(target: Target, prior: Prior, rows: int, rt: Runtime) -> int:
    """The bytes that autograd saves for so many rows."""
    saved = 0

    def weigh(tensor: Tensor) -> Tensor:
        nonlocal saved
        saved += tensor.numel() * tensor.element_size()
        return tensor

    labels = torch.zeros(rows, dtype=torch.int64, device=rt.device)
    with (
        rt.seeded("memory probe"),
        eval_mode(target, prior),
        frozen(target, prior),
        torch.autograd.graph.saved_tensors_hooks(weigh, lambda tensor: tensor),
    ):
        z = torch.zeros(rows, prior.latent_dim, device=rt.device, requires_grad=True)
        target(prior(z, labels))
    return saved


def _memory(device: torch.device) -> int:
    """The bytes that an attack may count on."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    # All of it, not what is free now: one machine shall choose one size, and round one way.
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


class _Done:
    """The finished rows of an attack and the size of its batches, as a state that can be saved."""

    def __init__(self, size: int, total: int) -> None:
        self.size, self.total = min(size, total), total
        self.count = 0
        self.begun = False  # whether the saved state has a part of the batch after these
        self.left_out = 0  # of the finished rows, those that were not attempted by design
        self._kept: list[dict[str, Tensor]] = []  # of classes that are all there
        self._open: list[dict[str, Tensor]] = []  # of the class after these, not all there yet

    def add(self, part: Reconstruction) -> None:
        _check_finite(part)
        fields = {name: getattr(part, name) for name in _FIELDS}
        if fields["found"] is None:
            fields["found"] = torch.ones(len(part.labels), dtype=torch.bool)
        fields |= {f"{_COUNTS}{name}": values for name, values in part.counts.items()}
        attempted = slice(None) if part.left_out is None else ~part.left_out
        self._open.append({name: value[attempted].detach().cpu() for name, value in fields.items()})
        self.left_out += len(part.labels) - len(self._open[-1]["labels"])
        self.count += len(part.labels)
        self.begun = False

    def settle(self, attack: Attack | LabelAttack, labels: Tensor) -> None:
        """Lets the attack choose among the rows of every class that is all there.

        At once, and not at the end: PPA makes four times as many images as it keeps.
        """
        rows = parts.joined(self._open)
        there = torch.ones_like(rows["labels"], dtype=torch.bool)
        if self.count < self.total:
            there = rows["labels"] < labels[self.count]
        if there.any() or not self._kept:
            self._kept.append(_chosen(attack, {name: rows[name][there] for name in rows}))
            parts.join_small(self._kept)
        self._open = [{name: rows[name][~there] for name in rows}]

    def halve(self) -> None:
        """Goes on with half as many rows at once; no result depends on how many."""
        self.size, self.begun = self.size // 2, False

    def rows(self) -> dict[str, Any]:
        """Every field over all parts, which are gone then; `counts` is a dictionary of its own.

        `left_out` is how many rows the attack did not attempt by design; they are not there.
        """
        rows = parts.moved_together(self._kept)
        counts = {n.removeprefix(_COUNTS): v for n, v in rows.items() if n.startswith(_COUNTS)}
        fields = {name: rows[name] for name in _FIELDS}
        return {**fields, "counts": counts, "left_out": self.left_out}

    def state_dict(self) -> dict[str, Any]:
        return {
            "size": self.size,
            "begun": self.begun,
            "count": self.count,
            "left_out": self.left_out,
            "kept": self._kept,
            "open": self._open,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.size, self.begun = state_dict["size"], state_dict["begun"]
        self.count, self.left_out = state_dict["count"], state_dict["left_out"]
        self._kept, self._open = list(state_dict["kept"]), list(state_dict["open"])


class _Within:
    """The `Checkpointer` of a search inside one batch: saves finished batches with its state.

    And torch's global stream, from which a stochastic target draws its noise. Nothing is saved in a
    batch of less than a hundredth of the rows: to search it again is less work than to write all
    finished images, 30 GB of 50,000 of 224 pixels.
    """

    def __init__(self, checkpointer: Checkpointer, done: _Done, rt: Runtime) -> None:
        self._checkpointer, self._done, self._stream = checkpointer, done, Stream(rt.device)

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        self._checkpointer.log(metrics, step)

    def progress(self, done: int, total: int) -> None:
        inside = self._done.size * done // max(1, total)
        reached = min(self._done.count + inside, self._done.total)
        self._checkpointer.progress(reached, self._done.total)

    def restore(self, parts: Mapping[str, Stateful]) -> int:
        if not self._done.begun:
            return 0
        return self._checkpointer.restore({**parts, "stream": self._stream})

    def save(self, parts: Mapping[str, Stateful], step: int) -> None:
        if self._done.size * _SAVES < self._done.total:
            return
        self._done.begun = True
        self._checkpointer.save({"done": self._done, **parts, "stream": self._stream}, step)
