"""PLG-MI's networks against the official ones, and spectral norms against an SVD."""

from __future__ import annotations

import re

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrize

import official
from toy import images, same_state, seeded, snapshot
from trapmid.nets import snresnet
from trapmid.nets.snresnet import SpectralNorm, resolution_plan

LEAVES = {"conv1": "c1", "conv2": "c2", "shortcut": "c_sc", "linear": "l6", "embedding": "l_y"}
NORMED = {
    "parametrizations.weight.original": "weight_orig",
    "parametrizations.weight.0.u": "weight_u",
    "parametrizations.weight.0.v": "weight_v",
}


def generator_name(name: str) -> str:
    name = name.replace("linear.", "l1.").replace("to_rgb.", "conv6.")
    name = re.sub(r"^norm\.", "b6.", name)
    name = re.sub(r"^blocks\.(\d)", lambda m: f"block{int(m[1]) + 2}", name)
    for ours, theirs in (("conv", "c"), ("shortcut", "c_sc"), ("norm1", "b1"), ("norm2", "b2")):
        name = name.replace(ours, theirs) if not name.startswith("conv6") else name
    return name.replace(".norm.", ".").replace("gain", "weights").replace(".bias.w", ".biases.w")


def critic_name(name: str) -> str:
    name = re.sub(r"^blocks\.(\d)", lambda m: f"block{int(m[1]) + 1}", name)
    for ours, theirs in (LEAVES | NORMED).items():
        name = name.replace(ours, theirs)
    return name


def test_the_official_numbers_of_parameters() -> None:
    with torch.device("meta"):
        generator = snresnet.Generator(128, 1000, 64, 64)
    critic = snresnet.ProjectionDiscriminator(1000, 64, 64)
    assert sum(p.numel() for p in generator.parameters()) == 17_973_379
    assert sum(p.numel() for p in critic.parameters()) == 11_165_441


def test_the_generator_computes_what_the_official_one_does() -> None:
    model = snresnet.Generator(128, 1000, 64, 64).eval()
    official.fill(model, generator_name)
    with torch.no_grad():
        made = model(official.latents(128), official.LABELS)
    official.compare(made, official.outputs("plgmi_generator")[0])


def test_the_critic_computes_what_the_official_one_does() -> None:
    model = snresnet.ProjectionDiscriminator(1000, 64, 64).eval()
    official.fill(model, critic_name)
    with torch.no_grad():
        score = model(official.images(), official.LABELS)
    official.compare(score, official.outputs("plgmi_critic")[0])


@pytest.mark.parametrize(
    ("size", "plan"), [(4, (4, 0)), (8, (4, 1)), (28, (7, 2)), (48, (6, 3)), (64, (4, 4))]
)
def test_resolutions(size: int, plan: tuple[int, int]) -> None:
    assert resolution_plan(size) == plan
    if size < 64:
        made = seeded(snresnet.Generator, 5, 3, size, 2)(torch.randn(2, 5), torch.tensor([0, 2]))
        assert made.shape == (2, 3, size, size) and made.abs().max() <= 1
        critic = seeded(snresnet.ProjectionDiscriminator, 3, size, 2)
        if size > 4:
            assert critic(made, torch.tensor([0, 2])).shape == (2,)


@pytest.mark.parametrize("size", [3, 9, 30, 36, 100])
def test_sizes_without_a_plan(size: int) -> None:
    with pytest.raises(ValueError, match=rf"image_size: {size} is not 4, 5, 6 or 7 times"):
        resolution_plan(size)


def test_a_down_block_equals_the_official_order_of_operations() -> None:
    block = seeded(snresnet.DownBlock, 4, 6, first=False).eval()
    x = torch.randn(2, 4, 8, 8)
    wanted = F.avg_pool2d(block.conv2(F.relu(block.conv1(F.relu(x)))), 2)
    wanted = wanted + F.avg_pool2d(block.shortcut(x), 2)  # officially the 1x1 comes first
    assert torch.allclose(block(x), wanted, atol=1e-5)
    first = seeded(snresnet.DownBlock, 4, 6, first=True).eval()
    wanted = F.avg_pool2d(first.conv2(F.relu(first.conv1(x))), 2) + first.shortcut(
        F.avg_pool2d(x, 2)
    )
    assert torch.allclose(first(x), wanted, atol=1e-5)


def test_an_up_block_equals_the_official_order_of_operations() -> None:
    def double(x: torch.Tensor) -> torch.Tensor:
        return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)

    block, y = seeded(snresnet.UpBlock, 4, 6, 3), torch.tensor([2, 0])
    x = torch.randn(2, 4, 4, 4)
    h = block.conv1(double(F.relu(block.norm1(x, y))))
    wanted = block.conv2(F.relu(block.norm2(h, y))) + block.shortcut(double(x))
    assert torch.allclose(block(x, y), wanted, atol=1e-5)


