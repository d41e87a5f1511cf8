"""Every promise of `types.Prior` and `types.PriorTraining`, and each training against its paper."""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toy import (
    LINEAGE,
    PLGMI,
    Memory,
    NoisyTarget,
    ToyTarget,
    images,
    runtime,
    same_state,
    seeded,
    snapshot,
    uniform,
)
from trapmid import augment, wiring
from trapmid.artifacts import checkpoints, priors
from trapmid.artifacts.checkpoints import CheckpointError
from trapmid.artifacts.scratch import Scratch, scratch
from trapmid.augment import PlgView
from trapmid.nets import snresnet
from trapmid.priors import gmi, plgmi
from trapmid.runtime import stream_seed
from trapmid.training import pseudo_labels
from trapmid.training.gan import Average, EndlessPasses, Passes
from trapmid.types import (
    NOTHING,
    DivergedError,
    Output,
    Prior,
    PriorTraining,
    SideInformation,
    Target,
)

CLASSES, SIZE = 3, 8
VAE_GAN = {"alone": 5, "lr": 0.001, "weight": 0.1, "sigma": 0.2, "width": 4}
GMI: dict[str, Any] = {
    "latent_dim": 5,
    "width": 2,
    "steps": 6,
    "critic_steps": 2,
    "batch_size": 4,
    "lr": 0.001,
    "betas": [0.5, 0.999],
    "penalty": 10.0,
    "vae_gan": None,
    "precision": "fp32",
    "keep_every": 2,
}
KEDMI: dict[str, Any] = {
    "latent_dim": 5,
    "width": 2,
    "steps": 6,
    "critic_steps": 2,
    "batch_size": 4,
    "lr_generator": 0.001,
    "lr_critic": 0.002,
    "betas": [0.5, 0.999],
    "entropy_weight": 1e-4,
    "target_mode": "train",
    "precision": "fp32",
    "keep_every": 2,
}
STYLE: dict[str, Any] = {
    "latent_dim": 5,
    "base": 32,
    "most": 4,
    "layers": 2,
    "clamp": None,
    "generated": None,
    "crop": 1.0,
    "critic": True,
    "candidates": None,
    "steps": 6,
    "batch_size": 4,
    "lr": 0.002,
    "betas": [0.0, 0.99],
    "penalty": 0.1,
    "penalty_every": 2,
    "group": 2,
    "mirror": 0.5,
    "half_life": 20.0,
    "precision": "fp32",
    "keep_every": 2,
}
ADAPTIVE = {"trapdoor_weight": 0.5, "auxiliary_weight": 0.7}
# name -> (training, block, whether a target guides it)
ROWS: dict[str, tuple[str, dict[str, Any], bool]] = {
    "kedmi": ("kedmi", KEDMI, True),
    "kedmi, target in eval mode": ("kedmi", KEDMI | {"target_mode": "eval"}, True),
    "plgmi, adaptive": ("plgmi", PLGMI | {"adaptive": ADAPTIVE}, True),
    "plgmi, noisy views": ("plgmi", PLGMI | {"view_noise": 0.1}, True),
    "gmi": ("gmi", GMI, False),
    "gmi with vae_gan": ("gmi", GMI | {"vae_gan": VAE_GAN}, False),
    "plgmi": ("plgmi", PLGMI, True),
    "plgmi, averaged": ("plgmi", PLGMI | {"ema": 0.9}, True),
    "plgmi, bf16": ("plgmi", PLGMI | {"precision": "bf16"}, True),
    "plgmi with vae_gan": ("plgmi", PLGMI | {"vae_gan": VAE_GAN}, True),
    "plgmi, unguided": ("plgmi", PLGMI, False),
    "style": ("style", STYLE, False),
}


