"""DP-SGD: against a gradient loop by hand, against bounds of the budget, and through the loop."""

from __future__ import annotations

import copy
import dataclasses
import math
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from opacus.accountants import RDPAccountant
from scipy.optimize import brentq
from scipy.stats import norm
from torch import Tensor, nn

from toy import (
    BLOCKS,
    PEOPLE,
    Interrupted,
    Memory,
    ToyNet,
    faces,
    images,
    plan,
    private,
    runtime,
    same_state,
    seeded,
)
from toy import snapshot as state
from trapmid import wiring
from trapmid.artifacts import classifiers
from trapmid.artifacts.scratch import scratch
from trapmid.config.study import ClassifierTraining, TargetRow
from trapmid.defenses import dpsgd
from trapmid.targets import small_vgg
from trapmid.training import fit
from trapmid.training.classifier import Trained
from trapmid.types import Output, Progress, Setting, Target

CLASSES, CLIP = 4, 9.5
BASE = dpsgd.Defense(**BLOCKS["dpsgd"][1])
QUIET = dataclasses.replace(BASE, noise_multiplier=1e-7, max_grad_norm=CLIP)


class Convolutional(Target):
    """Both kinds of batch normalisation, a frozen bias, and activations that work in place."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.body = nn.Sequential(
            nn.Conv2d(3, 8, 3, stride=2), nn.PReLU(8), nn.BatchNorm2d(8), nn.ReLU(inplace=True)
        )
        self.norm = nn.BatchNorm1d(72)
        self.norm.bias.requires_grad_(False)
        self.classifier = nn.Linear(72, num_classes)

    def forward(self, images: Tensor) -> Output:
        hidden = self.body(images).flatten(1)
        features = self.norm(hidden)
        return Output(self.classifier(features), features, (hidden, features))


def network(defense: dpsgd.Defense = BASE, outputs: int = CLASSES) -> Target:
    return defense.adapt(seeded(Convolutional, outputs))


def objective(defense: dpsgd.Defense = BASE, precision: str = "fp32") -> dpsgd.Objective:
    made = defense.objective(
        Setting(
            image_shape=(3, 8, 8),
            num_classes=CLASSES,
            new_network=lambda outputs: network(defense, outputs),
            new_optimizer=lambda parameters: torch.optim.SGD(parameters, lr=1.0),
            rt=runtime(precision=precision),
        )
    )
    assert isinstance(made, dpsgd.Objective)
    return made


def sgd(model: Target, lr: float = 1.0) -> torch.optim.Optimizer:
    return torch.optim.SGD((p for p in model.parameters() if p.requires_grad), lr=lr)


def step(
    target: dpsgd.Objective,
    model: Target,
    optimizer: torch.optim.Optimizer,
    batch: tuple[Tensor, Tensor],
) -> Tensor:
    """As the loop does it."""
    loss = target(model, *batch, Progress(0, 1, 0, 1))
    optimizer.zero_grad(set_to_none=True)
    loss.total.backward()
    optimizer.step()
    return loss.total


def batch(n: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    return images(n, seed=seed), torch.arange(n) % CLASSES


# --- the network --------------------------------------------------------------------------------


def test_adapt_leaves_nothing_that_mixes_images() -> None:
    model = network().train()
    assert not any(isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d) for m in model.modules())
    assert not any(getattr(m, "inplace", False) for m in model.modules())
    x = images(6)
    alone = torch.cat([model(row[None]).logits for row in x])
    assert torch.allclose(model(x).logits, alone, atol=1e-5)
    mixed = seeded(Convolutional, CLASSES).train()(x).logits
    assert not torch.allclose(mixed, seeded(Convolutional, CLASSES).train()(x[:3]).logits[0])


def test_adapt_keeps_parameters_flags_and_mode() -> None:
    plain = seeded(Convolutional, CLASSES)
    plain.norm.weight.data.uniform_(0.5, 2.0)
    wanted, flags = state(plain), {n: p.requires_grad for n, p in plain.named_parameters()}
    hard = BASE.adapt(plain.eval())
    assert hard is plain and not any(m.training for m in hard.modules())
    assert {n: p.requires_grad for n, p in hard.named_parameters()} == flags
    found = state(hard)
    assert found == {} or all(torch.equal(v, wanted[k]) for k, v in found.items())
    gone = {"running_mean", "running_var", "num_batches_tracked"}
    assert {k.rpartition(".")[2] for k in wanted.keys() - found.keys()} == gone
    assert same_state(state(network()), state(network()))


@pytest.mark.parametrize(
    ("made", "groups"),
    [
        (nn.BatchNorm2d(8), 2),  # four channels each
        (nn.BatchNorm2d(16), 4),
        (nn.BatchNorm2d(512), 32),
        (nn.BatchNorm2d(3), 1),
        (nn.BatchNorm2d(12), 2),
        (nn.BatchNorm2d(7), 1),
        (nn.BatchNorm1d(512), 1),  # a vector is one group
        (nn.BatchNorm2d(8, affine=False), 2),
        (nn.BatchNorm2d(8, eps=1e-4), 2),
    ],
)
def test_groups(made: Any, groups: int) -> None:
    found = nn.Sequential(made)
    BASE.adapt(found)  # type: ignore[arg-type]
    (group,) = found
    assert isinstance(group, nn.GroupNorm) and group.num_groups == groups
    assert group.eps == made.eps and (group.weight is None) == (made.weight is None)
    shape = (2, made.num_features, *([3, 3] if isinstance(made, nn.BatchNorm2d) else []))
    x = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    y = found(x).view(2, groups, -1)
    assert torch.allclose(y.mean(dim=2), torch.zeros(2, groups), atol=1e-5)
    assert torch.allclose(y.std(dim=2, correction=0), torch.ones(2, groups), atol=1e-2)


class Activated(nn.BatchNorm2d):
    """As timm's, of DenseNet-169 and Inception-v3: a normalisation that is more than one."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).relu()


