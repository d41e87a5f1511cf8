"""The StyleGAN2 prior: its training against the formulas, what it asks a target, its views."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest
import torch
import torch.nn.functional as F
from test_priors import SIZE, STYLE, fit, make, public
from torch import Tensor
from torchvision.transforms.functional import center_crop, resize

from toy import Memory, NoisyTarget, ToyTarget, runtime, same_state, seeded
from trapmid import wiring
from trapmid.artifacts import priors
from trapmid.artifacts.scratch import scratch
from trapmid.augment import flip
from trapmid.nets.stylegan2 import Size
from trapmid.priors import style
from trapmid.runtime import stream_seed
from trapmid.scoring.evidence import Evidence
from trapmid.training.gan import EndlessPasses
from trapmid.types import NOTHING, Attack, Output, Task

CLASSES = 3
ASKED = {"pool": 11, "keep": 4, "psi": 0.5, "cutoff": 2, "clip": True}
GMI: dict[str, Any] = {
    "steps": 3,
    "lr": 0.02,
    "momentum": 0.9,
    "identity_weight": 100.0,
    "bound": 1.0,
    "averaging": None,
    "adaptive": None,
    "reference_batch": 3,
}
STILL = STYLE | {"steps": 0, "candidates": ASKED}


def test_it_equals_the_literal_training() -> None:
    """Non-saturating loss; R1 every other step, for both; Adam's rates made up for it; EMA."""
    found, literal = fit("style"), make("style")[1].train()
    assert isinstance(literal, style.Prior) and literal.critic is not None
    g, d = literal.generator, literal.critic
    for_g = torch.optim.Adam(g.parameters(), lr=0.002, betas=(0.0, 0.99))
    for_d = torch.optim.Adam(d.parameters(), lr=0.002 * 2 / 3, betas=(0.0, 0.99 ** (2 / 3)))
    passes = EndlessPasses(20, 4, stream_seed(0, "style", "batches"))
    mean = {name: value.clone() for name, value in g.state_dict().items()}

    def fake() -> Tensor:
        codes = g.mapping(torch.randn(4, 5))
        if torch.is_grad_enabled():
            g.mapping.w_avg.copy_(0.995 * g.mapping.w_avg + 0.005 * codes.detach().mean(dim=0))
        return g.synthesis(codes[:, None].expand(-1, 4, -1), "random")

    def real(step: int) -> Tensor:
        pictures = public()[passes.batch(step)].float() / 255
        return 2 * flip(pictures, torch.rand(4) < 0.5) - 1

    for step in range(6):
        with runtime().seeded("style", step):
            shown = real(step)
            with torch.no_grad():
                made = fake()
            for_d.zero_grad()
            on_real, on_fake = d(shown), d(made)
            (-F.logsigmoid(on_real).mean() - F.logsigmoid(-on_fake).mean()).backward()
            for_d.step()
            if step % 2 == 0:
                shown = real(step).requires_grad_(True)
                (slope,) = torch.autograd.grad(d(shown).sum(), shown, create_graph=True)
                for_d.zero_grad()
                (2 * 0.1 / 2 * slope.flatten(1).norm(dim=1).square().mean()).backward()
                for_d.step()
            for_g.zero_grad()
            (-F.logsigmoid(d(fake())).mean()).backward()
            for_g.step()
        for name, value in g.state_dict().items():
            mean[name] = mean[name].lerp(value, 1 - 0.5 ** (4 / 20))
    for name, value in mean.items():
        assert torch.allclose(found.state_dict()[f"generator.{name}"], value, atol=1e-4), name
    for name, value in d.state_dict().items():
        assert torch.allclose(found.state_dict()[f"critic.{name}"], value, atol=1e-4), name


