"""What must hold on a CUDA device as it does on the CPU; `benchmarks/on_gpu.sh` runs it."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from toy import BLOCKS, PLGMI, ToyNet, ToyPrior, ToyTarget, faces, images, plan, seeded, snapshot
from trapmid import wiring
from trapmid.config.study import Inversion
from trapmid.metrics import features
from trapmid.runtime import Runtime, counter_normal, counter_uniform, stream_seed
from trapmid.search import inversion
from trapmid.training import classifier
from trapmid.training.classifier import Splits, Trained
from trapmid.types import NOTHING, InMemory, LabelsOnly, Target, Task

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]
CLASSES = 4
CPU, GPU = torch.device("cpu"), torch.device("cuda")

GMI: dict[str, Any] = {
    "steps": 10,
    "lr": 0.02,
    "momentum": 0.9,
    "identity_weight": 20.0,
    "bound": 1.0,
    "averaging": None,
    "adaptive": None,
    "reference_batch": 6,
}
BREPMI: dict[str, Any] = {
    "images_per_class": 1,
    "points": 8,
    "inside": 7,
    "radius": 1.0,
    "expansion": 1.3,
    "max_step": 3.0,
    "bound": 1.5,
    "patience": 5,
    "init_batch": 8,
    "init_batches": 16,
    "rejection_cap": 5,
    "proposals": 10,
    "untargeted": None,
}


def runtime(device: torch.device, precision: str = "fp32") -> Runtime:
    return Runtime(device=device, seed=0, precision=precision)


def trained(name: str, rt: Runtime, **changes: Any) -> Trained:
    """A toy network under the defence of a row of `toy.BLOCKS`; one epoch."""
    train = faces(6, CLASSES, 0).to(rt.device)
    splits = Splits(train, train, train, CLASSES)

    def network(outputs: int) -> Target:
        made: Target = seeded(ToyNet, outputs, seed=outputs)
        return made

    defense = wiring.defense(*BLOCKS[name], name)
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        return classifier.train(defense, network, splits, plan(epochs=1, **changes), rt, InMemory())


def search(attack: Any, device: torch.device, count: int) -> Tensor:
    """The latents of so many rows, on the CPU."""
    target = seeded(ToyTarget, CLASSES).to(device).eval()
    prior = seeded(ToyPrior, CLASSES).to(device).eval()
    rows = torch.arange(count, device=device)
    task = Task(labels=rows % CLASSES, draws=rows // CLASSES)
    asked = LabelsOnly(target) if attack.label_only else target
    latents: Tensor = attack.invert(asked, prior, task, runtime(device)).latents.cpu()
    return latents


@pytest.mark.parametrize("name", BLOCKS)
def test_every_defense_trains_on_it(name: str) -> None:
    if BLOCKS[name][0] == "dpsgd":
        pytest.importorskip("opacus")
    done = trained(name, runtime(GPU))
    for key, value in done.model.state_dict().items():
        assert value.device.type == "cuda" and value.isfinite().all(), key
    if done.objective.trapdoor is not None:
        assert done.objective.trapdoor.triggers.device.type == "cuda"


@pytest.mark.parametrize("name", ["none", "trapmid", "mid", "rolss"])
def test_a_step_is_that_of_the_cpu(name: str) -> None:
    """One step; a later one may differ by more, since triggers move by the sign of a slope."""
    here, there = (trained(name, runtime(d), batch_size=24) for d in (CPU, GPU))
    expected, found = here.model.state_dict(), there.model.state_dict()
    for key, value in expected.items():
        torch.testing.assert_close(found[key].cpu(), value, rtol=1e-3, atol=1e-4, msg=key)


def test_bf16_learns_what_fp32_does() -> None:
    exact, rounded = (trained("trapmid", runtime(GPU, p)) for p in ("fp32", "bf16"))
    one, other = (
        torch.cat([p.flatten() for p in done.model.parameters()]) for done in (exact, rounded)
    )
    assert rounded.model.state_dict()["classifier.weight"].dtype == torch.float32
    assert not torch.equal(one, other)
    assert (one - other).norm() / one.norm() < 0.05


def test_counters_are_the_same_on_every_device() -> None:
    keys = torch.tensor([stream_seed(0, "row", i) for i in range(100)])
    assert torch.equal(counter_uniform(keys.cuda(), 7).cpu(), counter_uniform(keys, 7))
    here, there = counter_normal(keys, 7), counter_normal(keys.cuda(), 7).cpu()
    torch.testing.assert_close(there, here, rtol=1e-5, atol=1e-5)


def test_a_seeded_block_gives_the_devices_stream_back() -> None:
    rt = runtime(GPU)
    torch.cuda.manual_seed(3)
    undisturbed = torch.rand(5, device=GPU)
    torch.cuda.manual_seed(3)
    with rt.seeded("block"):
        inside = torch.rand(5, device=GPU)
    assert torch.equal(torch.rand(5, device=GPU), undisturbed)
    with rt.seeded("block"):
        assert torch.equal(torch.rand(5, device=GPU), inside)


def test_a_seeded_block_of_the_cpu_leaves_the_device_alone() -> None:
    torch.cuda.manual_seed(3)
    undisturbed = torch.rand(5, device=GPU)
    torch.cuda.manual_seed(3)
    with runtime(CPU).seeded("block"):
        torch.rand(5)
    assert torch.equal(torch.rand(5, device=GPU), undisturbed)


def test_a_seeded_block_draws_what_torch_draws_of_its_seed() -> None:
    torch.manual_seed(stream_seed(0, "block"))
    expected = torch.rand(5, device=GPU), torch.rand(5)
    with runtime(GPU).seeded("block"):
        assert torch.equal(torch.rand(5, device=GPU), expected[0])
        assert torch.equal(torch.rand(5), expected[1])


@pytest.mark.parametrize("count", [4, 8])
def test_a_search_is_that_of_the_cpu_in_any_batch(count: int) -> None:
    attack = wiring.attack("gmi", GMI)
    expected = search(attack, CPU, 12)[:count]
    torch.testing.assert_close(search(attack, GPU, count), expected, rtol=1e-3, atol=1e-3)


def test_a_label_only_search_runs_on_it() -> None:
    latents = search(wiring.attack("brepmi", BREPMI), GPU, CLASSES)
    assert latents.shape == (CLASSES, 5) and latents.isfinite().all()
    assert latents.abs().max() <= BREPMI["bound"]


@pytest.mark.parametrize("guided", [False, True])
def test_a_conditional_prior_learns_on_it(guided: bool) -> None:
    rt = runtime(GPU)
    training = wiring.prior_training("plgmi", PLGMI)
    target = seeded(ToyTarget, CLASSES).to(GPU).eval() if guided else None
    with rt.seeded("initial weights"):
        prior = rt.place(training.make(8, CLASSES if guided else 1))
    before = snapshot(prior)
    training.fit(prior, faces(6, CLASSES, 0).images, target, NOTHING, rt, InMemory())
    after = prior.state_dict()
    assert all(value.isfinite().all() and value.device.type == "cuda" for value in after.values())
    assert any(not torch.equal(before[name], after[name]) for name in before)


def test_every_class_is_attacked_in_a_batch_that_fits() -> None:
    """Without a batch size the free memory of the device decides."""
    rt = runtime(GPU)
    target = seeded(ToyTarget, CLASSES).to(GPU).eval()
    prior = seeded(ToyPrior, CLASSES).to(GPU).eval()
    asked = Inversion(images_per_class=3, batch_size=None, keep_every=100)
    attack = wiring.attack("gmi", GMI)
    found = inversion.invert_all(attack, target, prior, NOTHING, asked, rt, InMemory())
    assert found.batch_size == 3 * CLASSES
    assert found.rows["labels"].tolist() == sorted([*range(CLASSES)] * 3)
    assert all(v.device.type == "cpu" for v in found.rows.values() if isinstance(v, Tensor))


@pytest.mark.parametrize(("precision", "last"), [("fp32", False), ("bf16", True)])
def test_kernels_are_channels_last_in_bf16(precision: str, last: bool) -> None:
    weight = runtime(GPU, precision).place(torch.nn.Conv2d(3, 4, 3)).weight
    assert weight.is_contiguous(memory_format=torch.channels_last) is last


def test_features_are_those_of_the_cpu() -> None:
    target, pixels = seeded(ToyTarget, CLASSES).eval(), images(10)
    describe = partial(features.describe, images=pixels, batch_size=4)
    here = describe(target, rt=runtime(CPU))
    there = describe(target.to(GPU), rt=runtime(GPU))
    assert there.features.device.type == "cpu"
    torch.testing.assert_close(there.features, here.features, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(there.logits, here.logits, rtol=1e-4, atol=1e-4)
