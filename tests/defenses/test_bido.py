"""BiDO: its measures against published numbers and a literal form, its batches, its training."""

from __future__ import annotations

import dataclasses
import time
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toy import BLOCKS, Memory, ToyNet, ToyTarget, faces, images, plan, runtime, seeded, uniform
from trapmid import wiring
from trapmid.defenses import bido
from trapmid.training import fit
from trapmid.types import Objective, Output, Progress, Setting, Target

CLASSES = 4
BASE = bido.Defense(**BLOCKS["bido"][1])
KERNELS: tuple[bido.Kernel, ...] = ("gaussian", "linear", "imq")


def network(outputs: int = CLASSES) -> Target:
    made: Target = seeded(ToyNet, outputs, seed=outputs)
    return made


def objective(precision: str = "fp32", **changes: Any) -> Objective:
    return dataclasses.replace(BASE, **changes).objective(
        Setting(
            image_shape=(3, 8, 8),
            num_classes=CLASSES,
            new_network=network,
            new_optimizer=lambda parameters: torch.optim.Adam(parameters),
            rt=runtime(precision=precision),
        )
    )


def distance(
    measure: bido.Measure,
    x: Tensor,
    y: Tensor,
    kernels: tuple[bido.Kernel, bido.Kernel],
    sigma: float = 5.0,
) -> Tensor:
    """d(x, y) as the objective puts it together, at the precision of x."""
    of_x, of_y = (
        bido.response(bido.kernel_matrix(rows, kernel, sigma), measure, x.dtype)
        for rows, kernel in zip((x, y), kernels, strict=True)
    )
    return bido.dependence(of_x[None], of_y, measure)[0]


# --- the measures as the official code computes them --------------------------------------------


def literal_kernel(x: Tensor, kernel: str, sigma: float) -> Tensor:
    m, d = x.shape
    k = x.new_zeros(m, m)
    for i in range(m):
        for j in range(m):
            far = (x[i] - x[j]).square().sum()
            k[i, j] = {
                "gaussian": torch.exp(-far / (2 * sigma**2 * d)),
                "linear": x[i] @ x[j],
                "imq": 1 / (far + 1).sqrt(),
            }[kernel]
    return k


def literal(
    measure: str, x: Tensor, y: Tensor, kernels: tuple[str, str], sigma: float = 5.0
) -> Tensor:
    """Centred from the right only, and an explicit inverse."""
    m = len(x)
    h = torch.eye(m, dtype=x.dtype) - torch.full((m, m), 1 / m, dtype=x.dtype)
    kx, ky = literal_kernel(x, kernels[0], sigma), literal_kernel(y, kernels[1], sigma)
    if measure == "coco":
        return ((h @ kx @ h) @ (h @ ky @ h)).square().sum().sqrt().sqrt() / m
    ridge = 1e-5 * m * torch.eye(m, dtype=x.dtype)
    rx, ry = (k @ h @ torch.linalg.inv(k @ h + ridge) for k in (kx, ky))
    return (rx * ry.T).sum()