def make(name: str, **changes: Any) -> tuple[PriorTraining, Prior]:
    method, block, guided = ROWS[name]
    training = wiring.prior_training(method, block | changes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return training, training.make(SIZE, CLASSES if guided else 1)


KNOWN = SideInformation(
    signatures=uniform(CLASSES, 3 * SIZE**2, seed=4) - 0.5,
    auxiliary=uniform(CLASSES, 3 * SIZE**2, seed=5) - 0.5,
)


def queried_model(name: str) -> Target | None:
    return seeded(ToyTarget, CLASSES).eval() if ROWS[name][2] else None


def public(n: int = 20) -> Tensor:
    return (255 * images(n, seed=5)).to(torch.uint8)


def fit(
    name: str, checkpointer: Any = None, seed: int = 0, target: Target | None = None, **changes: Any
) -> Prior:
    training, prior = make(name, **changes)
    rt = runtime(seed, ROWS[name][1]["precision"])
    training.fit(
        prior, public(), target or queried_model(name), KNOWN, rt, checkpointer or Memory()
    )
    return prior


def test_every_prior_has_a_row() -> None:
    rows = {training for training, _, _ in ROWS.values()}
    wrong = sorted(rows ^ set(wiring.names("priors")))
    assert not wrong, (
        f"ROWS in tests/priors/test_priors.py and the files of src/trapmid/priors differ by {wrong}"
    )


# --- promises of types.Prior --------------------------------------------------------------------


@pytest.mark.parametrize("name", ROWS)
def test_images_and_scores(name: str) -> None:
    _, prior = make(name)
    prior.eval()
    z, y = torch.randn(6, prior.latent_dim), torch.arange(6) % prior.num_classes
    with torch.no_grad():
        x = prior(z, y)
        score = prior.realism(x, y)
        assert x.shape == (6, 3, SIZE, SIZE) and score.shape == (6,)
        bound = 10 if name == "style" else 1  # a StyleGAN2 has no last activation
        assert x.abs().max() <= bound and x.std() > 0
        assert torch.equal(prior(z, y), x)
        alone = torch.cat([prior(z[i : i + 1], y[i : i + 1]) for i in range(6)])
        assert torch.allclose(alone, x, atol=1e-5)
        alone = torch.cat([prior.realism(x[i : i + 1], y[i : i + 1]) for i in range(6)])
        assert torch.allclose(alone, score, rtol=1e-4, atol=1e-5)


# --- promises of types.PriorTraining --------------------------------------------------------------


@pytest.mark.parametrize("name", ROWS)
def test_fitting_moves_both_networks_and_nothing_else(name: str) -> None:
    _, fresh = make(name)
    target = queried_model(name)
    before = None if target is None else snapshot(target.train())
    state = torch.get_rng_state()
    checkpointer = Memory()
    prior = fit(name, checkpointer, target=target)
    assert torch.equal(torch.get_rng_state(), state)
    assert not prior.training
    for part in ("generator.", "discriminator." if hasattr(prior, "discriminator") else "critic."):
        moved = [
            not torch.equal(value, fresh.state_dict()[key])
            for key, value in prior.state_dict().items()
            if key.startswith(part) and value.is_floating_point()
            if not key.endswith(("resample_filter", "noise_const"))  # constants
        ]
        assert (
            moved and sum(moved) > 0.9 * len(moved) - 2
        )  # one-class embeddings and biases may rest
    assert all(v.isfinite().all() for v in prior.state_dict().values())
    assert [row["step"] for row in checkpointer.rows] == [1, 2, 3, 4, 5, 6]
    if target is not None and before is not None:  # even one that comes in train mode
        assert target.training and same_state(before, snapshot(target))
        assert all(p.grad is None and p.requires_grad for p in target.parameters())


@pytest.mark.parametrize("name", ROWS)
def test_without_steps_a_prior_stays_as_it_is(name: str) -> None:
    _, fresh = make(name)
    checkpointer = Memory()
    prior = fit(name, checkpointer, steps=0)
    assert same_state(prior.state_dict(), fresh.state_dict())
    assert not prior.training and checkpointer.rows == []


@pytest.mark.parametrize("name", ROWS)
def test_a_training_that_diverges_stops_at_its_first_point(name: str) -> None:
    training, prior = make(name)
    broken = prior.critic if hasattr(prior, "critic") else prior.discriminator
    for weight in (next(broken.parameters()), next(prior.generator.parameters())):
        weight.data.fill_(torch.nan)
    rt, checkpointer = runtime(0, ROWS[name][1]["precision"]), Memory()
    with pytest.raises(DivergedError, match=r"^step 1 of \d+: \w+ is nan: the training diverged"):
        training.fit(prior, public(), queried_model(name), KNOWN, rt, checkpointer)
    assert checkpointer.rows == []


@pytest.mark.parametrize("name", ROWS)
def test_the_seed_decides(name: str) -> None:
    one, again, other = (fit(name, seed=seed, steps=3).state_dict() for seed in (0, 0, 1))
    assert same_state(one, again)
    assert not same_state(one, other)


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if row[2]])
def test_the_seed_decides_a_stochastic_targets_answers(name: str) -> None:
    """Pseudo-labels too, whatever else was drawn in the process."""
    made = []
    for unrelated in (1, 2):
        torch.manual_seed(unrelated)
        target = seeded(NoisyTarget, CLASSES).eval()
        made.append(fit(name, target=target, steps=1).state_dict())
    assert same_state(*made)