@pytest.mark.parametrize(
    "norm",
    [
        Activated(8),
        nn.BatchNorm3d(8),
        nn.SyncBatchNorm(8),
        nn.InstanceNorm2d(8, track_running_stats=True),  # means of private images, without noise
    ],
)
def test_a_layer_that_would_go_on_mixing_images_is_refused(norm: nn.Module) -> None:
    model = seeded(Convolutional, CLASSES)
    model.body.append(norm)
    words = rf"^arch: test_dpsgd has {type(norm).__name__}, which mixes images; dpsgd replaces "
    with pytest.raises(ValueError, match=words):
        BASE.adapt(model)


# --- one step -----------------------------------------------------------------------------------


def by_hand(
    model: Target, batch: tuple[Tensor, Tensor], expected: int
) -> tuple[dict[str, Tensor], list[float]]:
    """The clipped gradients of single images, summed, over the expected size; their lengths."""
    named = {name: p for name, p in model.named_parameters() if p.requires_grad}
    total = {name: torch.zeros_like(p) for name, p in named.items()}
    lengths = []
    for x, y in zip(*batch, strict=True):
        loss = F.cross_entropy(model(x[None]).logits, y[None])
        slopes = torch.autograd.grad(loss, list(named.values()))
        length = math.sqrt(sum(s.double().square().sum().item() for s in slopes))
        lengths.append(length)
        for name, slope in zip(named, slopes, strict=True):
            total[name] += slope * min(1.0, CLIP / length)
    return {name: value / expected for name, value in total.items()}, lengths


def test_gradients_of_single_images_are_clipped() -> None:
    """Batches of other sizes than the expected one: the sum is divided by the expected one."""
    model, target = network(QUIET).train(), objective(QUIET)
    optimizer = target.prepare(model, sgd(model, lr=0.01))
    target.batches(torch.arange(40) % CLASSES, 5)
    seen: list[float] = []
    for n in (7, 5, 3, 9):
        data = batch(n, seed=n)
        plain = network(QUIET).train()
        plain.load_state_dict(model.state_dict())
        (wanted, lengths), before = by_hand(plain, data, expected=5), state(model)
        seen += lengths
        loss = step(target, model, optimizer, data)
        assert torch.allclose(loss, F.cross_entropy(plain(data[0]).logits, data[1]), atol=1e-5)
        for name, value in model.named_parameters():
            moved = (before[name] - value.detach()) / 0.01
            assert torch.allclose(moved, wanted.get(name, torch.zeros(())), atol=1e-4), name
        assert all(value.abs().max() > 1e-3 for value in wanted.values())
    assert sum(length < CLIP for length in seen) > 4 and sum(length > CLIP for length in seen) > 4


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_gradients_do_not_depend_on_how_maps_lie(layout: torch.memory_format) -> None:
    """On a CPU a `Runtime` places networks channels last; Opacus reads such maps wrongly."""
    still = dataclasses.replace(BASE, noise_multiplier=1e-13, max_grad_norm=1e6)  # clips nothing
    model = seeded(lambda: BASE.adapt(small_vgg.Network(CLASSES, 16))).train()
    plain, data = copy.deepcopy(model), (images(6, size=16), torch.arange(6) % CLASSES)
    model.to(memory_format=layout)
    target = objective(still)
    optimizer = target.prepare(model, sgd(model))
    target.batches(torch.arange(40) % CLASSES, 6)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    step(target, model, optimizer, data)
    F.cross_entropy(plain(data[0]).logits, data[1]).backward()
    for name, p in plain.named_parameters():
        if p.grad is None:
            assert not p.requires_grad
            continue
        moved = before[name] - dict(model.named_parameters())[name].detach()
        assert torch.allclose(moved, p.grad, atol=1e-3 * p.grad.abs().max().item()), name