def golden(dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    i = torch.arange(8, dtype=torch.float64)[:, None]
    x = torch.sin(0.1 * (12 * i + torch.arange(12)))
    y = torch.cos(0.2 * (5 * i + torch.arange(5)))
    return x.to(dtype), y.to(dtype)


GOLDEN = [  # measure, kernel of y, official code in float32 and how far rounding moves it, exact
    ("hsic", "gaussian", 2.1884, 0.02, 2.2083),
    ("hsic", "linear", 1.5415, 0.1, 1.6167),
    ("coco", "gaussian", 0.0139608, 2e-5, 0.0139608),
    ("coco", "linear", 0.1583283, 2e-5, 0.1583283),
]


@pytest.mark.parametrize(("measure", "kernel", "official", "spread", "exact"), GOLDEN)
def test_golden_values(
    measure: bido.Measure, kernel: bido.Kernel, official: float, spread: float, exact: float
) -> None:
    """The points lie on a plane, so HSIC's matrices are as ill-conditioned as they can be."""
    kernels: tuple[bido.Kernel, bido.Kernel] = ("gaussian", kernel)
    rel = 5e-5 if measure == "hsic" else 1e-5  # the digits that are given
    assert distance(measure, *golden(torch.float64), kernels).item() == pytest.approx(
        exact, rel=rel
    )
    # A symmetric matrix loses little even in float32; the tolerance tells the two values apart.
    single = distance(measure, *golden(torch.float32), kernels).item()
    assert single == pytest.approx(exact, rel=3e-3 if measure == "hsic" else 2e-5)
    if official != exact:
        assert single != pytest.approx(official, rel=6e-3)
    # The official one in float32 is what its inverse makes of rounding errors.
    theirs = literal(measure, *golden(torch.float32), kernels).item()
    assert theirs == pytest.approx(official, rel=spread)


def test_rounding_makes_no_pair_more_alike_than_equal() -> None:
    far = 100 + 0.001 * uniform(20, 300)  # float32 cannot tell their distances
    for kernel in ("gaussian", "imq"):
        k = bido.kernel_matrix(far, kernel, 0.01)
        assert (k <= 1).all() and (k.diagonal() == 1).all()


@pytest.mark.parametrize("label_kernel", KERNELS)
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("measure", ["hsic", "coco"])
def test_measures_equal_the_literal_ones(
    measure: bido.Measure, kernel: bido.Kernel, label_kernel: bido.Kernel
) -> None:
    x = uniform(10, 7).double() * 3
    y = F.one_hot(torch.arange(10) % 3).double()
    ours = distance(measure, x, y, (kernel, label_kernel), sigma=0.7)
    theirs = literal(measure, x, y, (kernel, label_kernel), sigma=0.7)
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-6) and ours > 0


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("measure", ["hsic", "coco"])
def test_gradients_by_finite_differences(measure: bido.Measure, kernel: bido.Kernel) -> None:
    y = F.one_hot(torch.arange(6) % 3).double()
    x = (uniform(6, 4).double() * 2).requires_grad_(True)
    assert torch.autograd.gradcheck(
        lambda x: distance(measure, x, y, (kernel, "linear"), 0.7), (x,), atol=1e-4, rtol=1e-4
    )


def test_hsic_of_linear_kernels_is_the_sum_of_squared_canonical_correlations() -> None:
    y = F.one_hot(torch.arange(64) % 4).double()
    for x in (y + uniform(64, 4).double(), 5 * uniform(64, 4, seed=1).double()):
        bases = [torch.linalg.svd(v - v.mean(0), full_matrices=False)[0] for v in (x, y)]
        bases[1] = bases[1][:, :3]  # one-hot rows sum to 1
        correlations = torch.linalg.svdvals(bases[0].T @ bases[1])
        found = distance("hsic", x, y, ("linear", "linear"))
        assert found.item() == pytest.approx(correlations.square().sum().item(), rel=2e-3)


def test_coco_is_large_where_one_decides_the_other() -> None:
    y = F.one_hot(torch.arange(64) % 4).double()
    one, other = y + 0.1 * uniform(64, 4).double(), uniform(64, 4, seed=1).double()
    by, without = (distance("coco", x, y, ("gaussian", "linear"), 1.0) for x in (one, other))
    assert by > 1.5 * without


@pytest.mark.parametrize("measure", ["hsic", "coco"])
def test_a_layer_that_answers_everything_alike_has_a_gradient(measure: bido.Measure) -> None:
    x = torch.zeros(6, 4, requires_grad=True)
    found = distance(measure, x, F.one_hot(torch.arange(6) % 3).float(), ("gaussian", "linear"))
    found.backward()
    assert found.item() == pytest.approx(0, abs=1e-6)
    assert x.grad is not None and x.grad.isfinite().all()


def test_solves_are_in_float64_where_there_is_one() -> None:
    assert bido.solving_dtype(torch.device("cpu")) == torch.float64
    assert bido.solving_dtype(torch.device("cuda", 0)) == torch.float64
    assert bido.solving_dtype(torch.device("mps")) == torch.float32


# --- the loss -----------------------------------------------------------------------------------


def step(target: Objective, model: Target) -> tuple[Any, Tensor, Tensor]:
    x, y = images(8), torch.arange(8) % CLASSES
    return target(model, x, y, Progress(0, 1, 0, 1)), x, y


