"""BREP-MI against the procedure of one identity after another, on balls (T11)."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest
import torch
from test_attacks import ROWS
from torch import Tensor

from toy import runtime
from trapmid import wiring
from trapmid.config.study import Inversion
from trapmid.runtime import counter_normal, stream_seed
from trapmid.search import latents
from trapmid.search.inversion import Inverted, invert_all
from trapmid.types import (
    NOTHING,
    InMemory,
    LabelsOnly,
    Output,
    Prior,
    Reconstruction,
    Target,
    Task,
)

DIM = 4
CENTRES = torch.tensor([[0.6, 0.0, 0.0, 0.0], [-0.9, 0.8, 0.0, 0.0], [0.0, -1.0, 1.0, 0.0]])
RADII = torch.tensor([1.1, 0.9, 0.7])
HOLES = torch.tensor([0.5, 0.0, 0.0])  # a move towards the middle may leave the class
OUTSIDE = len(CENTRES)  # a class of its own
PAPER: dict[str, Any] = {
    "points": 32,
    "inside": 29,
    "radius": 0.2,
    "patience": 15,
    "init_batches": 40,
    "proposals": None,
    "rejection_cap": 6,
}


class Latents(Prior):
    """The image is the latent."""

    latent_dim, num_classes = DIM, 1

    def forward(self, latents: Tensor, labels: Tensor) -> Tensor:
        return latents[:, None, None, :].expand(-1, 3, 1, -1)

    def realism(self, images: Tensor, labels: Tensor) -> Tensor:
        raise AssertionError("a label-only attack asks no critic")


class Balls(Target):
    """A point is of the class of the ball it lies in, but for the hole in its middle."""

    num_classes = len(CENTRES) + 1

    def forward(self, images: Tensor) -> Output:
        z = images[:, 0, 0]
        distance = torch.cdist(z, CENTRES, compute_mode="donot_use_mm_for_euclid_dist")
        inside = torch.minimum(RADII - distance, distance - HOLES)
        outside = torch.full((len(z), 1), 1e-6)
        return Output(torch.cat([inside, outside], dim=1), z)


def label_of(z: Tensor) -> int:
    depths = []
    for centre, radius, hole in zip(CENTRES, RADII, HOLES, strict=True):
        distance = (z - centre).norm()
        depths.append(min(float(radius - distance), float(distance - hole)))
    best = max(range(len(depths)), key=depths.__getitem__)
    return best if depths[best] > 1e-6 else OUTSIDE


LABELS = torch.tensor([0, 0, 1, 2])
DRAWS = torch.tensor([0, 1, 0, 0])


def attack(**changes: Any) -> Any:
    return wiring.attack("brepmi", ROWS["brepmi"] | PAPER | changes)


def invert(labels: Tensor = LABELS, draws: Tensor = DRAWS, **changes: Any) -> Reconstruction:
    task = Task(labels=labels, draws=draws)
    found: Reconstruction = attack(**changes).invert(
        LabelsOnly(Balls()), Latents(), task, runtime()
    )
    return found


def literal_start(label: int, draw: int, init_batches: int = 40) -> tuple[Tensor, int] | None:
    """Section 7.1, latent by latent."""
    for number in range(init_batches * 8):
        key = torch.tensor([stream_seed(0, "initial latents", draw) + number])
        z = counter_normal(key, DIM)[0].clamp(-1.5, 1.5)
        if label_of(z) == label:
            return z, number // 8 + 1
    return None


def literal_search(
    z: Tensor,
    label: int,
    draw: int,
    start: float,
    rejection_cap: int,
    patience: int = 15,
    points: int = 32,
    inside: int = 29,
    max_step: float = 3.0,
) -> dict[str, Any]:
    """Section 7.2, one identity and one point at a time."""
    key = latents.row_keys(torch.tensor([label]), torch.tensor([draw]), 0, "directions")
    radius, moves, last, tried, rejections = start, 0, 0, 0, 0
    kept, radii, expansions, refused = z, [start], 0, 0
    while moves - last < patience and rejections < rejection_cap:
        eta = min(radius / 3, max_step)
        noise = counter_normal(key + tried, points * DIM).view(points, DIM)
        tried += 1
        sphere = [d / d.norm() * radius for d in noise]
        member_logits = [1 if label_of(z + d) == label else -1 for d in sphere]
        expanded = member_logits.count(1) >= inside
        if expanded:
            radius, last = 1.3 * radius, moves
            radii.append(radius)
        away = sum((c - 1) / 2 * d for c, d in zip(member_logits, sphere, strict=True))
        direction = away / points / radius
        moved = (z + eta * direction).clamp(-1.5, 1.5)
        if label_of(moved) != label:
            rejections += 1
            refused += expanded
            continue
        z, rejections = moved, 0
        if expanded:
            kept, expansions = z, expansions + 1
        else:
            moves += 1
    return {
        "kept": kept,
        "radius": radius,
        "radii": radii,
        "moves": moves,
        "tried": tried,
        "expansions": expansions,
        "refused": refused,  # expansions that are none, for the move that follows leaves the class
        "rejected_out": rejections >= rejection_cap,
    }


@pytest.mark.parametrize(
    ("start", "rejection_cap", "changes"),
    [
        (0.2, 6, {}),
        (2.0, 6, {}),
        (2.0, 1, {}),
        (1.5, 6, {"points": 4, "inside": 1, "max_step": 0.7}),
    ],
)
def test_rows_equal_the_sequential_procedure(
    start: float, rejection_cap: int, changes: dict[str, Any]
) -> None:
    found = invert(radius=start, rejection_cap=rejection_cap, **changes)
    assert found.found is not None
    ended, refused = [], 0
    for row, (label, draw) in enumerate(zip(LABELS.tolist(), DRAWS.tolist(), strict=True)):
        begun = literal_start(label, draw)
        assert begun is not None
        wanted = literal_search(begun[0], label, draw, start, rejection_cap, **changes)
        assert torch.allclose(found.latents[row], wanted["kept"], atol=1e-4)
        assert -found.losses[row].item() == pytest.approx(wanted["radius"], rel=1e-5)
        assert wanted["radii"] == pytest.approx(
            [start * 1.3**i for i in range(len(wanted["radii"]))]
        )
        assert found.counts["queries"][row] == (changes.get("points", 32) + 1) * wanted["tried"]
        assert found.counts["moves"][row] == wanted["moves"]
        assert found.counts["expansions"][row] == wanted["expansions"]
        assert found.counts["initial_batches"][row] == begun[1]
        assert bool(found.counts["rejected_out"][row]) is wanted["rejected_out"]
        assert bool(found.found[row]) is (wanted["expansions"] > 0)
        ended.append(wanted["rejected_out"])
        refused += wanted["refused"]
    assert start > 1 or (-found.losses > start).all()
    assert rejection_cap == 6 or any(ended)
    assert not changes or refused > 0


def test_a_search_goes_to_the_middle_of_its_class() -> None:
    found = invert()
    begun = torch.stack([literal_start(y, d)[0] for y, d in zip(LABELS.tolist(), DRAWS.tolist())])  # type: ignore[index]  # noqa: B905
    before, after = ((z - CENTRES[LABELS]).norm(dim=1) for z in (begun, found.latents))
    assert (after < 0.6 * before)[LABELS > 0].all()
    assert (after > HOLES[LABELS]).all()


def test_the_widest_sphere_is_not_clamped_but_the_latent_is() -> None:
    found = invert(bound=0.5, init_batches=200)
    assert found.latents.abs().max() <= 0.5


def test_a_class_that_never_turns_up_is_not_found() -> None:
    """No point of the ball of class 2 has all coordinates under 0.2: it cannot be seen."""
    found = invert(bound=0.2, init_batches=3)
    assert found.found is not None and not found.found[3]
    assert found.counts["initial_batches"][3] == 3 and found.counts["queries"][3] == 0
    assert found.found[:2].all()


def test_one_completed_expansion_is_an_answer() -> None:
    """After a single proposal a row has widened its sphere once, or never."""
    found = invert(proposals=1)
    assert found.found is not None and found.counts["expansions"].max() == 1
    assert torch.equal(found.found, found.counts["expansions"] == 1)


def test_a_start_depends_on_its_own_row_alone() -> None:
    whole, alone = invert(), invert(LABELS[2:3], DRAWS[2:3])
    assert torch.equal(whole.latents[2], alone.latents[0])
    for name, numbers in whole.counts.items():
        assert numbers[2] == alone.counts[name][0]


def test_untargeted_takes_who_is_seen_first() -> None:
    everyone = torch.arange(Balls.num_classes)
    draws = torch.zeros_like(everyone)
    found = invert(everyone, draws, untargeted=2)
    first = [literal_start(int(y), 0) for y in everyone]
    seen = {
        int(y): next(
            number
            for number in range(320)
            if label_of(
                counter_normal(torch.tensor([stream_seed(0, "initial latents", 0) + number]), DIM)[
                    0
                ].clamp(-1.5, 1.5)
            )
            == int(y)
        )
        for y in everyone
        if first[int(y)] is not None
    }
    chosen = sorted(seen, key=seen.__getitem__)[:2]
    assert found.left_out is not None
    assert [y for y in everyone.tolist() if not found.left_out[y]] == sorted(chosen)


def test_queries_are_counted_and_budgeted() -> None:
    oracle = LabelsOnly(Balls())
    task = Task(labels=LABELS, draws=DRAWS)
    found = attack(proposals=4).invert(oracle, Latents(), task, runtime())
    assert (found.counts["queries"] == 4 * 33).all()
    begun = [literal_start(y, d) for y, d in zip(LABELS.tolist(), DRAWS.tolist(), strict=True)]
    batches = [start[1] for start in begun if start is not None]
    # Draw 0 looked for classes 0, 1 and 2 together, draw 1 for class 0.
    most = max(batches[0], *batches[2:]) + batches[1]
    assert oracle.queries == attack().queries(LABELS, DRAWS, found.counts)
    assert oracle.queries == most * 8 + 4 * 4 * 33


def whole(batch_size: int | None, target: Target | None = None, **changes: Any) -> Inverted:
    """Both draws of every class, the one without an edge among them."""
    plan = Inversion(images_per_class=2, batch_size=batch_size, keep_every=100)
    searched = attack(**{"images_per_class": 2} | changes)
    world = target or Balls(), Latents(), NOTHING
    return invert_all(searched, *world, plan, runtime(), InMemory())


@pytest.mark.parametrize("changes", [{}, {"bound": 0.2, "init_batches": 3}, {"untargeted": 2}])
def test_queries_do_not_depend_on_the_batch(changes: dict[str, Any]) -> None:
    found = {size: whole(size, **changes) for size in (1, 2, 3, 8)}
    assert len({made.queries for made in found.values()}) == 1
    for name, numbers in found[8].rows["counts"].items():
        assert all(torch.equal(numbers, made.rows["counts"][name]) for made in found.values())


def test_who_is_looked_for_in_vain_is_counted() -> None:
    """Within 0.2 of the origin no latent shows class 2: three of four turn up, five are wanted."""
    made = whole(None, bound=0.2, init_batches=3, untargeted=5, proposals=1)
    rows, attempted = made.rows, made.rows["labels"].unique()
    of_second = int(rows["counts"]["initial_batches"][rows["draws"] == 1].max())
    assert len(attempted) < 4
    assert made.queries == 33 * len(rows["labels"]) + 8 * (3 + of_second)


class Full(Balls):
    """Has no room for an initial batch."""

    def forward(self, images: Tensor) -> Output:
        if len(images) == 8:
            raise torch.cuda.OutOfMemoryError("full")
        return super().forward(images)


def test_starts_are_looked_for_in_parts_where_memory_is_full() -> None:
    plain = LabelsOnly(Balls()), LabelsOnly(Full())
    task = Task(labels=LABELS, draws=DRAWS)
    roomy = attack(proposals=1).invert(plain[0], Latents(), task, runtime())
    with pytest.warns(UserWarning, match="goes on with 4 images at once"):
        cramped = attack(proposals=1).invert(plain[1], Latents(), task, runtime())
    assert torch.equal(roomy.latents, cramped.latents)
    assert plain[0].queries == plain[1].queries  # a question without an answer is none


def test_a_class_without_an_edge_ends() -> None:
    """Outside the balls every sphere lies inside the class, however wide it is."""
    found = invert(torch.tensor([OUTSIDE, 2]), torch.tensor([0, 0]), radius=2.0)
    assert found.found is not None and found.found[0]
    assert found.losses.isfinite().all() and found.losses[0] == -1e18
    assert found.counts["expansions"][0] >= math.ceil(math.log(5e17, 1.3)) - 1
    assert found.latents.isfinite().all() and label_of(found.latents[0]) == OUTSIDE
    assert found.losses[1] > -1e3
    made = whole(None, radius=2.0)
    assert len(made.rows["labels"]) == 8 and made.rows["found"][6:].all()


def test_an_expansion_that_overflows_at_once_ends() -> None:
    labels, draws = torch.tensor([OUTSIDE]), torch.tensor([0])
    found = invert(labels, draws, radius=2.0, expansion=1e39)
    assert found.losses.tolist() == pytest.approx([-1e18])
    assert found.counts["expansions"].tolist() == [1]


@pytest.mark.parametrize(
    ("change", "words"),
    [({"inside": 33}, "inside: 33 is outside 1 .. 32"), ({"expansion": 1.0}, "does not widen")],
)
def test_wrong_parameters(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        attack(**change)


def test_no_more_images_than_asked() -> None:
    one = dataclasses.replace(attack(), images_per_class=2)
    assert [one.images_of_each(n) for n in (1, 2, 5)] == [1, 2, 2]