def test_styles_and_images() -> None:
    prior = make("style")[1].eval()
    assert isinstance(prior, style.Prior)
    prior.generator.mapping.w_avg.normal_()
    z, labels = torch.randn(3, 5), torch.zeros(3, dtype=torch.int64)
    with torch.no_grad():
        whole = prior.styles(z, 1.0, None)
        assert whole.shape == (3, prior.num_styles, prior.style_dim) == (3, 4, 5)
        assert torch.equal(prior(z, labels), prior.paint(whole).clamp(0, 1))
        assert torch.allclose(2 * prior.paint(whole) - 1, prior.generator(z), atol=1e-5)
        near = prior.paint(prior.styles(z, 0.2, None))
    spread = [images.std(dim=0).mean() for images in (near, prior.paint(whole))]
    assert spread[0] < 0.7 * spread[1]


def test_the_critic_scores_pixels_of_minus_1_to_1() -> None:
    """As in its training, where the generator's images are so."""
    prior = make("style")[1].eval()
    assert isinstance(prior, style.Prior) and prior.critic is not None
    z, labels = torch.randn(3, 5), torch.zeros(3, dtype=torch.int64)
    with torch.no_grad():
        made = prior.generator(z)
        found = prior.realism((made + 1) / 2, labels)
        assert torch.allclose(found, prior.critic(made), rtol=1e-4, atol=1e-5)
        assert found.std() > 1e-4


def test_the_middle_is_shown_at_the_size_of_the_data() -> None:
    changes = {"generated": 32, "crop": 0.75, "steps": 0, "critic": False}
    prior = wiring.prior_training("style", STYLE | changes).make(SIZE, 1).eval()
    assert isinstance(prior, style.Prior)
    z = torch.randn(2, 5)
    with torch.no_grad():
        wanted = resize(center_crop(prior.generator(z), [24, 24]), [SIZE, SIZE], antialias=True)
        found = prior.paint(prior.styles(z, 1.0, None))
    assert torch.allclose(found, (wanted + 1) / 2, atol=1e-5)


class Shown(ToyTarget):
    """A target that remembers what it was shown."""

    def forward(self, images: Tensor) -> Output:
        self.seen = [*getattr(self, "seen", []), images]
        return super().forward(images)


def test_candidates_are_clipped_before_they_are_resized() -> None:
    """As in the released code: a pixel brighter than white weighs no more than a white one."""
    target = seeded(Shown, CLASSES)
    prior = ask(target, generated=32, crop=0.75, critic=False, batch_size=11)
    mapping = prior.generator.mapping
    with torch.no_grad():
        codes = mapping(prior.pool)[:, None].repeat(1, prior.num_styles, 1)
        codes[:, :2] = 0.5 * codes[:, :2] + 0.5 * mapping.w_avg
        made = center_crop(prior.generator.synthesis(codes), [24, 24])
    clipped, shown = (
        (resize(images, [SIZE, SIZE], antialias=True) + 1) / 2
        for images in (made.clamp(-1, 1), made)
    )
    assert torch.allclose(target.seen[0], clipped, atol=1e-5)
    assert torch.allclose(target.seen[1], clipped.flip(-1), atol=1e-5)
    assert not torch.allclose(clipped, shown.clamp(0, 1), atol=1e-3)


def test_without_a_resize_the_order_of_clipping_changes_no_bit() -> None:
    prior = make("style")[1].eval()
    assert isinstance(prior, style.Prior)
    with torch.no_grad():
        codes = prior.styles(3 * torch.randn(64, 5), 1.0, None)
        images = prior.paint(codes)
        assert images.min() < 0 and images.max() > 1
        assert torch.equal(prior.paint_clipped(codes), images.clamp(0, 1))


def test_a_search_of_latents_meets_pixels_of_an_image_alone() -> None:
    """GMI's are as the released code writes a file: clipped before anything else."""
    size = Size(image_size=16, z_dim=5, w_dim=5, base=32, most=4, layers=2)
    prior = seeded(style.Prior, size, style.View(12, 8), None, None, 1).eval()
    for name, parameter in prior.named_parameters():
        if name.endswith("torgb.weight"):
            parameter.data *= 20
    target, labels, draws = seeded(ToyTarget, CLASSES), torch.arange(CLASSES), torch.arange(CLASSES)
    attack = cast(Attack, wiring.attack("gmi", GMI))
    found = attack.invert(target, prior, Task(labels=labels, draws=draws), runtime())
    assert 0 <= found.images.min() < 0.2 and 0.8 < found.images.max() <= 1
    with torch.no_grad():
        made = prior.generator(found.latents)
        assert made.abs().max() > 3  # which as pixels no score would take
        files = resize(center_crop(made.clamp(-1, 1), [12, 12]), [8, 8], antialias=True)
    assert torch.allclose(found.images, (files + 1) / 2, atol=1e-5)
    Evidence(
        images=found.images,
        labels=labels,
        draws=draws,
        found=torch.ones(CLASSES, dtype=torch.bool),
        counts={},
        left_out=0,
    )