def test_conditional_batch_norm_starts_as_the_identity_and_is_per_class() -> None:
    norm, x = snresnet.ConditionalBatchNorm(3, 4), torch.randn(6, 3, 2, 2)
    y = torch.tensor([0, 1, 2, 3, 1, 1])
    mean = x.mean(dim=(0, 2, 3), keepdim=True)
    plain = (x - mean) / (x.var(dim=(0, 2, 3), keepdim=True, correction=0) + 1e-5).sqrt()
    assert torch.allclose(norm(x, y), plain, atol=1e-5)
    norm.gain.weight.data[1], norm.bias.weight.data[1] = 3.0, -1.0
    changed = norm(x, y)
    assert torch.allclose(changed[y == 1], 3 * plain[y == 1] - 1, atol=1e-5)
    assert torch.allclose(changed[y != 1], plain[y != 1], atol=1e-5)


# --- spectral norm ------------------------------------------------------------------------------

LAYERS = {
    "conv": lambda: (nn.Conv2d(3, 5, 3), torch.randn(1, 3, 4, 4)),
    "linear": lambda: (nn.Linear(6, 4), torch.randn(1, 6)),
    "embedding": lambda: (nn.Embedding(7, 4), torch.tensor([2])),
}


@pytest.mark.parametrize("name", LAYERS)
def test_sigma_converges_to_the_largest_singular_value(name: str) -> None:
    torch.manual_seed(0)
    layer, x = LAYERS[name]()
    layer = snresnet._normed(layer, gain=2.0)
    original = layer.parametrizations.weight.original
    for _ in range(200):
        layer(x)
    largest = torch.linalg.svdvals(original.detach().flatten(1))[0]
    assert torch.allclose(original / layer.eval().weight, largest, rtol=1e-4)


def test_one_power_iteration_a_forward_in_training_and_none_in_eval() -> None:
    torch.manual_seed(0)
    layer = snresnet._normed(nn.Linear(6, 4, bias=False), gain=1.0)
    norm, weight = layer.parametrizations.weight[0], layer.parametrizations.weight.original
    x, u = torch.randn(2, 6), norm.u.clone()
    for _ in range(3):
        found = layer(x)
        v = F.normalize(weight.T @ u, dim=0)
        u = F.normalize(weight @ v, dim=0)
        assert torch.allclose(norm.u, u, atol=1e-6) and torch.allclose(norm.v, v, atol=1e-6)
        assert torch.allclose(found, x @ (weight / (u @ weight @ v)).T, atol=1e-5)
    before = snapshot(layer.eval())
    layer(x)
    assert same_state(before, snapshot(layer))


def test_the_gradient_holds_the_singular_vectors_constant() -> None:
    """As the official hook: d(W / u'Wv) with u and v fixed."""
    torch.manual_seed(0)
    weight, probe = torch.randn(4, 6, requires_grad=True), torch.randn(4, 6)
    norm = SpectralNorm(weight)
    (slope,) = torch.autograd.grad((norm(weight) * probe).sum(), weight)
    sigma = norm.u @ weight @ norm.v
    wanted = probe / sigma - (probe * weight).sum() / sigma**2 * torch.outer(norm.u, norm.v)
    assert torch.allclose(slope, wanted, atol=1e-5)


def test_sigma_is_float32_inside_bf16_autocast() -> None:
    torch.manual_seed(0)
    layer, x = snresnet._normed(nn.Linear(6, 4), gain=1.0), torch.randn(2, 6)
    with torch.autocast("cpu", torch.bfloat16):
        assert layer.weight.dtype == torch.float32
        assert layer(x).dtype == torch.bfloat16


def test_every_layer_of_the_critic_is_normed_and_starts_xavier() -> None:
    critic = seeded(snresnet.ProjectionDiscriminator, 50, 16, 8)
    layers = [m for m in critic.modules() if isinstance(m, nn.Conv2d | nn.Linear | nn.Embedding)]
    assert len(layers) == 3 * len(critic.blocks) + 2
    for name, layer in critic.named_modules():
        if layer in layers:
            assert parametrize.is_parametrized(layer, "weight")
            weight = layer.parametrizations.weight.original
            fans = sum(torch.nn.init._calculate_fan_in_and_fan_out(weight))
            gain = 2**0.5 if "conv" in name else 1.0
            bound = gain * (6 / fans) ** 0.5
            assert bound * 0.75 < weight.abs().max() <= bound
            assert getattr(layer, "bias", None) is None or layer.bias.abs().max() > 0


def test_the_projection_is_the_inner_product_with_the_class() -> None:
    critic, x = seeded(snresnet.ProjectionDiscriminator, 3, 8, 4).eval(), images(2)
    h = x
    for block in critic.blocks:
        h = block(h)
    h = F.relu(h).sum(dim=(2, 3))
    for label in range(3):
        y = torch.full((2,), label)
        wanted = critic.linear(h)[:, 0] + h @ critic.embedding.weight[label]
        assert torch.allclose(critic(x, y), wanted, atol=1e-5)