class Blind(Target):
    """The classifier sees zeros: its weights have gradient 0, whatever the images are."""

    def __init__(self) -> None:
        super().__init__()
        self.num_classes = CLASSES
        self.classifier = nn.Linear(5000, CLASSES, bias=False)

    def forward(self, images: Tensor) -> Output:
        features = 0 * images.flatten(1).sum(dim=1, keepdim=True).expand(-1, 5000)
        return Output(self.classifier(features), features)


@pytest.mark.parametrize("n", [6, 0])
def test_noise(n: int) -> None:
    """Of N(0, (noise_multiplier max_grad_norm / expected size)^2), in an empty batch as well."""
    model, target = Blind().train(), objective(dataclasses.replace(BASE, max_grad_norm=3.0))
    optimizer = target.prepare(model, sgd(model))
    target.batches(torch.arange(40) % CLASSES, 5)
    moves = []
    for _ in range(2):
        before = model.classifier.weight.detach().clone()
        step(target, model, optimizer, batch(n))
        moves.append(model.classifier.weight.detach() - before)
    deviation = 0.5 * 3.0 / 5
    for moved in moves:  # 20,000 draws: four standard errors
        assert moved.std().item() == pytest.approx(deviation, rel=4 / math.sqrt(40_000))
        assert moved.mean().item() == pytest.approx(0, abs=4 * deviation / math.sqrt(20_000))
    assert abs(torch.corrcoef(torch.stack([m.flatten() for m in moves]))[0, 1]) < 0.03
    assert target.steps == 2


def test_noise_repeats_with_the_stream() -> None:
    def run(stream: int) -> dict[str, Tensor]:
        model, target = network().train(), objective()
        optimizer = target.prepare(model, sgd(model))
        with runtime().seeded(stream):
            step(target, model, optimizer, batch(4))
        return state(model)

    assert same_state(run(0), run(0)) and not same_state(run(0), run(1))


def test_an_empty_batch_has_an_answer() -> None:
    model, target = network().train(), objective()
    optimizer = target.prepare(model, sgd(model))
    target.batches(torch.arange(40) % CLASSES, 5)
    for n in (3, 0, 0, 4):  # between others, which must not see it
        loss = target(model, *batch(n), Progress(0, 1, 0, 1))
        assert loss.total.isfinite() and (n > 0 or loss.total == 0)
        assert set(loss.parts) == {"train_accuracy"} and loss.parts["train_accuracy"].isfinite()
        optimizer.zero_grad(set_to_none=True)
        loss.total.backward()
        optimizer.step()
    assert target.steps == 4
    assert all(v.isfinite().all() for v in state(model).values())


def test_the_objective_leaves_modes_and_images_alone() -> None:
    model, target = network().train(), objective()
    model.body.eval()
    optimizer = target.prepare(model, sgd(model))
    modes = [m.training for m in model.modules()]
    model.train()
    data = batch(4)
    step(target, model, optimizer, data)
    assert all(m.training for m in model.modules()) and not all(modes)
    assert not data[0].requires_grad and torch.equal(data[0], images(4))


