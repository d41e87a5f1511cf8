"""The defences that are in the network: frozen stages, and skip connections removed."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from toy import (
    Memory,
    ToyNet,
    ToyTarget,
    faces,
    images,
    plan,
    runtime,
    seeded,
    setting,
    snapshot,
    uniform,
)
from trapmid import wiring
from trapmid.defenses import rolss, transfer
from trapmid.training import fit
from trapmid.types import Target


def trained(defense: Any) -> tuple[dict[str, Any], dict[str, Any], Target]:
    model = defense.adapt(seeded(ToyNet, 4))
    before = snapshot(model)
    data = faces(6, 4, 0)
    fit.fit(model, defense.objective(setting()), data, data, data, plan(), runtime(), Memory())
    return before, snapshot(model), model


@pytest.mark.parametrize("still", [True, False])
def test_frozen_stages_keep_what_they_knew(still: bool) -> None:
    before, after, _ = trained(transfer.Defense(frozen_stages=1, freeze_statistics=still))
    for name, value in before.items():
        statistics = "running" in name or "tracked" in name
        stays = name.startswith("first.") and (still or not statistics)
        assert torch.equal(value, after[name]) == stays, name


def test_more_stages_than_there_are() -> None:
    with pytest.raises(ValueError, match="frozen_stages: 3 is over 2, all that the architecture"):
        transfer.Defense(frozen_stages=3, freeze_statistics=True).adapt(seeded(ToyNet, 4))
    with pytest.raises(ValueError, match=r"transfer\.frozen_stages: 0 is under 1"):
        wiring.defense("transfer", {"frozen_stages": 0, "freeze_statistics": True}, "transfer")


def test_more_stages_than_there_are_to_weaken() -> None:
    with pytest.raises(ValueError, match=r"^stages: 3 is over 2, all that the arch"):
        rolss.Defense(scale=0.0, stages=3).adapt(seeded(ToyNet, 4))


@pytest.mark.parametrize("scale", [0.0, 0.5, 1.0])
def test_skips_are_scaled(scale: float) -> None:
    plain, x = seeded(ToyNet, 4).eval(), images(3)
    model = rolss.Defense(scale=scale, stages=1).adapt(seeded(ToyNet, 4)).eval()
    hidden = plain.first(x)
    unit = plain.last[0]
    wanted = plain.classifier(torch.relu(unit.body(hidden) + scale * hidden))
    assert torch.allclose(model(x).logits, wanted, atol=1e-6)


def test_removed_skips_leave_no_parameters() -> None:
    _, after, model = trained(rolss.Defense(scale=0.0, stages=1))
    assert not any("shortcut" in name for name in after)
    assert all(p.requires_grad for p in model.parameters())


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("arch", ["small_resnet", "small_ir", "ir18"])
def test_only_the_last_stages_lose_their_skips(arch: str, count: int) -> None:
    model = rolss.Defense(scale=0.0, stages=count).adapt(wiring.target(arch)(3, 64))
    scales = [
        {p.skip_scale for p in stage.modules() if hasattr(p, "weaken")} for stage in model.stages()
    ]
    assert all(found == {0.0} for found in scales[-count:])
    assert all(found == {1.0} for found in scales[:-count])


@pytest.mark.parametrize("scale", [0.0, 0.5, 1.0])
def test_ir18_uses_the_scale_of_its_skips(scale: float) -> None:
    first, second = seeded(wiring.target("ir18"), 3, 32).eval().trunk.layer4
    for block, x in ((first, uniform(2, 256, 4, 4)), (second, uniform(2, 512, 2, 2))):
        inner = block.bn2(block.conv2(block.relu(block.bn1(block.conv1(x)))))
        skip = x if block.downsample is None else block.downsample(x)
        block.weaken(scale)
        assert torch.allclose(block(x), torch.relu(inner + scale * skip), atol=1e-6)


def test_a_network_without_skips() -> None:
    with pytest.raises(
        ValueError, match=r"arch: trapmid\.targets\.small_vgg has no skip .* can be w"
    ):
        rolss.Defense(scale=0.0, stages=1).adapt(wiring.target("small_vgg")(3, 16))
    with pytest.raises(ValueError, match="has no stages"):
        rolss.Defense(scale=0.0, stages=1).adapt(seeded(ToyTarget, 3))
    with pytest.raises(ValueError, match=r"rolss\.scale: 2\.0 is outside \[0, 1\]"):
        wiring.defense("rolss", {"scale": 2.0, "stages": 1}, "rolss")