class Killed(Scratch):
    """A scratch whose training is killed when it saves for the n-th time."""

    def __init__(self, inner: Scratch, saves: int) -> None:
        vars(self).update(vars(inner))
        self.left = saves

    def save(self, parts: Mapping[str, Any], step: int) -> None:
        if self.left == 0:
            raise KeyboardInterrupt
        self.left -= 1
        super().save(parts, step)


@pytest.mark.slow
@pytest.mark.parametrize("name", ROWS)
def test_a_resumed_training_equals_an_undisturbed_one_bit_for_bit(
    tmp_path: Path, name: str
) -> None:
    with scratch(tmp_path, "whole") as checkpointer:
        whole = fit(name, checkpointer, steps=9).state_dict()
        wanted = checkpointer.history()
    for _ in range(2):  # killed twice, at steps 4 and 6; an autoencoder was alone until 5
        with pytest.raises(KeyboardInterrupt), scratch(tmp_path, "cut") as checkpointer:
            fit(name, Killed(checkpointer, 1), steps=9)
        torch.rand(3)  # what ran before does not matter
    with scratch(tmp_path, "cut") as checkpointer:
        resumed = fit(name, checkpointer, steps=9).state_dict()
        assert checkpointer.history() == wanted
    assert same_state(resumed, whole)
    assert [line.split(b",")[0] for line in wanted.splitlines()[1:]] == [
        b"%d" % i for i in range(1, 10)
    ]


@pytest.mark.parametrize("name", ["gmi", "kedmi", "plgmi", "style"])
def test_a_prior_file_round_trip(tmp_path: Path, name: str) -> None:
    prior, path = fit(name), tmp_path / "prior.pt"
    priors.save(path, name, ROWS[name][1], SIZE, prior, LINEAGE)
    found = priors.load(path, runtime()).prior
    assert same_state(found.state_dict(), prior.state_dict())
    assert not found.training and not any(p.requires_grad for p in found.parameters())
    z, y = torch.randn(3, 5), torch.tensor([0, 0, prior.num_classes - 1])
    with torch.no_grad():  # a loaded prior lies channels last, and sums in another order
        assert torch.allclose(found(z, y), prior(z, y), atol=1e-5)
        realism = found.realism(found(z, y), y), prior.realism(prior(z, y), y)
        assert torch.allclose(*realism, atol=1e-4)