@pytest.mark.parametrize("measure", ["hsic", "coco"])
def test_the_loss_and_its_gradient(measure: bido.Measure) -> None:
    model, other = network().train(), network().train()
    weights = {"input_weight": 0.3, "label_weight": 0.7, "sigma": 0.5}
    loss, x, y = step(objective(measure=measure, kernel="imq", **weights), model)
    loss.total.backward()

    output, one_hot = other(x), F.one_hot(y, CLASSES).double()
    assert len(output.hidden) == 2
    on_images = on_labels = torch.zeros((), dtype=torch.float64)
    for z in output.hidden:
        flat = z.flatten(1).double()
        seen = x.flatten(1).double()
        on_images = on_images + literal(measure, flat, seen, ("imq", "imq"))
        on_labels = on_labels + literal(measure, flat, one_hot, ("imq", "linear"))
    main = -output.logits.log_softmax(1)[range(8), y].mean()
    wanted = main + 0.3 * on_images - 0.7 * on_labels
    wanted.backward()
    assert loss.total.item() == pytest.approx(wanted.item(), rel=1e-4)
    assert loss.parts["main_loss"].item() == pytest.approx(main.item(), rel=1e-5)
    assert loss.parts["input_dependence"].item() == pytest.approx(on_images.item(), rel=1e-4)
    assert loss.parts["label_dependence"].item() == pytest.approx(on_labels.item(), rel=1e-4)
    assert loss.parts["train_accuracy"] == (output.logits.argmax(1) == y).float().mean()
    for mine, theirs in zip(model.parameters(), other.parameters(), strict=True):
        assert mine.grad is not None and theirs.grad is not None
        assert torch.allclose(mine.grad, theirs.grad, rtol=2e-3, atol=2e-5)


def test_images_and_labels_are_solved_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    solve, shapes = torch.linalg.solve, []

    def counted(a: Tensor, b: Tensor) -> Tensor:
        shapes.append((tuple(a.shape), a.dtype, a.requires_grad))
        return solve(a, b)

    monkeypatch.setattr(torch.linalg, "solve", counted)
    x = images(8).requires_grad_(True)
    objective()(network().train(), x, torch.arange(8) % CLASSES, Progress(0, 1, 0, 1))
    assert shapes == [((2, 8, 8), torch.float64, False), ((2, 8, 8), torch.float64, True)]


def test_kernels_are_in_float32_under_autocast() -> None:
    one, _, _ = step(objective(), network().train())
    other, _, _ = step(objective("bf16"), network().train())
    for part in ("input_dependence", "label_dependence"):
        assert other.parts[part].dtype == torch.float32
        assert other.parts[part].item() == pytest.approx(one.parts[part].item(), rel=0.05)
    assert other.parts["main_loss"] != one.parts["main_loss"]  # the network itself is in bf16


def test_a_network_without_hidden_layers_is_refused() -> None:
    with pytest.raises(ValueError, match="arch: toy reports no hidden layers for bido"):
        step(objective(), seeded(ToyTarget, CLASSES))


# --- batches ------------------------------------------------------------------------------------


def people(counts: list[int]) -> Tensor:
    labels = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    return labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(7))]


def epoch(labels: Tensor, seed: int = 0, identities: int = 3, each: int = 4) -> list[Tensor]:
    with runtime(seed).seeded("batches"):
        return bido.identity_batches(labels, identities, each)


def test_every_batch_holds_p_people_with_k_images() -> None:
    labels = people([9, 4, 0, 13, 8, 4, 11])
    batches = epoch(labels)
    # Groups: 2, 1, 0, 3, 2, 1, 2 = 11, hence three batches of three people, at most.
    assert 2 <= len(batches) <= 3
    for chosen in batches:
        assert chosen.shape == (12,) and chosen.dtype == torch.int64
        owners = labels[chosen].view(3, 4)
        assert (owners == owners[:, :1]).all() and len(owners[:, 0].unique()) == 3
    drawn = torch.cat(batches)
    assert len(drawn.unique()) == len(drawn)  # no person has too few images


def test_an_epoch_goes_on_until_too_few_people_are_left() -> None:
    labels = people([8, 9, 10, 11])
    batches = epoch(labels, identities=4)
    assert len(batches) == 2 and len(torch.cat(batches).unique()) == 32
    assert len(epoch(labels, identities=1)) == 8
    # Two of three people have one group each: after one batch or two, nobody is left but the third.
    assert {len(epoch(people([40, 4, 4]), seed, 2)) for seed in range(20)} == {1, 2}