def test_after_a_step_the_model_is_an_ordinary_one() -> None:
    """No copy per image is kept, and its gradients are those of the plain network."""
    model, target = network().train(), objective()
    step(target, model, target.prepare(model, sgd(model)), batch(6))
    for p in model.parameters():
        assert getattr(p, "grad_sample", None) is None and getattr(p, "summed_grad", None) is None
    plain = network()
    plain.load_state_dict(model.state_dict(), strict=True)
    for mode in (True, False):
        slopes = []
        for m in (model.train(mode), plain.train(mode)):
            x = images(3).requires_grad_(True)
            m.zero_grad()
            m(x).logits.square().sum().backward()
            assert x.grad is not None and m.classifier.weight.grad is not None
            slopes += [x.grad, m.classifier.weight.grad]
        assert torch.equal(slopes[0], slopes[2]) and torch.equal(slopes[1], slopes[3])
    step(target, model.train(), target._optimizer, batch(6))  # and training can go on
    assert target.steps == 2


# --- batches ------------------------------------------------------------------------------------


def test_poisson_batches() -> None:
    """Every image joins every batch by a chance of its own."""
    labels, target = torch.zeros(100, dtype=torch.int64), objective()
    with runtime().seeded("batches"):
        batches = [b for _ in range(40) for b in target.batches(labels, 10)]
    assert len(batches) == 400
    assert all(len(b.unique()) == len(b) and b.dtype == torch.int64 for b in batches)
    sizes = torch.tensor([len(b) for b in batches]).double()
    assert sizes.mean().item() == pytest.approx(10, abs=4 * 3 / 20)
    assert sizes.std().item() == pytest.approx(3, rel=0.15)  # sqrt(100 x 0.1 x 0.9)
    counts = torch.cat(batches).bincount(minlength=100).double()  # of 400 draws each
    assert counts.mean().item() == pytest.approx(40, abs=1) and counts.min() > 15
    assert counts.std().item() == pytest.approx(6, rel=0.3)
    assert target.sample_rate == 0.1


def test_shuffled_batches() -> None:
    target = objective(dataclasses.replace(BASE, poisson=False))
    batches = target.batches(torch.zeros(43, dtype=torch.int64), 10)
    assert [len(b) for b in batches] == [10] * 4 and len(torch.cat(batches).unique()) == 40
    assert target.facts()["sample_rate"] == 10 / 43
    # By chance there are as many, so that an epoch costs as much privacy.
    drawn = objective()
    assert len(drawn.batches(torch.zeros(43, dtype=torch.int64), 10)) == 4
    assert drawn.facts()["sample_rate"] == 10 / 43


@pytest.mark.parametrize("poisson", [True, False])
def test_a_batch_of_everything(poisson: bool) -> None:
    target = objective(dataclasses.replace(BASE, poisson=poisson))
    (chosen,) = target.batches(torch.zeros(7, dtype=torch.int64), 10)
    assert sorted(chosen.tolist()) == list(range(7)) and target.sample_rate == 1


def test_delta_is_under_one_image() -> None:
    with pytest.raises(ValueError, match=r"delta: 0\.001 is not under 1/1000, one image of 1000"):
        objective().batches(torch.zeros(1000, dtype=torch.int64), 10)


# --- the budget ---------------------------------------------------------------------------------


def budget(steps: int, rate: float, noise: float = 1.1, delta: float = 1e-5) -> dict[str, float]:
    defense = dataclasses.replace(BASE, noise_multiplier=noise, delta=delta)
    target = objective(defense)
    target.load_state_dict(
        {"steps": torch.tensor(steps), "sample_rate": torch.tensor(rate, dtype=torch.float64)}
    )
    return target.facts()


@pytest.mark.parametrize("delta", [1e-5, 1e-3])
def test_facts_are_the_accountants(delta: float) -> None:
    found = budget(300, 0.02, delta=delta)
    accountant = RDPAccountant()
    for _ in range(300):
        accountant.step(noise_multiplier=1.1, sample_rate=0.02)
    assert found == {
        "epsilon": pytest.approx(accountant.get_epsilon(delta), rel=1e-12),
        "delta": delta,
        "noise_multiplier": 1.1,
        "sample_rate": 0.02,
        "steps": 300.0,
    }
    assert 0.5 < found["epsilon"] < 3


@pytest.mark.parametrize(("steps", "noise"), [(1, 1.0), (10, 2.0), (100, 20.0), (5, 0.7)])
def test_epsilon_without_sampling_lies_between_exact_and_closed_form(
    steps: int, noise: float
) -> None:
    """Below: the Gaussian mechanism's exact epsilon (Balle and Wang, 2018). Above: Mironov's."""
    delta, found = 1e-5, budget(steps, 1.0, noise)["epsilon"]
    mu = math.sqrt(steps) / noise

    def excess(epsilon: float) -> float:
        first = norm.cdf(mu / 2 - epsilon / mu)
        return float(first - math.exp(epsilon) * norm.cdf(-mu / 2 - epsilon / mu) - delta)

    exact = brentq(excess, 0, 200)
    closed = mu**2 / 2 + mu * math.sqrt(2 * math.log(1 / delta))
    assert exact < found < 1.001 * closed < 2 * exact