def test_files_that_are_no_priors(tmp_path: Path) -> None:
    checkpoints.save(tmp_path / "x.pt", {"state": {}})
    with pytest.raises(CheckpointError, match=r"x\.pt: not a prior; no 'training'"):
        priors.load(tmp_path / "x.pt", runtime())
    priors.save(tmp_path / "y.pt", "gmi", GMI, SIZE, make("gmi")[1], LINEAGE)
    content = checkpoints.load(tmp_path / "y.pt")
    for key, value, message in (
        ("code", "0", "made by another version of trapmid.priors.gmi"),
        ("state", {}, "does not fit Prior: \\d+ weights missing"),
    ):
        checkpoints.save(tmp_path / "z.pt", content | {key: value})
        with pytest.raises(CheckpointError, match=rf"z\.pt: {message}"):
            priors.load(tmp_path / "z.pt", runtime())


# --- starts -------------------------------------------------------------------------------------


def start(name: str, init: Path, num_classes: int, **changes: Any) -> Prior:
    training, _ = make(name, **changes)
    return priors.start(training, SIZE, num_classes, init, runtime())


def test_a_random_start_depends_on_the_seed(tmp_path: Path) -> None:
    (init := tmp_path / "random").write_text("random\n")
    one, again = (start("plgmi", init, 3).state_dict() for _ in range(2))
    assert same_state(one, again)
    (tmp_path / "torchvision").write_text("torchvision")
    with pytest.raises(ValueError, match=r"init: .*torchvision does not fit a prior"):
        start("plgmi", tmp_path / "torchvision", 3)


def test_a_guided_prior_may_start_from_a_public_one(tmp_path: Path) -> None:
    """Every class draws at first what the one class did, and the critic's norms are right."""
    single = fit("plgmi, unguided")
    priors.save(tmp_path / "one.pt", "plgmi", PLGMI, SIZE, single, LINEAGE)
    started = start("plgmi", tmp_path / "one.pt", CLASSES).eval()
    z = torch.randn(CLASSES, 5)
    with torch.no_grad():
        wanted = single(z, torch.zeros(CLASSES, dtype=torch.int64))
        assert torch.allclose(started(z, torch.arange(CLASSES)), wanted, atol=1e-6)
    started.train().realism(wanted, torch.arange(CLASSES))  # one power iteration
    embedding = started.critic.embedding.eval()
    assert torch.linalg.svdvals(embedding.weight)[0].item() == pytest.approx(1, rel=1e-4)
    half = {k: v.half() if v.is_floating_point() else v for k, v in single.state_dict().items()}
    torch.save({"state": half}, tmp_path / "half.pt")
    widened = start("plgmi", tmp_path / "half.pt", CLASSES)
    assert all(p.dtype == torch.float32 for p in widened.parameters())


def test_a_start_of_one_class_that_takes_no_step_has_right_norms(tmp_path: Path) -> None:
    """Its repeated vector of the power iteration was as long as the root of the classes' number."""
    single = fit("plgmi, unguided")
    priors.save(tmp_path / "one.pt", "plgmi", PLGMI, SIZE, single, LINEAGE)
    training, _ = make("plgmi", steps=0)
    started = priors.start(training, SIZE, CLASSES, tmp_path / "one.pt", runtime())
    training.fit(started, public(), queried_model("plgmi"), KNOWN, runtime(), Memory())
    assert isinstance(started, plgmi.Prior) and not started.training
    largest = torch.linalg.svdvals(started.critic.embedding.weight)[0]
    assert largest.item() == pytest.approx(1, rel=1e-4)
    before = snapshot(started)
    started.critic.settle()  # what is right stays as it is
    assert same_state(before, started.state_dict())


def test_a_trained_critic_is_settled_to_the_bit(tmp_path: Path) -> None:
    """A prior that learns from such a start is what it was before starts without steps were."""
    single = fit("plgmi, unguided")
    priors.save(tmp_path / "one.pt", "plgmi", PLGMI, SIZE, single, LINEAGE)

    def trained() -> Any:
        training, _ = make("plgmi")
        started = priors.start(training, SIZE, CLASSES, tmp_path / "one.pt", runtime())
        training.fit(started, public(), queried_model("plgmi"), KNOWN, runtime(), Memory())
        return started.state_dict()

    settled = trained()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(snresnet.SpectralNorm, "settle", lambda norm: None)
        assert same_state(settled, trained())