def test_few_images_are_drawn_with_replacement() -> None:
    labels = people([4, 3, 1])
    seen: set[int] = set()
    repeated = 0
    for seed in range(30):
        (chosen,) = epoch(labels, seed)
        owners = labels[chosen]
        assert owners.bincount().tolist() == [4, 4, 4]
        assert len(chosen[owners == 0].unique()) == 4  # enough images: each once
        assert len(chosen[owners == 2].unique()) == 1
        few = chosen[owners == 1].unique().tolist()
        seen |= set(few)
        repeated += len(few) < 3
    assert len(seen) == 3 and 0 < repeated < 30


def test_every_image_has_its_turn_and_every_epoch_another_order() -> None:
    labels = people([5] * 6)
    epochs = [torch.cat(epoch(labels, seed)) for seed in range(40)]
    assert len(torch.cat(epochs).unique()) == 30  # the fifth image is another one each time
    assert not torch.equal(epochs[0], epochs[1])
    assert torch.equal(epochs[0], torch.cat(epoch(labels, 0)))
    firsts = torch.stack([labels[e[0]] for e in epochs])
    assert len(firsts.unique()) == 6
    together = [tuple(sorted(e[labels[e] == 0].tolist())) for e in epochs]
    assert len(set(together)) == 5


def test_an_epoch_of_the_papers_size_is_fast() -> None:
    labels = people([27] * 982 + [28] * 18)  # 27,018 images
    start = time.perf_counter()
    batches = epoch(labels, identities=16)
    assert time.perf_counter() - start < 1
    assert 370 <= len(batches) <= 375 and len(batches[0]) == 64


def test_batches_that_cannot_be_made() -> None:
    labels = people([8, 8, 0, 8])
    with pytest.raises(ValueError, match="identities_per_batch: 4 is over the 3 in the data"):
        epoch(labels, identities=4)
    with pytest.raises(
        ValueError, match=r"classifier_training\.\*\.batch_size: 9 must be 8, which is ident"
    ):
        objective().batches(labels, 9)
    assert len(objective().batches(labels, 8)[0]) == 8


# --- training -----------------------------------------------------------------------------------


class Tanh(Target):
    """Two hidden layers without normalisation, which could hide what the loss does to them."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.first, self.second = nn.Linear(192, 24), nn.Linear(24, 12)
        self.classifier = nn.Linear(12, num_classes)

    def forward(self, images: Tensor) -> Output:
        one = self.first(images.flatten(1)).tanh()
        two = self.second(one).tanh()
        return Output(self.classifier(two), two, (one, two))


def test_training_lowers_one_dependence_and_raises_the_other() -> None:
    how = plan(epochs=12, optimizer="adam", lr=0.003, weight_decay=0.0, milestones=())

    def last(**weights: float) -> dict[str, float]:
        checkpointer, model = Memory(), seeded(Tanh, CLASSES)
        data = (faces(count, CLASSES, seed) for seed, count in enumerate((16, 4, 5)))
        target = objective(measure="coco", sigma=0.5, **weights)
        fit.fit(model, target, *data, how, runtime(), checkpointer)
        return checkpointer.rows[-1]

    # COCO: HSIC, which counts directions, is as high as it gets with two people in a batch.
    plain = last(input_weight=0.0, label_weight=0.0)
    inputs = last(input_weight=2.0, label_weight=0.0)
    both = last(input_weight=0.05, label_weight=0.5)
    assert inputs["input_dependence"] < 0.9 * plain["input_dependence"]
    assert both["label_dependence"] > plain["label_dependence"]
    assert both["test_accuracy"] > 0.9
    assert both["loss"] == pytest.approx(
        both["main_loss"] + 0.05 * both["input_dependence"] - 0.5 * both["label_dependence"],
        abs=1e-4,
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"measure": "mmd"}, r"bido\.measure: 'mmd' is not one of hsic, coco"),
        ({"kernel": "cosine"}, r"bido\.kernel: 'cosine' is not one of gaussian, linear, imq"),
        ({"input_weight": -0.1}, r"bido\.input_weight: -0\.1 is not in \[0, 1e\+30\]"),
        ({"label_weight": -0.1}, r"bido\.label_weight: -0\.1 is not in \[0, 1e\+30\]"),
        ({"sigma": 0.0}, r"bido\.sigma: 0\.0 is not in \(0, 1e\+30\]"),
        ({"identities_per_batch": 0}, r"bido\.identities_per_batch: 0 is under 1"),
        ({"images_per_identity": 0}, r"bido\.images_per_identity: 0 is under 1"),
    ],
)
def test_wrong_blocks_name_themselves(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        wiring.defense("bido", BLOCKS["bido"][1] | changes, "bido")
