"""LOMMA's students: several networks behind one `Target`."""

from __future__ import annotations

import pytest
import torch
from test_targets import ENSEMBLES
from torchvision.models import efficientnet_b0, efficientnet_b1, efficientnet_b2

from toy import images, same_state, seeded, snapshot
from trapmid import wiring
from trapmid.nets.ensemble import Ensemble
from trapmid.runtime import eval_mode

CLASSES = 4
# name -> (a small size it takes, one it refuses, features of its members)
ROWS = {
    "efficientnets": (32, 31, (1280, 1280, 1408)),
    "small_students": (16, 20, (128, 256, 256)),
}


@pytest.fixture(scope="module")
def made() -> dict[str, Ensemble]:
    return {
        name: seeded(wiring.target(name), CLASSES, row[0], statistics=False)
        for name, row in ROWS.items()
    }


def test_every_ensemble_has_a_row() -> None:
    assert set(ROWS) == ENSEMBLES


@pytest.mark.parametrize("name", ROWS)
def test_an_ensemble_is_the_mean_of_its_members(name: str, made: dict[str, Ensemble]) -> None:
    model, x = made[name], images(3, size=ROWS[name][0])
    with eval_mode(model), torch.no_grad():
        before = snapshot(model)
        output, member_logits = model(x), model.member_logits(x)
        assert len(member_logits) == 3 and all(
            logits.shape == (3, CLASSES) for logits in member_logits
        )
        assert torch.allclose(output.logits, sum(member_logits) / 3, atol=1e-6)
        assert output.features.shape == (3, sum(ROWS[name][2])) == (3, model.embedding_dim)
        parts = output.features.split(ROWS[name][2], dim=1)
        for member, part, logits in zip(model.members, parts, member_logits, strict=True):
            assert torch.allclose(member.classifier(part), logits, atol=1e-6)
        assert (
            torch.corrcoef(torch.stack(member_logits).flatten(1)) < 0.999
        ).sum() == 6  # they differ
        alone = torch.cat([model(image[None]).logits for image in x])
        assert torch.allclose(alone, output.logits, rtol=1e-4, atol=1e-5)
        assert same_state(before, snapshot(model))


@pytest.mark.parametrize("name", ROWS)
def test_gradients_reach_the_image(name: str, made: dict[str, Ensemble]) -> None:
    x = images(2, size=ROWS[name][0]).requires_grad_(True)
    with eval_mode(made[name]):
        (slope,) = torch.autograd.grad(made[name](x).logits[:, 0].sum(), x)
    assert slope.isfinite().all() and (slope != 0).flatten(1).any(dim=1).all()


@pytest.mark.parametrize("name", ROWS)
def test_sizes_that_do_not_fit(name: str) -> None:
    with pytest.raises(ValueError, match=rf"image_size: {name} need .*, not {ROWS[name][1]}"):
        wiring.target(name)(CLASSES, ROWS[name][1])


@pytest.mark.parametrize("name", ROWS)
def test_a_trunk_passes_to_another_ensemble(name: str, made: dict[str, Ensemble]) -> None:
    model = seeded(wiring.target(name), CLASSES + 1, ROWS[name][0], seed=5)
    before, other = snapshot(model), made[name].state_dict()
    model.start_from(other)
    for key, value in model.state_dict().items():
        expected = before if ".classifier." in key else other
        assert torch.equal(value, expected[key]), key
    with pytest.raises(RuntimeError, match="Missing key"):
        model.start_from({"members.0.nothing": torch.zeros(1)})


def test_the_students_are_torchvisions() -> None:
    """T1: 5.289, 7.794 and 9.110 million parameters at 1,000 classes, and the same features."""
    model = wiring.target("efficientnets")(1000, 64)
    published = [make() for make in (efficientnet_b0, efficientnet_b1, efficientnet_b2)]
    counts = [sum(p.numel() for p in member.parameters()) for member in model.members]
    assert counts == [sum(p.numel() for p in network.parameters()) for network in published]
    assert counts == [5_288_548, 7_794_184, 9_109_994]
    state = {f"{i}.{k}": v for i, one in enumerate(published) for k, v in one.state_dict().items()}
    before = [member.classifier.weight.clone() for member in model.members]
    model.start_from(state)
    x = images(2, size=64)
    with eval_mode(model, *published), torch.no_grad():
        features = torch.cat([n.avgpool(n.features(x)).flatten(1) for n in published], dim=1)
        assert torch.equal(model(x).features, features)
    assert all(
        torch.equal(m.classifier.weight, w) for m, w in zip(model.members, before, strict=True)
    )
    assert len(model.torchvision_weights) == 3