def test_an_exported_prior_is_a_start(tmp_path: Path) -> None:
    single, file = fit("plgmi, unguided"), tmp_path / "weights.pt"
    priors.save(tmp_path / "prior.pt", "plgmi", PLGMI, SIZE, single, LINEAGE)
    digest = priors.export(tmp_path / "prior.pt", file)
    assert digest == hashlib.sha256(file.read_bytes()).hexdigest()
    started = start("plgmi", file, 1).state_dict()
    for key, value in single.state_dict().items():
        wanted = value.half().float() if value.is_floating_point() else value
        assert torch.equal(started[key], wanted), key


def test_a_start_that_does_not_fit(tmp_path: Path) -> None:
    priors.save(tmp_path / "gmi.pt", "gmi", GMI, SIZE, make("gmi")[1], LINEAGE)
    with pytest.raises(CheckpointError, match=r"gmi\.pt: init: .*Missing key"):
        start("plgmi", tmp_path / "gmi.pt", 3)
    with pytest.raises(CheckpointError, match=r"gmi\.pt: init: .*size mismatch"):
        start("gmi", tmp_path / "gmi.pt", 1, latent_dim=7)


# --- GMI ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("precision", ["bf16", "auto"])
def test_a_precision_that_changes_nothing_is_refused(precision: str) -> None:
    words = rf"prior_training\.gmi\.precision: {precision} changes nothing without vae_gan: "
    with pytest.raises(ValueError, match=words):
        make("gmi", precision=precision)
    make("gmi", precision=precision, vae_gan=VAE_GAN)


def test_gmi_equals_the_literal_wgan_gp() -> None:
    """Section 2.1: critic each step, generator each second; Adam; penalty 10; train mode."""
    found, literal = fit("gmi", batch_size=5), make("gmi")[1].train()
    assert isinstance(literal, gmi.Prior)
    g, d = literal.generator, literal.critic
    for_g = torch.optim.Adam(g.parameters(), lr=0.001, betas=(0.5, 0.999))
    for_d = torch.optim.Adam(d.parameters(), lr=0.001, betas=(0.5, 0.999))
    passes = Passes(20, 5, stream_seed(0, "gmi", "batches"))
    for step in range(6):
        real = public()[passes.batch(step)].float() / 255
        with runtime().seeded("gmi", step):
            fake = g(torch.randn(5, 5)).detach()
            a = torch.rand(5).view(5, 1, 1, 1)
            x = (a * fake + (1 - a) * real).requires_grad_(True)
            (slope,) = torch.autograd.grad(d(x).sum(), x, create_graph=True)
            penalty = ((slope.square().sum(dim=(1, 2, 3)).sqrt() - 1) ** 2).mean()
            loss = -(d(real).mean() - d(fake).mean()) + 10 * penalty
            for_d.zero_grad()
            loss.backward()
            for_d.step()
            if step % 2 == 1:
                for_g.zero_grad()
                (-d(g(torch.randn(5, 5))).mean()).backward()
                for_g.step()
    for key, value in literal.state_dict().items():
        assert torch.allclose(found.state_dict()[key], value, atol=1e-4), key


def test_gmi_refuses_a_target() -> None:
    with pytest.raises(ValueError, match="training: gmi learns without a target"):
        fit("gmi", target=seeded(ToyTarget, CLASSES))


# --- PLG-MI -------------------------------------------------------------------------------------


class Table(Target):
    """Answers the logits that belong to an image's first pixel."""

    def __init__(self, logits: Tensor) -> None:
        super().__init__()
        self.register_buffer("logits", logits)
        self.num_classes = logits.shape[1]

    def forward(self, images: Tensor) -> Output:
        index = (images[:, 0, 0, 0] * 255).round().long()
        logits: Tensor = self.logits[index]
        return Output(logits, logits)