def renyi(order: int, rate: float, noise: float) -> float:
    """Of the sampled Gaussian mechanism at a whole order (Mironov, Talwar and Zhang, 2019)."""
    terms = [  # logarithms: the largest would overflow
        math.log(math.comb(order, k))
        + (order - k) * math.log(1 - rate)
        + k * math.log(rate)
        + (k * k - k) / (2 * noise**2)
        for k in range(order + 1)
    ]
    most = max(terms)
    return (most + math.log(sum(math.exp(term - most) for term in terms))) / (order - 1)


@pytest.mark.parametrize(
    ("steps", "rate", "noise", "delta", "exact"),
    # Exact ones: the privacy loss of a step as a histogram, convolved with itself by FFT.
    [
        (300, 0.02, 1.1, 1e-5, 1.8003),
        (1000, 0.01, 1.0, 1e-5, 1.8283),
        (18750, 64 / 24000, 0.5, 1e-5, 14.748),
    ],
)
def test_epsilon_with_sampling_lies_between_exact_and_whole_orders(
    steps: int, rate: float, noise: float, delta: float, exact: float
) -> None:
    """Of the orders that Opacus looks at, most are whole; the others tighten it by a percent."""
    whole = min(
        steps * renyi(a, rate, noise)
        + math.log((a - 1) / a)
        - (math.log(delta) + math.log(a)) / (a - 1)
        for a in range(2, 40)
    )
    assert exact < 0.99 * whole < budget(steps, rate, noise, delta)["epsilon"] <= 1.0001 * whole


def test_nothing_is_known_of_a_training_elsewhere() -> None:
    """No step is no guarantee: an epsilon of 0 would say that the network knows no image."""
    assert objective().facts() == {}


def test_epsilon_grows_with_steps_and_rate_and_falls_with_noise() -> None:
    by_steps = [budget(n, 0.05)["epsilon"] for n in (0, 1, 10, 100, 1000)]
    assert by_steps[0] == 0 and by_steps == sorted(set(by_steps))
    by_rate = [budget(100, q)["epsilon"] for q in (0.01, 0.1, 1.0)]
    assert by_rate == sorted(set(by_rate))
    by_noise = [budget(100, 0.05, s)["epsilon"] for s in (0.5, 1.0, 2.0)]
    assert by_noise == sorted(set(by_noise), reverse=True)
    assert budget(100, 0.05, 1e-3)["epsilon"] > 1e4  # without a warning


# --- training -----------------------------------------------------------------------------------


def train(
    defense: dpsgd.Defense, how: ClassifierTraining, checkpointer: Any
) -> tuple[fit.Fitted, Target, dpsgd.Objective]:
    model, target = network(defense), objective(defense)
    data = (faces(count, CLASSES, seed) for seed, count in enumerate((10, 4, 5)))
    torch.rand(3)  # what ran before does not matter
    return fit.fit(model, target, *data, how, runtime(), checkpointer), model, target


@pytest.mark.parametrize("poisson", [True, False])
def test_little_noise_learns_and_much_does_not(poisson: bool) -> None:
    how = plan(epochs=10, lr=0.3, weight_decay=0.0, select="last", milestones=())
    learnt: list[float] = []
    for noise in (0.01, 200.0):
        defense = dataclasses.replace(BASE, noise_multiplier=noise, poisson=poisson)
        fitted, _, target = train(defense, how, Memory())
        learnt.append(fitted.test_accuracy)
        assert target.facts()["steps"] == 10 * 5 and target.facts()["sample_rate"] == 0.2
    assert learnt[0] > 0.9 and learnt[1] < 0.7


