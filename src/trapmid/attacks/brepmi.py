"""BREP-MI: inversion from labels alone (Kahla et al., CVPR 2022).

From a latent that the target gives to the attacked class, the search moves away from points of a
sphere that lie outside the class, and widens the sphere whenever it lies inside: so it ends deep
within the class, where its most typical images are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from torch import Tensor

from trapmid import types
from trapmid.config.bounds import Bound, Count, Positive
from trapmid.runtime import Runtime, counter_normal, eval_mode, in_parts, stream_seed
from trapmid.search import latents
from trapmid.search.latents import Variables
from trapmid.types import LabelsOnly, PaperScoring, Prior, Reconstruction, Saving, Task

_WIDEST = 1e18  # of a sphere, which ends its row: in float32 its square is still a number

Expansion = Annotated[float, Bound(lambda x: x > 1, "does not widen")]


@dataclass(frozen=True, kw_only=True)
class Attack(types.LabelAttack):
    paper_scoring: ClassVar = PaperScoring(
        batch=1,
        deviation="root_of_mean_variance",
        aa5="all_draws",
        accuracy="eight_bit",
        distances=None,
        frechet_batch=None,
    )

    images_per_class: Count  # at most; 1 in the paper, as a search is long
    points: Count  # on the sphere; 32
    inside: Count  # points inside the class that widen the sphere; 29, the paper says all 32
    radius: Positive  # of the first sphere; 2
    expansion: Expansion  # of a sphere that lies inside; 1.3
    max_step: Positive  # of a move, which otherwise is a third of the radius; 3
    bound: Positive  # latents, not the points around them, stay in [-bound, bound]; 1.5
    patience: Count  # moves without an expansion that end a search; 1000
    init_batch: Count  # latents per initial batch; 256
    init_batches: Count  # after which a class that was not seen is given up; official: no limit
    rejection_cap: Count  # moves out of the class in a row that end a search; official: no limit
    proposals: Count | None  # moves, rejected ones included, that end a search; official: no limit
    untargeted: Count | None  # attack the first so many classes that turn up; null: every class

    def __post_init__(self) -> None:
        if self.inside > self.points:
            raise ValueError(f"inside: {self.inside} is outside 1 .. {self.points} (points)")

    def images_of_each(self, asked: int) -> int:
        return min(asked, self.images_per_class)

    def rows_in_memory(self) -> float:
        return float(self.points)

    def queries(self, labels: Tensor, draws: Tensor, counts: Mapping[str, Tensor]) -> int:
        """As `types.LabelAttack.queries`: those of every row, and the initial latents of each draw.

        An initial batch is asked about once, for all classes, until the last class is seen.
        """
        found = counts["initial_batches"]
        needed = {draw: int(found[draws == draw].max()) for draw in draws.unique().tolist()}
        if self.untargeted is not None and len(labels.unique()) < self.untargeted:
            needed[0] = self.init_batches  # where `_first_classes` looked for more
        return int(counts["queries"].sum()) + self.init_batch * sum(needed.values())

    def invert(self, target: LabelsOnly, prior: Prior, task: Task, rt: Runtime) -> Reconstruction:
        """As `types.LabelAttack.invert`.

        The official success of an identity is the evaluator's word on the latent of the last
        completed expansion. The evaluator is not the attacker's, so the image of that latent is the
        result, to be judged as any other; a row that never expanded, or whose class never turned
        up, is not `found`. There is no loss: `losses` are minus the last radius, `_WIDEST` at most:
        where a class has no edge, nothing else need end a row.

        `counts`: queries of the row's own search, the initial batch that showed its class (the
        limit if none did), expansions, moves, and whether rejections ended it.
        """
        labels, draws = task.labels, task.draws
        state = self._state(labels, prior.latent_dim)
        with eval_mode(prior), torch.no_grad():
            step = task.saving.checkpointer.restore({"search": state})
            if step == 0:
                self._start(target, prior, task, state, rt)
            keys = latents.row_keys(labels, draws, rt.seed, "directions")
            while (rows := state["searching"].nonzero().squeeze(1)).numel() > 0:
                self._propose(target, prior, labels[rows], keys[rows], rows, state)
                step += 1
                _save(task.saving, state, step)
            return self._answer(prior, task, state)

    def _state(self, labels: Tensor, latent_dim: int) -> Variables:
        """The state of a search for every label (N,) before it has begun."""
        n, device = len(labels), labels.device
        whole = {name: torch.zeros(n, dtype=torch.int64, device=device) for name in _COUNTERS}
        return Variables(
            z=torch.zeros(n, latent_dim, device=device),
            kept=torch.zeros(n, latent_dim, device=device),
            radius=torch.full((n,), self.radius, device=device),
            searching=torch.zeros(n, dtype=torch.bool, device=device),
            left_out=torch.zeros(n, dtype=torch.bool, device=device),
            **whole,
        )

    def _answer(self, prior: Prior, task: Task, state: Variables) -> Reconstruction:
        return Reconstruction(
            prior(state["kept"], task.labels),
            task.labels,
            task.draws,
            state["kept"],
            -state["radius"],
            found=state["expansions"] > 0,
            left_out=state["left_out"],
            counts={
                "queries": state["tried"] * (self.points + 1),
                "initial_batches": state["initial_batches"],
                "expansions": state["expansions"],
                "moves": state["moves"],
                "rejected_out": (state["rejections"] >= self.rejection_cap).long(),
            },
        )

    def _start(
        self, target: LabelsOnly, prior: Prior, task: Task, state: Variables, rt: Runtime
    ) -> None:
        """Every row's start: the first latent of its draw's own stream that shows its class."""
        labels, draws = task.labels, task.draws
        state["initial_batches"].fill_(self.init_batches)
        if self.untargeted is not None:
            chosen = self._first_classes(target, prior, self.untargeted, rt)
            state["left_out"].copy_(~torch.isin(labels, chosen))
        for draw in draws.unique().tolist():
            of_draw = (draws == draw) & ~state["left_out"]
            attacked = labels[of_draw].unique()
            first = self._first_shown(target, prior, draw, attacked, len(attacked), rt)[labels]
            rows = (of_draw & (first < self._limit())).nonzero().squeeze(1)
            state["z"][rows] = self._stream(draw, first[rows], prior.latent_dim, rt)
            state["initial_batches"][rows] = first[rows] // self.init_batch + 1
            state["searching"][rows] = True
        state["kept"].copy_(state["z"])

    def _first_classes(self, target: LabelsOnly, prior: Prior, count: int, rt: Runtime) -> Tensor:
        """The first `count` classes that latents show, or as many as there are."""
        first = self._first_shown(target, prior, 0, None, count, rt)
        order = first.argsort(stable=True)[:count]
        return order[first[order] < self._limit()]

    def _first_shown(
        self,
        target: LabelsOnly,
        prior: Prior,
        draw: int,
        attacked: Tensor | None,
        enough: int,
        rt: Runtime,
    ) -> Tensor:
        """Per class (C,) the number of the first latent that shows it; `_limit()`: none did.

        Stops after the batch in which `enough` of the `attacked` classes (None: any) were seen.
        """
        first = torch.full((target.num_classes,), self._limit(), device=rt.device)
        for begin in range(0, self._limit(), self.init_batch):
            numbers = torch.arange(begin, begin + self.init_batch, device=rt.device)
            z = self._stream(draw, numbers, prior.latent_dim, rt)
            first.scatter_reduce_(0, _labels(target, prior, z), numbers, "amin")
            shown = first < self._limit()
            if (shown if attacked is None else shown[attacked]).sum() >= enough:
                break
        return first

    def _limit(self) -> int:
        return self.init_batches * self.init_batch

    def _stream(self, draw: int, numbers: Tensor, latent_dim: int, rt: Runtime) -> Tensor:
        keys = numbers + stream_seed(rt.seed, "initial latents", draw)
        return counter_normal(keys, latent_dim).clamp(-self.bound, self.bound)

    def _propose(
        self,
        target: LabelsOnly,
        prior: Prior,
        labels: Tensor,
        keys: Tensor,
        rows: Tensor,
        state: Variables,
    ) -> None:
        """One proposal for each of the `rows` still searching; `labels` and `keys` are theirs."""
        z, radius = state["z"][rows], state["radius"][rows]
        step = (radius / 3).clamp(max=self.max_step)
        directions = self._sphere(keys + state["tried"][rows], radius, z.shape[1])
        around = (z[:, None] + directions).flatten(0, 1)
        each = labels.repeat_interleave(self.points)
        outside = (target(prior(around, each)) != each).view(len(z), self.points)
        expanded = (~outside).sum(dim=1) >= self.inside
        radius = torch.where(expanded, (self.expansion * radius).clamp(max=_WIDEST), radius)
        # Minus the mean over all points, so that the step shrinks with the share outside.
        away = -(directions * outside[:, :, None]).mean(dim=1) / radius[:, None]
        moved = (z + step[:, None] * away).clamp(-self.bound, self.bound)
        accepted = target(prior(moved, labels)) == labels
        state["radius"][rows] = radius
        self._settle(rows, torch.where(accepted[:, None], moved, z), accepted, expanded, state)

    def _sphere(self, keys: Tensor, radius: Tensor, latent_dim: int) -> Tensor:
        """Random points (n, points, Z) of spheres around 0, one sphere a key (n,)."""
        noise = counter_normal(keys, self.points * latent_dim).view(len(keys), self.points, -1)
        points: Tensor = noise / noise.norm(dim=2, keepdim=True) * radius[:, None, None]
        return points

    def _settle(
        self, rows: Tensor, z: Tensor, accepted: Tensor, expanded: Tensor, state: Variables
    ) -> None:
        """Writes down where the `rows` are now (n, Z), and ends those that have gone on enough."""
        # A wider sphere stays wide where the move is rejected, but does not count as completed.
        moves, last = state["moves"][rows], state["last"][rows]
        last = torch.where(expanded, moves, last)
        moves = moves + (accepted & ~expanded)
        rejections = torch.where(accepted, 0, state["rejections"][rows] + 1)
        tried = state["tried"][rows] + 1
        going = (moves - last < self.patience) & (rejections < self.rejection_cap)
        going &= state["radius"][rows] < _WIDEST
        if self.proposals is not None:
            going &= tried < self.proposals
        completed = expanded & accepted
        state["z"][rows] = z
        state["kept"][rows] = torch.where(completed[:, None], z, state["kept"][rows])
        state["expansions"][rows] += completed
        state["moves"][rows], state["last"][rows] = moves, last
        state["rejections"][rows], state["tried"][rows] = rejections, tried
        state["searching"][rows] = going


def _labels(target: LabelsOnly, prior: Prior, z: Tensor) -> Tensor:
    """The classes (N,) that latents (N, Z) show, in as many parts as a GPU's memory asks for."""
    unlabelled = torch.zeros(len(z), dtype=torch.int64, device=z.device)

    def labels(part: slice) -> Tensor:
        return target(prior(z[part], unlabelled[part]))

    return torch.cat(in_parts(len(z), len(z), labels))


_COUNTERS = ("initial_batches", "moves", "last", "rejections", "tried", "expansions")


def _save(saving: Saving, state: Variables, step: int) -> None:
    """Progress is the share of rows that have ended; how long the others go on, nobody knows."""
    searching = state["searching"]
    saving.checkpointer.progress(int((~searching).sum()), len(searching))
    if step % saving.every == 0:
        saving.checkpointer.save({"search": state}, step)