def literal_top_n(probabilities: Tensor, n: int) -> list[set[int]]:
    """The official priority queue of (probability, index) pairs, class by class."""
    chosen = []
    for column in probabilities.T.tolist():
        heap: list[tuple[float, int]] = []
        for index, p in enumerate(column):
            heapq.heappush(heap, (p, index))
            if len(heap) > n:
                heapq.heappop(heap)
        chosen.append({index for _, index in heap})
    return chosen


@pytest.mark.parametrize("kind", ["distinct", "tied", "underflowed", "all equal"])
def test_pseudo_labels_equal_the_literal_heap(kind: str) -> None:
    logits = {
        "distinct": 3 * uniform(60, 4),
        "tied": (4 * uniform(60, 4)).round(),
        "underflowed": 300 * (3 * uniform(60, 4)).round(),  # probabilities are exactly 0 or 1
        "all equal": torch.zeros(60, 4),
    }[kind]
    x = torch.zeros(60, 3, 2, 2, dtype=torch.uint8)
    x[:, 0, 0, 0] = torch.arange(60)
    for batch_size in (7, 512):
        indices, labels = pseudo_labels.top_n(Table(logits), x, 9, runtime(), batch_size)
        assert labels.tolist() == [c for c in range(4) for _ in range(9)]
        found = [set(indices[labels == c].tolist()) for c in range(4)]
        assert found == literal_top_n(logits.softmax(dim=1), 9)
    if kind == "all equal":  # ties keep the later index, and an image may serve every class
        assert found == [set(range(51, 60))] * 4


def test_more_pseudo_labels_than_images() -> None:
    with pytest.raises(ValueError, match="top_n: 9 is more than the 8 public images"):
        pseudo_labels.top_n(seeded(ToyTarget, 3), public(8), 9, runtime())


@pytest.mark.parametrize("identity", ["margin", "ce"])
def test_plgmi_equals_the_literal_training(identity: str) -> None:
    """Section 5.2: one generator step, then the critic's; hinge; margin of the augmented fake."""
    target = queried_model("plgmi")
    assert target is not None
    found, literal = fit("plgmi", steps=4, identity_loss=identity), make("plgmi")[1].train()
    assert isinstance(literal, plgmi.Prior)
    g, d = literal.generator, literal.critic
    for_g = torch.optim.Adam(g.parameters(), lr=0.001, betas=(0.0, 0.9))
    for_d = torch.optim.Adam(d.parameters(), lr=0.002, betas=(0.0, 0.9))
    chosen, classes = pseudo_labels.top_n(target, public(), 6, runtime())
    passes = EndlessPasses(18, 4, stream_seed(0, "plgmi", "batches"))
    view = PlgView(**PLGMI["view"])
    for step in range(4):
        with runtime().seeded("plgmi", step):
            z, y = torch.randn(4, 5), torch.randint(CLASSES, (4,))
            fake = g(z, y)
            adversarial = -d(fake, y).mean()
            u, order = torch.rand(4, PlgView.DRAWS), torch.rand(PlgView.ORDERS)
            logits = target(view(fake, u, order.expand(4, -1))).logits
            own, inversion = logits[range(4), y], F.cross_entropy(logits, y)
            if identity == "margin":
                others = logits.clone()
                others[range(4), y] = -1e9
                inversion = (others.max(dim=1).values - own).mean()
            for_g.zero_grad()
            (adversarial + 0.2 * inversion).backward()
            for_g.step()
            for turn in range(2):
                picked = passes.batch(2 * step + turn)
                real = public()[chosen[picked]].float() / 255
                real = real + torch.rand(real.shape) / 256
                z, y = torch.randn(4, 5), torch.randint(CLASSES, (4,))
                fake = g(z, y).detach()
                loss = F.relu(1 + d(fake, y)).mean() + F.relu(1 - d(real, classes[picked])).mean()
                for_d.zero_grad()
                loss.backward()
                for_d.step()
    for key, value in literal.state_dict().items():
        assert torch.allclose(found.state_dict()[key], value, atol=1e-4), key


