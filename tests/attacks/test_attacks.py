"""Every promise of `types.Attack` for every attack, and the attacks' own formulas."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toy import (
    Memory,
    ToyBlockPrior,
    ToyStudents,
    ToyStylePrior,
    ToyTarget,
    runtime,
    same_state,
    seeded,
    snapshot,
    uniform,
)
from trapmid import wiring
from trapmid.artifacts.scratch import scratch
from trapmid.nets.stylegan2 import Size
from trapmid.priors import gmi as gmi_prior
from trapmid.priors import kedmi as kedmi_prior
from trapmid.priors import plgmi as plgmi_prior
from trapmid.priors import style as style_prior
from trapmid.search import latents
from trapmid.search.candidates import Candidates
from trapmid.targets import small_students, small_vgg
from trapmid.types import (
    LabelsOnly,
    Output,
    Prior,
    Reconstruction,
    Saving,
    SideInformation,
    Target,
    Task,
)

CLASSES = 4
VIEW: dict[str, Any] = {
    "scale": 0.5,
    "jitter": 0.2,
    "jitter_probability": 0.7,
    "flip": 0.5,
    "rotation": 0.5,
    "degrees": 20.0,
}
PLGMI: dict[str, Any] = {
    "steps": 20,
    "lr": 0.1,
    "views": 2,
    "view": VIEW,
    "view_noise": 0.0,
    "adaptive": None,
    "reference_batch": 6,
}
LOMMA: dict[str, Any] = {
    "search": "points",
    "steps": 20,
    "lr": 0.02,
    "momentum": 0.9,
    "bound": 1.0,
    "identity_weight": 20.0,
    "feature_weight": 0.1,
    "averaging": None,
    "adaptive": None,
    "reference_batch": 6,
}
GMI: dict[str, Any] = {
    "steps": 20,
    "lr": 0.02,
    "momentum": 0.9,
    "identity_weight": 20.0,
    "bound": 1.0,
    "averaging": None,
    "adaptive": None,
    "reference_batch": 6,
}
KEDMI: dict[str, Any] = {
    "steps": 20,
    "lr": 0.1,
    "identity_weight": 20.0,
    "averaging": None,
    "adaptive": None,
    "reference_batch": 6,
}
PPA: dict[str, Any] = {
    "candidates": 3,
    "styles": "one",
    "steps": 20,
    "lr": 0.03,
    "betas": [0.1, 0.1],
    "view": {"area": [0.5, 1.0], "ratio": [1.0, 1.0]},
    "averaging": None,
    "loss": "poincare",
    "adaptive": None,
    "clip": "result",
    "robustness": {
        "views": 3,
        "crop": {"area": [0.5, 0.9], "ratio": [0.8, 1.2]},
        "mirror": 0.5,
        "keep": 2,
    },
    "reference_batch": 6,
}
IFGMI: dict[str, Any] = {
    "candidates": None,
    "steps": 12,
    "layers": [{"steps": 8, "radius": 2.0}],
    "layer": None,
    "lr": 0.05,
    "betas": [0.1, 0.1],
    "view": {"area": [0.8, 1.0], "ratio": [1.0, 1.0]},
    "loss": "poincare",
    "adaptive": None,
    "realism_weight": 0.01,
    "clip": "result",
    "reference_batch": 6,
}
NEAR: dict[str, Any] = {
    "views": 3,
    "noise": 0.03,
    "crop": {"area": [0.8, 1.0], "ratio": [0.9, 1.1]},
    "mirror": 0.5,
    "degrees": 5.0,
}
BOTH = {"trapdoor_weight": 0.5, "auxiliary_weight": 0.5}
ROWS: dict[str, dict[str, Any]] = {
    "gmi": GMI,
    "gmi, averaged": GMI | {"averaging": NEAR},
    "gmi, adaptive": GMI | {"adaptive": BOTH},
    "plgmi": PLGMI,
    "plgmi, adaptive": PLGMI | {"adaptive": BOTH},
    "plgmi, strong": PLGMI | {"views": 3, "view_noise": 0.1},
    "kedmi": KEDMI,
    "kedmi, averaged": KEDMI | {"averaging": NEAR},
    "kedmi, adaptive": KEDMI | {"adaptive": BOTH},
    "lomma": LOMMA,
    "lomma, averaged": LOMMA | {"averaging": NEAR},
    "lomma, adaptive": LOMMA | {"adaptive": BOTH},
    "lomma, distributions": LOMMA | {"search": "distributions", "lr": 0.1},
    "brepmi": {
        "images_per_class": 3,
        "points": 16,
        "inside": 15,
        "radius": 1.0,
        "expansion": 1.3,
        "max_step": 3.0,
        "bound": 1.5,
        "patience": 10,
        "init_batch": 8,
        "init_batches": 64,
        "rejection_cap": 10,
        "proposals": 60,
        "untargeted": None,
    },
    "ppa": PPA,
    "ppa, averaged": PPA
    | {"averaging": NEAR | {"mirror": 0.0}, "view": {"area": [0.9, 1.0], "ratio": [1.0, 1.0]}},
    "ppa, adaptive": PPA | {"adaptive": {"trapdoor_weight": 0.2, "auxiliary_weight": 0.2}},
    "ifgmi": IFGMI,
    "ifgmi, adaptive": IFGMI | {"adaptive": BOTH},
    "ifgmi, styles": IFGMI | {"candidates": 3, "layer": 1},
    "random": {},
}
"""Module, and what tells variants of it apart -> block."""
LABEL_ONLY = ["brepmi"]
OF_STYLES = ["ppa", "ppa, averaged", "ppa, adaptive", "ifgmi, styles"]
"""Rows that search style codes, and so a prior that has them."""
OF_DISTRIBUTIONS = ["kedmi", "kedmi, averaged", "kedmi, adaptive", "lomma, distributions"]
"""Rows that search a distribution of each person, and not a point of each image."""
OF_FEATURES = ["ifgmi", "ifgmi, adaptive", "ifgmi, styles"]
"""Rows that search features, too: their latents alone do not make their images."""
SEARCHES = [name for name in ROWS if name not in ("random", *LABEL_ONLY)]
LABELS, DRAWS = torch.arange(CLASSES).repeat_interleave(3), torch.arange(3).repeat(CLASSES)


def module(name: str) -> str:
    return name.partition(",")[0]


def attack(name: str, **changes: Any) -> Any:
    return wiring.attack(module(name), ROWS[name] | changes)


def known(classes: int = CLASSES, size: int = 8, features: int = 192) -> SideInformation:
    """All that any attack may need."""
    return SideInformation(
        students=seeded(ToyStudents, classes, size),
        feature_mean=uniform(features, seed=3),
        signatures=uniform(classes, features, seed=4) - 0.5,
        auxiliary=uniform(classes, features, seed=5) - 0.5,
    )


def run(
    method: Any,
    target: Target,
    prior: Prior,
    labels: Tensor,
    draws: Tensor,
    seed: int = 0,
    **fields: Any,
) -> Reconstruction:
    """`invert` as `inversion.invert_all` calls it."""
    task = Task(labels=labels, draws=draws, **({"side_information": known()} | fields))
    asked = LabelsOnly(target) if method.label_only else target
    found: Reconstruction = method.invert(asked, prior, task, runtime(seed))
    return found


def world(name: str = "gmi") -> tuple[Target, Prior]:
    target: Target = seeded(ToyTarget, CLASSES)
    kind = ToyStylePrior if name in OF_STYLES else ToyBlockPrior
    prior: Prior = seeded(kind, CLASSES, seed=1)
    return target, prior


def invert(
    name: str, labels: Tensor, draws: Tensor, seed: int = 0, **changes: Any
) -> Reconstruction:
    return run(attack(name, **changes), *world(name), labels, draws, seed=seed)


def test_every_attack_has_a_row() -> None:
    rows = {module(name) for name in ROWS}
    wrong = sorted(rows ^ set(wiring.names("attacks")))
    assert not wrong, (
        f"ROWS in tests/attacks/test_attacks.py and the files of "
        f"src/trapmid/attacks differ by {wrong}"
    )
    assert [name for name in ROWS if attack(name).label_only] == LABEL_ONLY


@pytest.fixture(scope="module")
def found() -> dict[str, Reconstruction]:
    return {name: invert(name, LABELS, DRAWS) for name in ROWS}


# --- promises of types.Attack -------------------------------------------------------------------


@pytest.mark.parametrize("name", ROWS)
def test_a_row_per_label(name: str, found: dict[str, Reconstruction]) -> None:
    _, prior = world(name)
    rows = found[name]
    assert rows.images.shape == (12, 3, 8, 8) and rows.images.dtype == torch.float32
    assert rows.latents.shape == (12, prior.latent_dim) and rows.latents.dtype == torch.float32
    assert rows.losses.shape == (12,) and rows.losses.isfinite().all()
    assert torch.equal(rows.labels, LABELS) and torch.equal(rows.draws, DRAWS)
    with torch.no_grad():
        of_latents = prior.eval()(rows.latents, LABELS)
    assert torch.allclose(of_latents, rows.images, atol=1e-6) is (name not in OF_FEATURES)
    columns = [getattr(rows, f.name) for f in dataclasses.fields(rows) if f.name != "counts"]
    columns = [column for column in (*columns, *rows.counts.values()) if column is not None]
    assert not any(column.requires_grad for column in columns)
    assert all(len(column) == 12 for column in columns)


@pytest.mark.slow
@pytest.mark.parametrize("size", [1, 3, 5])
@pytest.mark.parametrize("name", ROWS)
def test_no_result_depends_on_the_batch(
    name: str, size: int, found: dict[str, Reconstruction]
) -> None:
    parts = [
        invert(name, label, draw)
        for label, draw in zip(LABELS.split(size), DRAWS.split(size), strict=True)
    ]
    for field in ("images", "latents", "losses"):
        merged = torch.cat([getattr(part, field) for part in parts])
        # Matrix products of other shapes sum in another order.
        assert torch.allclose(merged, getattr(found[name], field), rtol=1e-3, atol=1e-4), field


@pytest.mark.parametrize("name", ROWS)
def test_no_result_depends_on_the_order(name: str, found: dict[str, Reconstruction]) -> None:
    order = torch.randperm(12, generator=torch.Generator().manual_seed(0))
    shuffled = invert(name, LABELS[order], DRAWS[order])
    for field in ("images", "latents", "losses"):
        wanted = getattr(found[name], field)[order]
        assert torch.allclose(getattr(shuffled, field), wanted, rtol=1e-3, atol=1e-4), field


@pytest.mark.parametrize("name", ROWS)
def test_draws_labels_and_seeds_tell_images_apart(
    name: str, found: dict[str, Reconstruction]
) -> None:
    rows = found[name].latents
    assert (torch.cdist(rows, rows) + torch.eye(12)).min() > 1e-3
    other = invert(name, LABELS, DRAWS, seed=1).latents
    assert ((rows - other).norm(dim=1) > 1e-3).all()
    again = invert(name, LABELS, DRAWS)
    assert torch.equal(again.latents, rows) and torch.equal(again.images, found[name].images)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", ROWS)
def test_networks_are_left_as_they_were(name: str, training: bool) -> None:
    target, prior = world(name)
    target.train(training), prior.train(training)
    target.norm.bias.requires_grad_(False)
    networks = nn.ModuleList([target, prior])
    before, flags = snapshot(networks), [p.requires_grad for p in networks.parameters()]
    state = torch.get_rng_state()
    run(attack(name), target, prior, LABELS, DRAWS)
    assert same_state(before, snapshot(networks))
    assert all(p.grad is None for p in networks.parameters())
    assert [p.requires_grad for p in networks.parameters()] == flags
    assert target.training is training and prior.training is training
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("name", SEARCHES)
def test_a_search_beats_random_latents(name: str, found: dict[str, Reconstruction]) -> None:
    target, _ = world()

    def confidence(rows: Reconstruction) -> Tensor:
        with torch.no_grad():
            logits = target.eval()(rows.images).logits
        return logits.log_softmax(dim=1).gather(1, LABELS[:, None]).mean()

    assert confidence(invert(name, LABELS, DRAWS, steps=60)) > confidence(found["random"]) + 0.3


OTHER: dict[str, Any] = {
    "steps": 7,
    "lr": 0.007,
    "momentum": 0.5,
    "betas": [0.5, 0.5],
    "bound": 0.3,
    "identity_weight": 3.0,
    "feature_weight": 5.0,
    "averaging": NEAR,
    "reference_batch": 60,
    "views": 1,
    "view": VIEW | {"flip": 0.0},
    "view_noise": 0.2,
    "adaptive": {"trapdoor_weight": 2.0, "auxiliary_weight": 0.5},
    "search": "distributions",
    "loss": "ce",
    "robustness": PPA["robustness"] | {"mirror": 0.0},
    "layers": [{"steps": 8, "radius": 0.1}],
    "layer": 0,
    "realism_weight": 3.0,
    "points": 20,
    "inside": 5,
    "radius": 0.4,
    "expansion": 2.0,
    "max_step": 0.01,
    "patience": 2,
    "init_batch": 5,
    "init_batches": 1,
    "rejection_cap": 1,
    "proposals": 5,
    "untargeted": 2,
}
"""Another value of every parameter."""
ELSEWHERE = {"candidates", "images_per_class", "styles", "clip"}
"""Parameters that change nothing of these rows, and have tests of their own."""


@pytest.mark.parametrize(
    "name", ["gmi", "kedmi", "lomma", "plgmi", "plgmi, strong", "ppa", "ifgmi", "brepmi"]
)
def test_every_value_of_a_block_counts(name: str, found: dict[str, Reconstruction]) -> None:
    """None is read and then forgotten: another value makes other images, or counts otherwise."""

    def columns(rows: Reconstruction) -> list[Any]:
        fields = [getattr(rows, f.name) for f in dataclasses.fields(rows) if f.name != "counts"]
        return [*fields, *rows.counts.values()]

    for key in ROWS[name].keys() - ELSEWHERE:
        value = OTHER[key]
        if key == "view" and name in ("ppa", "ifgmi"):
            value = {"area": [0.3, 0.6], "ratio": [1.0, 1.0]}
        changed = columns(invert(name, LABELS, DRAWS, **{key: value}))
        pairs = zip(columns(found[name]), changed, strict=True)
        assert not all(a is b or torch.equal(a, b) for a, b in pairs), key


def fresh_of(name: str, **changes: Any) -> list[Tensor]:
    """What the target is shown by a search that stays where it is."""

    class Seeing(ToyTarget):
        def forward(self, images: Tensor) -> Output:
            seen.append(images.detach().clone())
            return super().forward(images)

    seen: list[Tensor] = []
    target, (_, prior) = seeded(Seeing, CLASSES), world(name)
    method = attack(name, **(changes | {"lr": 1e-12, "steps": 4}))
    run(method, target, prior, LABELS, DRAWS)
    return seen[:4]


STILL = {"area": [1.0, 1.0], "ratio": [1.0, 1.0]}
QUIET = NEAR | {"crop": None, "mirror": 0.0, "degrees": 0.0}


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("gmi", {"averaging": QUIET}),
        ("gmi", {"averaging": NEAR | {"noise": 0.0}}),
        ("lomma", {"averaging": QUIET}),
        ("ppa", {}),
        ("ppa", {"view": STILL, "averaging": QUIET}),
        ("ifgmi", {"view": {"area": [0.3, 1.0], "ratio": [1.0, 1.0]}}),
    ],
)
def test_every_step_sees_fresh_neighbours_and_views(name: str, changes: dict[str, Any]) -> None:
    shown = fresh_of(name, **changes)
    assert len(shown) == 4
    for i, one in enumerate(shown):
        for other in shown[:i]:
            assert (one - other).abs().amax(dim=(1, 2, 3)).gt(1e-3).float().mean() > 0.7


class Cut(Memory):
    """A `Checkpointer` of a search that is killed at the second state it saves."""

    def __init__(self, inner: Any) -> None:
        super().__init__()
        self.inner, self.saved = inner, 0

    def restore(self, parts: Any) -> int:
        return int(self.inner.restore(parts))

    def save(self, parts: Any, step: int) -> None:
        self.inner.save(parts, step)
        self.saved += 1
        if self.saved == 2:
            raise KeyboardInterrupt


@pytest.mark.parametrize("name", [name for name in ROWS if name != "random"])
def test_a_search_that_was_cut_off_goes_on(
    name: str, tmp_path: Path, found: dict[str, Reconstruction]
) -> None:
    """Bit for bit, and without the steps that were done."""
    asked: list[int] = []

    def search(checkpointer: Any) -> Reconstruction:
        target, prior = world(name)
        asked.append(0)
        target.register_forward_hook(lambda *_: asked.append(asked.pop() + 1))
        return run(attack(name), target, prior, LABELS, DRAWS, saving=Saving(checkpointer, 3))

    try:
        with scratch(tmp_path, "search", name) as checkpointer:
            search(Cut(checkpointer))
    except KeyboardInterrupt:
        pass
    else:
        pytest.fail(f"{name}: its search saves no state; `invert` passes `task.saving` on to it")
    with scratch(tmp_path, "search", name) as checkpointer:
        resumed = search(checkpointer)
    search(Memory())
    cut, rest, whole = asked
    assert 0 < rest < whole and cut > 0
    for field in ("images", "latents", "losses"):
        assert torch.equal(getattr(resumed, field), getattr(found[name], field)), field


@pytest.mark.parametrize("size", [7, pytest.param(100, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", SEARCHES)
def test_scores_do_not_depend_on_batches_or_order(name: str, size: int) -> None:
    """What an evaluator says of the images: the same people are hit, in any batch and any order."""
    network = seeded(ToyTarget, CLASSES, seed=7).eval()

    def hits(labels: Tensor, draws: Tensor) -> Tensor:
        images = [
            invert(name, label, draw).images
            for label, draw in zip(labels.split(size), draws.split(size), strict=True)
        ]
        with torch.no_grad():
            return network(torch.cat(images)).logits.argmax(1) == labels

    whole = hits(LABELS, DRAWS)
    order = torch.randperm(12, generator=torch.Generator().manual_seed(1))
    assert torch.equal(hits(LABELS[order], DRAWS[order]), whole[order])


STYLE = Size(image_size=16, z_dim=5, w_dim=5, base=32, most=4, layers=2)
ASKED = Candidates(pool=4, keep=3, psi=0.5, cutoff=4, clip=True)


def real_prior(name: str) -> Prior:
    made: dict[str, Prior] = {
        "gmi": seeded(gmi_prior.Prior, 5, 16, 2),
        "kedmi": seeded(kedmi_prior.Prior, 5, CLASSES, 16, 2),
        "plgmi": seeded(plgmi_prior.Prior, 5, CLASSES, 16, 2),
        "ppa": seeded(style_prior.Prior, STYLE, style_prior.View(16, 16), None, ASKED, CLASSES),
    }
    kind = "ppa" if name in OF_STYLES else module(name)
    return made[kind if kind in made else "gmi"]


@pytest.mark.parametrize("name", ROWS)
def test_attacks_run_on_the_real_networks(name: str) -> None:
    target, prior = seeded(small_vgg.Network, CLASSES, 16), real_prior(name)
    changes = {"steps": 2} if "steps" in ROWS[name] else {}
    side_information = known(size=16, features=256)._replace(
        students=seeded(small_students.Network, CLASSES, 16)
    )
    rows = run(
        attack(name, **changes), target, prior, LABELS, DRAWS, side_information=side_information
    )
    assert rows.images.shape == (12, 3, 16, 16) and rows.losses.isfinite().all()
    one = (LABELS[4:5], DRAWS[4:5])
    alone = run(attack(name, **changes), target, prior, *one, side_information=side_information)
    assert torch.allclose(rows.images[4:5], alone.images, atol=1e-3)
    for network in (target, prior):
        assert all(p.grad is None for p in network.parameters())


# --- the methods themselves ---------------------------------------------------------------------


def test_random_is_the_prior_at_its_starts(found: dict[str, Reconstruction]) -> None:
    _, prior = world()
    z = latents.start(LABELS, DRAWS, prior.latent_dim, seed=0)
    assert torch.equal(found["random"].latents, z)
    elsewhere = {*OF_DISTRIBUTIONS, *OF_STYLES, *OF_FEATURES}
    for name in set(SEARCHES) - elsewhere:  # the floor and they are paired
        still = dataclasses.replace(attack(name), steps=0)  # params.yaml allows no such search
        assert torch.equal(run(still, *world(), LABELS, DRAWS).latents, z)


def test_gmi_equals_the_official_batch_loop() -> None:
    """Section 2.3: means over the attack batch, weights 1 and 100, Nesterov, clip."""
    target, prior = world()
    target.eval(), prior.eval()
    z = latents.start(LABELS, DRAWS, prior.latent_dim, seed=0)
    v = torch.zeros_like(z)

    def total(z: Tensor) -> Tensor:
        x = prior(z, LABELS)
        return -prior.realism(x, LABELS).mean() + 100 * F.cross_entropy(target(x).logits, LABELS)

    for _ in range(8):
        leaf = z.clone().requires_grad_(True)
        (g,) = torch.autograd.grad(total(leaf), leaf)
        before, v = v, 0.9 * v - 0.02 * g
        z = (z - 0.9 * before + 1.9 * v).clamp(-1, 1)
    rows = invert("gmi", LABELS, DRAWS, steps=8, identity_weight=100.0, reference_batch=12)
    assert torch.allclose(rows.latents, z, atol=2e-4)
    assert rows.losses.mean().item() == pytest.approx(total(z).item(), rel=1e-3)


class Plain(Prior):
    """Pictures of one colour: no crop, flip or rotation changes the middle of them."""

    latent_dim, num_classes = 3, CLASSES

    def forward(self, latents: Tensor, labels: Tensor) -> Tensor:
        return latents.sigmoid()[:, :, None, None].expand(-1, -1, 8, 8)

    def realism(self, images: Tensor, labels: Tensor) -> Tensor:
        return images.new_zeros(len(images))


class Middle(Target):
    """Sees the four pixels in the middle."""

    num_classes = CLASSES

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, CLASSES)

    def forward(self, images: Tensor) -> Output:
        features = images[:, :, 3:5, 3:5].mean(dim=(2, 3))
        return Output(5 * self.linear(features), features)


@pytest.mark.parametrize("views", [1, 2])
def test_plgmi_equals_adam_on_the_margins_of_its_views(views: int) -> None:
    """Section 5.4 where the views agree: every view adds one margin."""
    target, prior, reference_batch = seeded(Middle), Plain(), 7
    z = latents.start(LABELS, DRAWS, 3, seed=0).requires_grad_(True)
    adam = torch.optim.Adam([z], lr=0.1)

    def total(z: Tensor) -> Tensor:
        logits = target(prior(z, LABELS)).logits
        own = logits[range(12), LABELS]
        rivals = torch.stack(
            [max(v for c, v in enumerate(r) if c != y) for r, y in zip(logits, LABELS, strict=True)]
        )
        return views * (rivals - own)

    for _ in range(10):
        adam.zero_grad()
        (total(z).sum() / reference_batch).backward()
        adam.step()
    method = attack(
        "plgmi",
        steps=10,
        views=views,
        view=VIEW | {"jitter": 0.0, "degrees": 10.0},
        reference_batch=reference_batch,
    )
    rows = run(method, target, prior, LABELS, DRAWS)
    assert torch.allclose(rows.latents, z.detach(), atol=1e-3)
    assert torch.allclose(rows.losses, total(z).detach(), atol=1e-3)


class Witness(Target):
    """Notes every batch of views that it is shown."""

    num_classes = CLASSES

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Tensor] = []

    def forward(self, images: Tensor) -> Output:
        self.seen.append(images.detach().clone())
        flat = images.flatten(1)
        return Output(flat[:, :CLASSES], flat)


def test_plgmi_views_are_fresh_and_independent() -> None:
    target = Witness()
    run(attack("plgmi", steps=3, lr=1e-9), target, world()[1], LABELS, DRAWS)
    assert [len(batch) for batch in target.seen] == [24] * 4  # both views in one forward
    views = torch.stack(target.seen).view(4, 2, 12, -1)  # the latents hardly move: only views do
    for row in range(12):
        shown = views[:, :, row].reshape(8, -1)
        assert (torch.cdist(shown, shown) + torch.eye(8)).min() > 1e-2


def test_plgmi_jitter_order_is_shared_by_the_rows_of_a_draw() -> None:
    """One order for the batch of a seed, as kornia draws it: pure brightness against contrast."""
    calls: list[Tensor] = []

    class Spy:
        def __call__(self, images: Tensor, u: Tensor, order: Tensor) -> Tensor:
            calls.append(order.clone())
            return images

    method = dataclasses.replace(attack("plgmi"), view=Spy(), steps=40)
    run(method, *world(), LABELS, DRAWS)
    orders = torch.stack(calls)  # (calls, rows, numbers)
    for draw in range(3):
        rows = orders[:, draw == DRAWS]
        assert (rows == rows[:, :1]).all()
        for column in rows.unbind(dim=2):
            assert 0.25 < (column < 0.5).float().mean() < 0.75
    assert not torch.equal(orders[:, 0], orders[:, 1])
    assert len(orders[:, 0].unique()) == orders[:, 0].numel()  # nothing is used twice