# --- candidates ---------------------------------------------------------------------------------


def ask(target: ToyTarget, checkpointer: Any = None, **changes: Any) -> style.Prior:
    training = wiring.prior_training("style", STILL | changes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        prior = training.make(SIZE, CLASSES)
    assert isinstance(prior, style.Prior)
    prior.generator.mapping.w_avg.fill_(0.3)
    training.fit(prior, public(), target, NOTHING, runtime(), checkpointer or Memory())
    return prior


@pytest.mark.parametrize("batch_size", [4, 11])
def test_a_target_puts_the_pool_in_order(batch_size: int) -> None:
    target = seeded(ToyTarget, CLASSES)
    prior = ask(target, batch_size=batch_size)
    assert prior.num_classes == CLASSES and prior.favourites == 4 and not prior.training
    mapping = prior.generator.mapping
    with torch.no_grad():
        codes = mapping(prior.pool)[:, None].repeat(1, 4, 1)
        codes[:, :2] = 0.5 * codes[:, :2] + 0.5 * mapping.w_avg
        shown = ((prior.generator.synthesis(codes) + 1) / 2).clamp(0, 1)
        likely = target.eval()(shown).logits.softmax(1) + target(shown.flip(-1)).logits.softmax(1)
    for label in range(CLASSES):
        best = sorted(range(11), key=lambda i: -likely[i, label].item())[:4]
        assert prior.order[label].tolist() == best
        begun = prior.candidates(torch.full((4,), label), torch.arange(4))
        assert torch.allclose(begun, codes[best], atol=1e-6)


class Fewer(ToyTarget):
    """A target to which its first and last class are one: of the second it is as sure."""

    def forward(self, images: torch.Tensor) -> Output:
        output = super().forward(images)
        logits = output.logits.log_softmax(dim=1)
        both = logits[:, [0, 2]].logsumexp(dim=1)
        none = torch.full_like(both, -1e9)
        return output._replace(logits=torch.stack([none, logits[:, 1], both], dim=1))


def test_the_order_of_a_class_is_the_same_without_other_classes() -> None:
    """Where the target is as sure of it: no class takes a latent from another."""
    whole, fewer = ask(seeded(ToyTarget, CLASSES)), ask(seeded(Fewer, CLASSES))
    assert torch.equal(whole.order[1], fewer.order[1])
    assert not torch.equal(whole.order[0], fewer.order[0])
    assert all(len(set(row)) == len(row) for row in whole.order.tolist())


def test_the_seed_alone_decides_the_pool() -> None:
    one, other = (ask(seeded(ToyTarget, CLASSES, seed=seed)) for seed in (0, 5))
    assert torch.equal(one.pool, other.pool) and not torch.equal(one.order, other.order)
    assert one.pool.std() > 0.5


def test_a_round_of_questions_that_was_cut_off_goes_on(tmp_path: Path) -> None:
    class Asked(ToyTarget):
        def forward(self, images: Tensor) -> Output:
            asked.append(len(images))
            if len(asked) == fails_at:
                raise KeyboardInterrupt
            return super().forward(images)

    asked: list[int] = []
    fails_at = 6
    target = seeded(Asked, CLASSES)
    changes: dict[str, Any] = {"batch_size": 4, "keep_every": 1}
    with pytest.raises(KeyboardInterrupt), scratch(tmp_path, "asked") as checkpointer:
        ask(target, checkpointer, **changes)
    asked, fails_at = [], -1
    with scratch(tmp_path, "asked") as checkpointer:
        resumed = ask(target, checkpointer, **changes)
    assert asked == [3, 3]  # of three rounds the last
    assert same_state(resumed.state_dict(), ask(target, **changes).state_dict())


def test_a_stochastic_target_answers_as_the_seed_says(tmp_path: Path) -> None:
    """Whatever else was drawn in the process, and wherever the questions were cut off."""

    class Stopped(NoisyTarget):
        def forward(self, images: Tensor) -> Output:
            asked.append(len(images))
            if len(asked) == 4:
                raise KeyboardInterrupt
            return super().forward(images)

    asked: list[int] = []
    changes: dict[str, Any] = {"batch_size": 4, "keep_every": 1}
    target = seeded(NoisyTarget, CLASSES)
    torch.manual_seed(1)
    whole = ask(target, **changes)
    torch.manual_seed(2)
    assert torch.equal(ask(target, **changes).order, whole.order)
    with pytest.raises(KeyboardInterrupt), scratch(tmp_path, "asked") as checkpointer:
        ask(seeded(Stopped, CLASSES), checkpointer, **changes)
    with scratch(tmp_path, "asked") as checkpointer:
        assert torch.equal(ask(target, checkpointer, **changes).order, whole.order)


def test_a_guided_prior_starts_from_a_public_one(tmp_path: Path) -> None:
    single = fit("style")
    torch.save({"state": single.state_dict()}, tmp_path / "style.pt")
    training = wiring.prior_training("style", STILL | {"critic": False})
    started = priors.start(training, SIZE, CLASSES, tmp_path / "style.pt", runtime())
    z, labels = torch.randn(3, 5), torch.arange(3)
    with torch.no_grad():
        assert torch.allclose(started.eval()(z, labels), single(z, labels), atol=1e-5)
    assert torch.equal(started.realism(started(z, labels), labels), torch.zeros(3))


@pytest.mark.parametrize("asked", [None, ASKED | {"pool": 7, "keep": 2}])
def test_what_a_target_was_asked_is_no_part_of_a_start(tmp_path: Path, asked: Any) -> None:
    """A prior that asks nobody, or about another pool, takes the networks of one that did."""
    guided = ask(seeded(ToyTarget, CLASSES), critic=False)
    torch.save({"state": guided.state_dict()}, tmp_path / "guided.pt")
    training = wiring.prior_training("style", STILL | {"critic": False, "candidates": asked})
    started = priors.start(training, SIZE, CLASSES, tmp_path / "guided.pt", runtime()).eval()
    assert isinstance(started, style.Prior)
    z, labels = torch.randn(3, 5), torch.arange(3)
    with torch.no_grad():
        assert torch.allclose(started(z, labels), guided(z, labels), atol=1e-5)
    assert asked is None or not started.pool.any()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"candidates": ASKED, "steps": 3}, "steps: 3 need a critic, a generator of the data's"),
        ({"critic": False}, "steps: 6 need a critic"),
        ({"generated": 16}, "steps: 6 need a critic"),
        ({"group": 3}, "batch_size: 4 is no multiple of group 3"),
        ({"group": 8}, "batch_size: 4 is no multiple of group 8"),
        ({"candidates": ASKED | {"keep": 12}, "steps": 0}, "keep: 12 are more than the pool of 11"),
    ],
)
def test_wrong_blocks(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        wiring.prior_training("style", STYLE | changes)


def test_a_group_is_the_critics_alone() -> None:
    """A prior that takes no step asks about batches of any size."""
    wiring.prior_training("style", STYLE | {"steps": 0, "group": 3})


def test_candidates_need_a_target_and_a_target_is_asked_for_them() -> None:
    for changes, target in ((STILL, None), (STYLE, seeded(ToyTarget, CLASSES))):
        training = wiring.prior_training("style", changes)
        prior = training.make(SIZE, CLASSES)
        with pytest.raises(ValueError, match="candidates: are what a row of guided_priors asks"):
            training.fit(prior, public(), target, NOTHING, runtime(), Memory())


def test_an_image_size_that_no_stylegan_has() -> None:
    with pytest.raises(ValueError, match="image_size: 12 is not a power of two"):
        wiring.prior_training("style", STYLE).make(12, 1)