def test_the_critic_scores_the_fake_before_the_real() -> None:
    """As the official code: the order decides which norms each of the two is divided by."""
    target, (_, prior) = queried_model("plgmi"), make("plgmi")
    assert target is not None and isinstance(prior, plgmi.Prior)
    made: list[Tensor] = []
    scored: list[Tensor] = []
    prior.generator.register_forward_hook(lambda m, args, y: made.append(y.detach()))
    prior.critic.register_forward_pre_hook(lambda m, args: scored.append(args[0].detach()))
    make("plgmi", steps=3)[0].fit(prior, public(), target, NOTHING, runtime(), Memory())
    order = ["fake" if any(torch.equal(x, y) for y in made) else "real" for x in scored]
    assert order == ["fake", *["fake", "real"] * 2] * 3  # the generator's step, then two such pairs


def test_an_unguided_plgmi_knows_one_class_and_no_target() -> None:
    checkpointer = Memory()
    assert fit("plgmi, unguided", checkpointer).num_classes == 1
    assert set(checkpointer.rows[0]) == {"step", "adversarial", "critic_hinge"}
    checkpointer = Memory()
    fit("plgmi", checkpointer)
    assert set(checkpointer.rows[0]) == {"step", "adversarial", "critic_hinge", "inversion"}


def test_the_average_follows_its_recurrence() -> None:
    network = seeded(nn.BatchNorm1d, 3)
    average = Average(network, 0.75)
    wanted = {k: v.double() for k, v in snapshot(network).items()}
    for step in range(5):
        network(uniform(4, 3, seed=step))
        network.weight.data += 1
        average.update(network)
        for key, value in network.state_dict().items():
            exact = key == "num_batches_tracked"
            wanted[key] = value if exact else 0.75 * wanted[key] + 0.25 * value.double()
    restored = Average(seeded(nn.BatchNorm1d, 3, seed=9), 0.75)
    restored.load_state_dict({k: v.clone() for k, v in average.state_dict().items()})
    for one in (average, restored):
        copy = nn.BatchNorm1d(3)
        one.copy_to(copy)
        for key, value in copy.state_dict().items():
            assert torch.allclose(value.double(), wanted[key].double()), key


def test_an_average_of_decay_0_is_the_network() -> None:
    network = seeded(nn.Linear, 2, 2)
    average = Average(network, 0.0)
    network.weight.data += 1
    before = snapshot(network)
    average.update(network)
    average.copy_to(network)
    assert same_state(before, snapshot(network))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"identity_loss": "mse"}, r"prior_training\.plgmi\.identity_loss: 'mse' is not one of"),
        ({"ema": 1.0}, r"prior_training\.plgmi\.ema: 1\.0 is outside \[0, 1\)"),
        (
            {"vae_gan": VAE_GAN | {"lr": 0}},
            r"prior_training\.plgmi\.vae_gan\.lr: 0\.0 is not in \(0, 1e\+30\]",
        ),
    ],
)
def test_wrong_blocks(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make("plgmi", **changes)


def test_views_of_the_fake_go_to_the_target_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The critic sees the un-augmented fake."""
    black = torch.zeros(4, 3, SIZE, SIZE)
    monkeypatch.setattr(augment.PlgView, "__call__", lambda self, x, u, order: 0 * x + black)
    seen: list[Tensor] = []
    target = queried_model("plgmi")
    assert target is not None
    _, prior = make("plgmi")
    prior.critic.register_forward_pre_hook(lambda m, args: seen.append(args[0]))
    answers: list[Tensor] = []
    target.register_forward_pre_hook(lambda m, args: answers.append(args[0]))
    make("plgmi", steps=1)[0].fit(prior, public(), target, NOTHING, runtime(), Memory())
    assert all((x == 0).all() for x in answers[1:]) and len(answers) == 2
    assert not any((x == 0).all() for x in seen)
