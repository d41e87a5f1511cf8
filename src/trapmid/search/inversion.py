"""Every class and every draw of one attack, in batches that no result depends on."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor

from trapmid.config.study import Inversion
from trapmid.runtime import Runtime, eval_mode, frozen
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
_MEMORY_SHARE = 0.25  # of the memory: what autograd saves is not all that a step needs


class Inverted(NamedTuple):
    """What one attack made of a target, and how."""

    rows: dict[str, Any]  # the fields of `Reconstruction`, on the CPU, sorted by (label, draw)
    batch_size: int  # rows searched at once
    queries: int | None  # images that a label-only attack asked about, abandoned batches included


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
    oracle = LabelsOnly(target) if attack.label_only else None
    size = plan.batch_size or _affordable(attack, target, prior, len(labels), rt)
    done = _Done(size, len(labels), oracle)
    checkpointer.restore({"done": done})
    while done.count < len(labels):
        rows = slice(done.count, done.count + done.size)
        task = Task(
            labels=labels[rows].to(rt.device),
            draws=draws[rows].to(rt.device),
            side_information=side_information,
            saving=Saving(_Within(checkpointer, done), plan.keep_every),
        )
        try:
            part = _invert(attack, oracle or target, prior, task, rt)
        except torch.cuda.OutOfMemoryError:
            if plan.batch_size is not None or done.size == 1:
                raise
            done.halve()
            continue
        done.add(part)
        checkpointer.save({"done": done}, 0)
    kept = _chosen(attack, done.rows())
    return Inverted(kept, done.size, None if oracle is None else oracle.queries)


def _asked(each: int, classes: int) -> tuple[Tensor, Tensor]:
    """Labels and draws of `each` images of every class, sorted."""
    return torch.arange(classes).repeat_interleave(each), torch.arange(each).repeat(classes)


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


def _chosen(attack: Attack | LabelAttack, rows: dict[str, Any]) -> dict[str, Any]:
    """The rows that the attack keeps, their draws numbered anew within each class."""
    picked = attack.chosen(rows["labels"], rows["counts"])
    if picked is None:
        return rows
    kept = {name: rows[name][picked] for name in _FIELDS}
    kept["draws"] = ranks(kept["labels"])
    counts = {name: values[picked] for name, values in rows["counts"].items()}
    return kept | {"counts": counts, "left_out": rows["left_out"]}


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

    def __init__(self, size: int, total: int, oracle: LabelsOnly | None) -> None:
        self.size, self.total = min(size, total), total
        self._oracle = oracle  # its count of queries goes on, too
        self.count = 0
        self.begun = False  # whether the saved state has a part of the batch after these
        self._parts: list[dict[str, Any]] = []

    def add(self, part: Reconstruction) -> None:
        _check_finite(part)
        fields = {name: getattr(part, name) for name in _FIELDS}
        if fields["found"] is None:
            fields["found"] = torch.ones(len(part.labels), dtype=torch.bool)
        fields |= {f"counts.{name}": values for name, values in part.counts.items()}
        attempted = slice(None) if part.left_out is None else ~part.left_out
        self._parts.append(
            {name: value[attempted].detach().cpu() for name, value in fields.items()}
        )
        self.count += len(part.labels)
        self.begun = False

    def halve(self) -> None:
        """Goes on with half as many rows at once; no result depends on how many."""
        self.size, self.begun = self.size // 2, False

    def rows(self) -> dict[str, Any]:
        """Every field over all parts; `counts` is a dictionary of its own.

        `left_out` is how many rows the attack did not attempt by design; they are not there.
        """
        whole: dict[str, Any] = {"counts": {}}
        for name in self._parts[0]:
            column = torch.cat([part[name] for part in self._parts])
            place, _, inner = name.partition(".")
            if inner:
                whole[place][inner] = column
            else:
                whole[name] = column
        whole["left_out"] = self.count - len(whole["labels"])
        return whole

    def state_dict(self) -> dict[str, Any]:
        return {
            "size": self.size,
            "begun": self.begun,
            "count": self.count,
            "parts": self._parts,
            "queries": None if self._oracle is None else self._oracle.queries,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.size, self.begun = state_dict["size"], state_dict["begun"]
        self._parts, self.count = list(state_dict["parts"]), state_dict["count"]
        if self._oracle is not None:
            self._oracle.queries = state_dict["queries"]


class _Within:
    """The `Checkpointer` of a search inside one batch: saves finished batches with its state."""

    def __init__(self, checkpointer: Checkpointer, done: _Done) -> None:
        self._checkpointer, self._done = checkpointer, done

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        self._checkpointer.log(metrics, step)

    def progress(self, done: int, total: int) -> None:
        inside = self._done.size * done // max(1, total)
        reached = min(self._done.count + inside, self._done.total)
        self._checkpointer.progress(reached, self._done.total)

    def restore(self, parts: Mapping[str, Stateful]) -> int:
        return self._checkpointer.restore(parts) if self._done.begun else 0

    def save(self, parts: Mapping[str, Stateful], step: int) -> None:
        self._done.begun = True
        self._checkpointer.save({"done": self._done, **parts}, step)
