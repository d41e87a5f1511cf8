"""Every class, every draw, in batches that leave no trace; cut off and taken up again."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from toy import Memory, NoisyTarget, ToyPrior, ToyTarget, runtime, seeded
from trapmid import types
from trapmid.artifacts.scratch import Scratch, scratch
from trapmid.attacks import gmi, random
from trapmid.config import params
from trapmid.config.study import Inversion
from trapmid.search import latents
from trapmid.search.inversion import Inverted, invert_all
from trapmid.types import (
    NOTHING,
    Checkpointer,
    DivergedError,
    LabelsOnly,
    Prior,
    Reconstruction,
    SideInformation,
    Target,
    Task,
)

FIELDS = {"images", "labels", "draws", "latents", "losses", "found"}


def invert(
    attack: Any,
    batch_size: int | None = None,
    each: int = 2,
    checkpointer: Checkpointer | None = None,
    side_information: SideInformation = NOTHING,
    target: type[ToyTarget] = ToyTarget,
) -> Inverted:
    plan = Inversion(images_per_class=each, batch_size=batch_size, keep_every=2)
    world = seeded(target, 4), seeded(ToyPrior, 4)
    return invert_all(attack, *world, side_information, plan, runtime(), checkpointer or Memory())


class Spy(random.Attack):
    """The random attack, and the tasks that it was given."""

    def invert(self, target: Target, prior: Prior, task: Task, rt: Any) -> Reconstruction:
        tasks.append(task)
        return super().invert(target, prior, task, rt)


tasks: list[Task] = []


@pytest.mark.parametrize(
    ("batch_size", "batches"), [(None, [8]), (1, [1] * 8), (3, [3, 3, 2]), (100, [8])]
)
def test_every_row_once_in_order(batch_size: int | None, batches: list[int]) -> None:
    tasks.clear()
    side_information = SideInformation(feature_mean=torch.zeros(2))
    made = invert(Spy(), batch_size, side_information=side_information)
    found = made.rows
    assert [len(task.labels) for task in tasks] == batches
    assert all(task.side_information is side_information for task in tasks)
    assert set(found) == FIELDS | {"counts", "left_out"}
    assert found["counts"] == {} and found["left_out"] == 0
    assert found["labels"].tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert found["draws"].tolist() == [0, 1] * 4
    wanted = latents.start(found["labels"], found["draws"], 5, 0)
    assert torch.equal(found["latents"], wanted)
    assert found["images"].shape == (8, 3, 8, 8) and found["found"].all()
    assert all(found[f].dtype == torch.float32 for f in ("images", "latents", "losses"))
    assert made.batch_size == batches[0] and made.queries is None


def test_the_result_does_not_depend_on_the_batch() -> None:
    whole, parts = (invert(random.Attack(), size, each=3).rows for size in (None, 5))
    for field in FIELDS:
        assert torch.allclose(whole[field].float(), parts[field].float(), atol=1e-6)


def test_results_are_detached_and_on_the_cpu() -> None:
    class Attached(random.Attack):
        def invert(self, target: Any, prior: Any, task: Task, rt: Any) -> Reconstruction:
            z = torch.zeros(len(task.labels), 5, requires_grad=True)
            images = prior(z, task.labels)
            return Reconstruction(images, task.labels, task.draws, z, z.sum(dim=1))

    found = invert(Attached()).rows
    assert not any(found[field].requires_grad for field in FIELDS)


# --- what an attack decides ---------------------------------------------------------------------


class Choosy(random.Attack):
    """Keeps one image of each class, the last."""

    def chosen(self, labels: Tensor, counts: Mapping[str, Tensor]) -> Tensor:
        whole.append(labels.tolist())
        return (labels.diff(append=torch.tensor([-1])) != 0).nonzero().flatten()


whole: list[list[int]] = []


class Seen(Memory):
    """A checkpointer that counts the rows of every state that it is given."""

    def save(self, parts: Mapping[str, Any], step: int) -> None:
        state = parts["done"].state_dict()
        rows.append(sum(len(part["labels"]) for part in (*state["kept"], *state["open"])))


rows: list[int] = []


@pytest.mark.parametrize("batch_size", [1, 3, 5, 7, None])
def test_a_class_is_chosen_from_as_soon_as_it_is_there(batch_size: int | None) -> None:
    """So that nothing holds all the images that an attack makes, and throws away."""
    whole.clear(), rows.clear()
    found = invert(Choosy(), batch_size, each=5, checkpointer=Seen()).rows
    asked = sorted(itertools.chain.from_iterable(whole))
    assert asked == [label for label in range(4) for _ in range(5)]
    assert all(ask.count(label) == 5 for ask in whole for label in ask)
    assert found["labels"].tolist() == [0, 1, 2, 3] and found["draws"].tolist() == [0] * 4
    every = invert(random.Attack(), each=5).rows
    assert torch.allclose(found["images"], every["images"][4::5], atol=1e-6)
    assert max(rows) <= 4 + 4  # what was kept, and a class that is not all there


def test_a_long_attack_is_saved_a_hundred_times() -> None:
    """A state has all rows so far: to save each of a thousand is to write half a million."""
    rows.clear()
    invert(random.Attack(), batch_size=1, each=75, checkpointer=Seen())
    assert rows == list(range(3, 301, 3))


@dataclass(frozen=True, kw_only=True)
class Asking(types.LabelAttack):
    """Asks the target about each of its images once; answers every other one."""

    def images_of_each(self, asked: int) -> int:
        return min(asked, 2)

    def invert(self, target: LabelsOnly, prior: Prior, task: Task, rt: Any) -> Reconstruction:
        assert isinstance(target, LabelsOnly) and not isinstance(target, Target)
        z = latents.start(task.labels, task.draws, prior.latent_dim, rt.seed)
        images = prior(z, task.labels)
        answers = target(images)
        return Reconstruction(
            images.detach(),
            task.labels,
            task.draws,
            z,
            -answers.float(),
            found=task.draws == 0,
            left_out=task.labels == 3,
            counts={"queries": torch.ones_like(answers)},
        )


def test_a_label_only_attack_gets_labels_and_its_queries_are_counted() -> None:
    made = invert(Asking(), batch_size=3, each=5)
    assert made.queries == 6  # two images of each class, not five; a class left out asks nothing
    assert made.rows["labels"].tolist() == [0, 0, 1, 1, 2, 2]  # the class left out is gone
    assert made.rows["left_out"] == 2
    assert made.rows["found"].tolist() == [True, False] * 3
    assert made.rows["counts"]["queries"].tolist() == [1] * 6


# --- memory -------------------------------------------------------------------------------------


class HungryAsking(Asking):
    """Has room for two rows, but asks first."""

    def invert(self, target: LabelsOnly, prior: Prior, task: Task, rt: Any) -> Reconstruction:
        found = super().invert(target, prior, task, rt)
        if len(task.labels) > 2:
            raise torch.cuda.OutOfMemoryError("full")
        return found


def test_what_memory_made_ask_again_is_no_query() -> None:
    assert invert(HungryAsking(), each=2).queries == invert(Asking(), each=2).queries == 6


class Hungry(random.Attack):
    """Has room for two rows."""

    def invert(self, target: Target, prior: Prior, task: Task, rt: Any) -> Reconstruction:
        tasks.append(task)
        if len(task.labels) > 2:
            raise torch.cuda.OutOfMemoryError("full")
        return super().invert(target, prior, task, rt)


def test_a_batch_that_does_not_fit_is_halved() -> None:
    tasks.clear()
    made = invert(Hungry())
    assert [len(task.labels) for task in tasks] == [8, 4, 2, 2, 2, 2]
    assert made.batch_size == 2
    assert torch.equal(made.rows["latents"], invert(random.Attack()).rows["latents"])
    with pytest.raises(torch.cuda.OutOfMemoryError):  # a size that somebody chose is not changed
        invert(Hungry(), batch_size=4)


@pytest.mark.parametrize(("pages", "rows"), [(1, 1), (25, 4), (10**6, 8)])
def test_the_automatic_size_follows_the_memory(
    monkeypatch: pytest.MonkeyPatch, pages: int, rows: int
) -> None:
    """A toy row saves some 6 kB."""
    monkeypatch.setattr("os.sysconf", lambda name: 4096 if name == "SC_PAGE_SIZE" else pages)
    assert invert(random.Attack()).batch_size == rows


def test_an_attack_that_needs_more_memory_gets_fewer_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    class Views(random.Attack):
        def rows_in_memory(self) -> float:
            return 2.0

    monkeypatch.setattr("os.sysconf", lambda name: 4096 if name == "SC_PAGE_SIZE" else 40)
    one, two = (invert(attack()).batch_size for attack in (random.Attack, Views))
    assert two == one // 2 > 0


# --- crashes ------------------------------------------------------------------------------------

SEARCH = gmi.Attack(
    steps=9,
    lr=0.02,
    momentum=0.9,
    identity_weight=20.0,
    bound=1.0,
    averaging=None,
    adaptive=None,
    reference_batch=4,
)


class Killed(Scratch):
    """A scratch whose process is killed when it saves for the n-th time."""

    def __init__(self, inner: Scratch, saves: int) -> None:
        vars(self).update(vars(inner))
        self.left = saves

    def save(self, parts: Mapping[str, Any], step: int) -> None:
        super().save(parts, step)
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


@pytest.mark.parametrize("saves", [2, 5, 6, 7])  # inside a batch, or after it: five saves a batch
def test_an_attack_that_was_cut_off_goes_on(tmp_path: Path, saves: int) -> None:
    whole = invert(SEARCH, batch_size=3).rows
    with pytest.raises(KeyboardInterrupt), scratch(tmp_path, "cut") as checkpointer:
        invert(SEARCH, 3, checkpointer=Killed(checkpointer, saves))
    seen: list[int] = []
    forward = ToyTarget.forward

    def counted(self: ToyTarget, images: Tensor) -> Any:
        seen.append(len(images))
        return forward(self, images)

    with scratch(tmp_path, "cut") as checkpointer, pytest.MonkeyPatch.context() as patch:
        patch.setattr(ToyTarget, "forward", counted)
        resumed = invert(SEARCH, 3, checkpointer=checkpointer).rows
    for field in FIELDS:
        assert torch.equal(resumed[field], whole[field]), field
    done = {2: 4, 5: 10, 6: 12, 7: 14}[saves]  # steps of the first two batches, 10 forwards each
    assert len(seen) == 30 - done


@pytest.mark.slow
@pytest.mark.parametrize(("batch_size", "inside"), [(2, 0), (3, 1)])
def test_a_small_batch_is_not_saved_inside(tmp_path: Path, batch_size: int, inside: int) -> None:
    """Of 300 rows: 2 are less than a hundredth. Every save writes all images that are finished."""
    rows.clear()
    search, each = replace(SEARCH, steps=3), 75
    whole = invert(search, batch_size, each, checkpointer=Seen()).rows
    assert len(rows) == 100 + inside * 100
    with pytest.raises(KeyboardInterrupt), scratch(tmp_path, "cut") as checkpointer:
        invert(search, batch_size, each, checkpointer=Killed(checkpointer, 40))
    with scratch(tmp_path, "cut") as checkpointer:
        resumed = invert(search, batch_size, each, checkpointer=checkpointer).rows
    for field in FIELDS:
        assert torch.equal(resumed[field], whole[field]), field


def test_a_stochastic_target_draws_what_is_next_after_an_interruption(tmp_path: Path) -> None:
    torch.manual_seed(1)  # the noise is the attack's own, whatever else was drawn
    whole = invert(SEARCH, batch_size=3, target=NoisyTarget).rows
    torch.manual_seed(2)
    with pytest.raises(KeyboardInterrupt), scratch(tmp_path, "cut") as checkpointer:
        invert(SEARCH, 3, checkpointer=Killed(checkpointer, 3), target=NoisyTarget)
    with scratch(tmp_path, "cut") as checkpointer:
        resumed = invert(SEARCH, 3, checkpointer=checkpointer, target=NoisyTarget).rows
    for field in FIELDS:
        assert torch.equal(resumed[field], whole[field]), field


@pytest.mark.parametrize("saves", [1, 2])
def test_queries_before_an_interruption_count(tmp_path: Path, saves: int) -> None:
    whole = invert(Asking(), batch_size=3, each=5).queries
    with pytest.raises(KeyboardInterrupt), scratch(tmp_path, "cut") as checkpointer:
        invert(Asking(), 3, 5, checkpointer=Killed(checkpointer, saves))
    with scratch(tmp_path, "cut") as checkpointer:
        assert invert(Asking(), 3, 5, checkpointer=checkpointer).queries == whole == 6


@pytest.mark.parametrize("attack", [Choosy(), Asking()])
@pytest.mark.parametrize("saves", [1, 2, 4])
def test_what_was_chosen_before_an_interruption_is_kept(
    tmp_path: Path, attack: Any, saves: int
) -> None:
    undisturbed = invert(attack, batch_size=2, each=5).rows
    with pytest.raises(KeyboardInterrupt), scratch(tmp_path, "cut") as checkpointer:
        invert(attack, 2, 5, checkpointer=Killed(checkpointer, saves))
    with scratch(tmp_path, "cut") as checkpointer:
        resumed = invert(attack, 2, 5, checkpointer=checkpointer).rows
    for field in FIELDS:
        assert torch.equal(resumed[field], undisturbed[field]), field
    assert resumed["left_out"] == undisturbed["left_out"]


def test_a_resumed_attack_keeps_its_batches(tmp_path: Path) -> None:
    """Another batch size would round otherwise: who began with halves goes on with halves."""
    with pytest.raises(KeyboardInterrupt), scratch(tmp_path, "cut") as checkpointer:
        invert(SEARCH, 3, checkpointer=Killed(checkpointer, 6))
    with scratch(tmp_path, "cut") as checkpointer:
        assert invert(SEARCH, 8, checkpointer=checkpointer).batch_size == 3


@pytest.mark.parametrize(
    ("change", "words"),
    [({"batch_size": 0}, "batch_size: 0 is under 1"), ({"keep_every": 0}, "keep_every: 0")],
)
def test_wrong_plans(change: dict[str, int], words: str) -> None:
    block = {"images_per_class": 1, "batch_size": None, "keep_every": 1} | change
    with pytest.raises(ValueError, match=words):
        params.build(Inversion, block, "inversion")


def test_progress_counts_rows() -> None:
    class Bar(Memory):
        def progress(self, done: int, total: int) -> None:
            shown.append((done, total))

    shown: list[tuple[int, int]] = []
    invert(SEARCH, 4, checkpointer=Bar())
    assert shown[0] == (0, 8) and shown[8] == (4, 8) and shown[-1] == (8, 8)
    assert shown == sorted(shown)


@dataclass(frozen=True, kw_only=True)
class Broken(random.Attack):
    """The random attack, of whose class 2 one number is not finite."""

    field: str

    def invert(self, target: Target, prior: Prior, task: Task, rt: Any) -> Reconstruction:
        found = super().invert(target, prior, task, rt)
        values = getattr(found, self.field).clone()
        values.view(len(task.labels), -1)[task.labels == 2, -1] = torch.inf
        if values.dim() == 4:  # as a generator leaves them
            values = values.contiguous(memory_format=torch.channels_last)
        return replace(found, **{self.field: values})


@pytest.mark.parametrize("name", ["images", "latents", "losses"])
def test_what_is_not_finite_is_no_reconstruction(name: str) -> None:
    words = rf"^{name} of 2 of 8 reconstructions are not finite, first those of class 2$"
    with pytest.raises(DivergedError, match=words):
        invert(Broken(field=name))