def test_batches_so_small_that_some_are_empty() -> None:
    checkpointer = Memory()
    fitted, model, target = train(BASE, plan(epochs=3, batch_size=1, lr=0.01), checkpointer)
    assert target.steps == 3 * 40 and target.sample_rate == 1 / 40
    assert all(math.isfinite(value) for row in checkpointer.rows for value in row.values())
    assert all(v.isfinite().all() for v in state(model).values()) and fitted.epoch > 0


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("poisson", [True, False])
def test_a_resumed_training_equals_an_undisturbed_one_bit_for_bit(
    tmp_path: Path, optimizer: str, poisson: bool
) -> None:
    how = plan(epochs=4, keep_every=2, optimizer=optimizer, select="last")
    defense = dataclasses.replace(BASE, poisson=poisson)

    def run(name: str, die_at: int | None = None) -> tuple[Any, ...]:
        with scratch(tmp_path, "toy", name) as checkpointer:
            chosen = checkpointer if die_at is None else Interrupted(checkpointer, die_at)
            fitted, model, target = train(defense, how, chosen)
            return fitted, state(model), state(target), target.facts(), checkpointer.history()

    whole = run("whole")
    with pytest.raises(KeyboardInterrupt):
        run("cut", die_at=4)
    resumed = run("cut")
    assert whole[0] == resumed[0] and whole[3:] == resumed[3:]
    assert same_state(whole[1], resumed[1]) and same_state(whole[2], resumed[2])
    assert whole[3]["steps"] == 4 * 5 and whole[3]["epsilon"] > 1


def test_a_trained_classifier_comes_back(tmp_path: Path) -> None:
    (init := tmp_path / "random").write_text("random\n")
    row = TargetRow(
        data="faces",
        arch="small_vgg",
        defense="dpsgd",
        method="dpsgd",
        block="dpsgd",
        training="target",
        init=str(init),
        seed=0,
    )
    defense = wiring.defense("dpsgd", BLOCKS["dpsgd"][1], "dpsgd")
    trained: Trained = classifiers.train(
        row, plan(epochs=1, select="last"), defense, private(3, 16), runtime(), Memory()
    )
    path = tmp_path / "model.pt"
    classifiers.save(path, "dpsgd-0", row, trained, 16, PEOPLE)
    found, x = classifiers.load(path, runtime()), images(5, size=16)
    assert not any(isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d) for m in found.model.modules())
    assert same_state(state(found.model), state(trained.model))
    with torch.no_grad():
        assert torch.equal(found.model(x).logits, trained.model.eval()(x).logits)
    assert found.meta["facts"] == trained.objective.facts()
    assert found.meta["facts"]["epsilon"] > 0 and found.meta["facts"]["steps"] == 3
    bias = dict(trained.model.named_parameters())["norm.bias"]
    assert not bias.requires_grad and (bias == 0).all()


# --- what is refused ----------------------------------------------------------------------------


def test_half_precision_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"classifier_training\.\*\.precision: dpsgd needs fp32, not bf16"
    ):
        objective(precision="bf16")


def test_a_network_that_was_not_adapted_is_refused() -> None:
    model = seeded(ToyNet, CLASSES)
    with pytest.raises(NotImplementedError, match="layer with buffers"):
        objective().prepare(model, sgd(model))


class InPlace(Convolutional):
    """Adds a skip connection to what a layer made, where that lies, as timm's residual networks."""

    def forward(self, images: Tensor) -> Output:
        hidden = self.body(images)
        hidden += hidden.detach().mean()
        features = self.norm(hidden.flatten(1))
        return Output(self.classifier(features), features)


def test_a_network_that_changes_outputs_in_place_is_refused() -> None:
    model, target = BASE.adapt(seeded(InPlace, CLASSES)).train(), objective()
    target.prepare(model, sgd(model))
    model.body[-1] = nn.Identity()  # the last layer is one that Opacus watches
    with pytest.raises(ValueError, match=r"^arch: test_dpsgd changes a layer's output in place"):
        target(model, *batch(3), Progress(0, 1, 0, 1))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"noise_multiplier": 0.0}, r"dpsgd\.noise_multiplier: 0\.0 is not in \(0, 1e\+30\]"),
        ({"max_grad_norm": -1.0}, r"dpsgd\.max_grad_norm: -1\.0 is not in \(0, 1e\+30\]"),
        ({"delta": 0.0}, r"dpsgd\.delta: 0\.0 is outside \(0, 1\)"),
        ({"delta": 1.0}, r"dpsgd\.delta: 1\.0 is outside \(0, 1\)"),
        ({"poisson": 1}, r"dpsgd\.poisson: "),
    ],
)
def test_wrong_blocks_name_themselves(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        wiring.defense("dpsgd", BLOCKS["dpsgd"][1] | changes, "dpsgd")
