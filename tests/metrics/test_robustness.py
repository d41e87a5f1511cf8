"""PGD against a literal loop, by hand, and against what it promises about batches and balls.

Once compared with others' code, in a throw-away environment: without random start, 20 images of
12 pixels on a small convolutional network, the examples of torchattacks 3.5.1 (PGD) and of foolbox
3.3.4 (LinfPGD) had the same bits at 1, 4 and 8 / 255. For L2 (PGDL2, L2PGD) they were 1.2e-7 apart.
"""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trapmid.metrics.robustness import STEPS, Norm, examples
from trapmid.runtime import Runtime
from trapmid.types import Output, Target

RT = Runtime(device=torch.device("cpu"), seed=5, precision="fp32")
CLASSES, SIZE = 3, 4


class Network(Target):
    """In float64: its gradients have no ties that the order of a sum would break."""

    num_classes = CLASSES

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.layers = nn.Sequential(
                nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.Tanh(), nn.Flatten(), nn.Linear(24, 3)
            ).double()

    def forward(self, images: Tensor) -> Output:
        return Output(self.layers(images.double()), images.flatten(1))


@pytest.fixture
def network() -> Network:
    return Network().eval()


@pytest.fixture
def images() -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (9, 3, SIZE, SIZE), dtype=torch.uint8, generator=generator)


LABELS = torch.arange(9) % CLASSES
RADII = torch.tensor([0.0, 0.01, 0.3]).repeat(3)


def found(model: Target, images: Tensor, norm: Norm, **changes: object) -> Tensor:
    given = {"batch_size": 4, "rt": RT, "random_start": False} | changes
    return examples(model, images, LABELS[: len(images)], RADII[: len(images)], norm, **given)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_the_steps_of_one_image_after_another(network: Network, images: Tensor, norm: Norm) -> None:
    """Madry et al., eq. 2.1's inner problem: climb, back into the ball, back into [0, 1]."""
    made = found(network, images, norm)
    for image, label, radius, one in zip(images, LABELS, RADII.tolist(), made, strict=True):
        origin = image.float() / 255
        here = origin.clone()
        for _ in range(20):
            leaf = here.clone().requires_grad_()
            F.cross_entropy(network(leaf[None]).logits, label[None]).backward()
            slope = leaf.grad
            assert slope is not None
            if norm == "linf":
                here = here + 2.5 * radius / 20 * torch.sign(slope)
                here = torch.min(torch.max(here, origin - radius), origin + radius)
            else:
                moved = here + 2.5 * radius / 20 * slope / slope.square().sum().sqrt() - origin
                far = float(moved.square().sum().sqrt())
                here = origin + moved * (radius / far if far > radius else 1)
            here = here.clamp(0, 1)
        torch.testing.assert_close(one, here, rtol=0, atol=2e-6)


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("random_start", [False, True])
def test_examples_stay_in_their_balls(
    network: Network, images: Tensor, norm: Norm, random_start: bool
) -> None:
    made = found(network, images, norm, random_start=random_start)
    moved = (made - images.float() / 255).flatten(1)
    order = {"linf": torch.inf, "l2": 2}[norm]
    lengths = torch.linalg.vector_norm(moved, order, dim=1)
    assert (lengths <= RADII + 1e-6).all()
    assert (lengths[RADII == 0.01] > 0.005).all()  # it used the room
    assert torch.equal(made[RADII == 0], images[RADII == 0].float() / 255)
    assert made.min() >= 0 and made.max() <= 1


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_no_example_depends_on_the_batch_or_its_row(
    network: Network, images: Tensor, norm: Norm
) -> None:
    whole = found(network, images, norm, random_start=True, batch_size=9)
    for batch_size in (1, 2, 5):
        parts = found(network, images, norm, random_start=True, batch_size=batch_size)
        torch.testing.assert_close(parts, whole, rtol=0, atol=1e-6)
    order = torch.tensor([4, 0, 8, 2, 6, 1, 7, 3, 5])
    turned = examples(
        network, images[order], LABELS[order], RADII[order], norm, batch_size=4, rt=RT
    )
    torch.testing.assert_close(turned, whole[order], rtol=0, atol=1e-6)


class Blind(Network):
    """No gradient reaches the images."""

    def forward(self, images: Tensor) -> Output:
        return super().forward(images.detach())


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_random_starts_fill_the_ball(images: Tensor, norm: Norm) -> None:
    """Where no gradient leads away from it, the example is its start."""
    grey = (128 + images[:1] % 2).repeat(200, 1, 1, 1)
    grey[:, 0, 0, 0] = torch.arange(200)  # 200 different images, far enough from black and white
    grey[:, 0, 0, 0] += 28
    labels, radii = torch.zeros(200, dtype=torch.int64), torch.full((200,), 0.1)
    made = examples(Blind().eval(), grey, labels, radii, norm, batch_size=64, rt=RT)
    moved = ((made - grey.float() / 255) / 0.1).flatten(1)
    assert moved.mean().abs() < 0.02
    if norm == "linf":  # uniform on [-1, 1]
        assert moved.abs().mean() == pytest.approx(0.5, abs=0.01)
        assert moved.square().mean() == pytest.approx(1 / 3, abs=0.01)
    else:  # the length's mean is d / (d + 1), and no axis is better than another
        assert moved.norm(dim=1).mean() == pytest.approx(48 / 49, abs=0.005)
        assert moved.square().mean(dim=0).numpy() == pytest.approx(1 / 50, abs=0.012)
    other = Runtime(device=RT.device, seed=6, precision="fp32")
    again = examples(Blind().eval(), grey, labels, radii, norm, batch_size=64, rt=other)
    assert (again != made).any(dim=(1, 2, 3)).all()


def test_the_network_stays_as_it_was(network: Network, images: Tensor) -> None:
    network.train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    found(network, images, "linf", random_start=True)
    assert network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(p.grad is None and p.requires_grad for p in network.parameters())


def test_an_attack_climbs(network: Network, images: Tensor) -> None:
    """A radius of 0.3 raises every image's loss, and more steps than one do more than one."""
    made = found(network, images, "linf")[RADII > 0.2]
    before, after = (
        F.cross_entropy(network(one).logits, LABELS[RADII > 0.2], reduction="none")
        for one in (images[RADII > 0.2].float() / 255, made)
    )
    assert (after > before + 0.1).all()
    assert STEPS == 20


@pytest.mark.parametrize("shift", [-0.01, 0.01])
def test_images_outside_the_range_are_refused(
    network: Network, images: Tensor, shift: float
) -> None:
    edges = images.float() / 255
    edges[0, 0, 0, 0], edges[0, 0, 0, 1] = 0, 1
    with pytest.raises(ValueError, match=r"^adversarial examples: images must be in \[0, 1\]$"):
        found(network, edges + shift, "linf")
