"""StyleGAN2 against published sizes, numbers computed elsewhere, and its own definition."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toy import uniform
from trapmid.nets.stylegan2 import Generator, Size, StyledConv, activate, filtered, fir, upsample
from trapmid.nets.stylegan2_critic import Critic, DownBlock, EqualConv

STYLE32 = Size(image_size=32, z_dim=64, w_dim=64, base=512, most=64, layers=4)
TINY = Size(image_size=8, z_dim=2, w_dim=2, base=16, most=2, layers=2)


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize(
    ("size", "parameters", "styles"),
    [
        (Size(image_size=1024), 30_370_060, 18),
        (Size(image_size=512), 30_276_583, 16),
        (Size(image_size=256, base=16384), 24_767_458, 14),
        (Size(image_size=256), 30_034_338, 14),
        (STYLE32, 196_931, 8),
        (Size(image_size=64, z_dim=64, w_dim=64, base=512, most=64, layers=4), 200_784, 10),
        (Size(image_size=32, z_dim=64, w_dim=64, base=1024, most=64, layers=4), 272_307, 8),
        (Size(image_size=64, z_dim=64, w_dim=64, base=1024, most=64, layers=4), 283_464, 10),
    ],
    ids=[
        *("ffhq 1024", "512", "paper256", "256 of config f", "style32", "style64"),
        *("wider 32", "wider 64"),
    ],
)
def test_parameters_and_styles(size: Size, parameters: int, styles: int) -> None:
    with torch.device("meta"):
        generator = Generator(size)
    assert count(generator) == parameters and size.num_styles == styles
    assert count(generator.mapping) == (2_101_248 if size.layers == 8 else 16_640)


def test_parameters_of_each_block_of_ffhq() -> None:
    """Of NVIDIA's file of 1,024 pixels; which block of a converted file is wrong, they tell."""
    with torch.device("meta"):
        blocks = dict(Generator(Size(image_size=1024)).synthesis.named_children())
    assert {name: count(one) for name, one in blocks.items()} == {
        "b4": 2_894_852,
        **dict.fromkeys(("b8", "b16", "b32", "b64"), 5_509_125),
        "b128": 2_296_069,
        "b256": 705_669,
        "b512": 242_245,
        "b1024": 93_477,
    }


@pytest.mark.parametrize(
    ("size", "parameters"),
    [
        (Size(image_size=1024), 29_012_513),
        (Size(image_size=256, base=16384), 24_001_089),
        (STYLE32, 218_449),
        (Size(image_size=32, z_dim=64, w_dim=64, base=1024, most=64, layers=4), 288_993),
        (Size(image_size=64, z_dim=64, w_dim=64, base=512, most=64, layers=4), 220_297),
    ],
)
def test_parameters_of_the_critic(size: Size, parameters: int) -> None:
    with torch.device("meta"):
        assert count(Critic(size, 4)) == parameters


def test_a_size_that_is_no_power_of_two() -> None:
    with pytest.raises(ValueError, match="image_size: 48 is not a power of two"):
        Size(image_size=48)


# --- numbers computed by an independent program in float64 (tolerance 1e-6) -----------------------


def square() -> Tensor:
    return torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]], dtype=torch.float64)


def test_upsampling_of_a_square() -> None:
    wanted = """.5625 .9375 1.3125 1.125 1.125 1.75 2.25 1.875
        1.875 2.75 3.25 2.625 1.6875 2.4375 2.8125 2.25"""
    found = upsample(square(), fir().double())
    assert found.flatten().tolist() == pytest.approx([float(x) for x in wanted.split()], abs=1e-9)


def test_upsampling_is_bilinear_beside_black() -> None:
    images = uniform(2, 3, 5, 5).double()
    padded = F.pad(images, (1, 1, 1, 1))
    bilinear = F.interpolate(padded, scale_factor=2, mode="bilinear", align_corners=False)
    assert torch.allclose(upsample(images, fir().double()), bilinear[:, :, 2:-2, 2:-2])


def test_up_convolution_of_a_square() -> None:
    layer = StyledConv(TINY, 1, 1, 4, up=True)
    kernel = torch.arange(1.0, 10.0).view(1, 1, 3, 3)
    x = F.conv_transpose2d(square().float(), kernel.transpose(0, 1), stride=2)
    found = filtered(x, layer.resample_filter, (1, 1), gain=4)
    wanted = """17.0625 29.6875 37.25 33.9375 36 60.625 73.4375 64.6875
        56.25 90.625 105.3125 89.4375 63.9375 99.4375 111.875 92.0625"""
    assert found.flatten().tolist() == pytest.approx([float(x) for x in wanted.split()], abs=1e-4)


def filled() -> Generator:
    """The tiny generator whose 355 numbers are 0.5 sin(k), in the order of the golden values."""
    generator = Generator(TINY).double()
    mapping, synthesis = generator.mapping, generator.synthesis
    names = ["mapping.fc0.weight", "mapping.fc0.bias", "mapping.fc1.weight", "mapping.fc1.bias"]
    names += ["mapping.w_avg", "synthesis.b4.const"]
    conv = ["affine.weight", "affine.bias", "weight", "noise_strength", "bias", "noise_const"]
    rgb = ["affine.weight", "affine.bias", "weight", "bias"]
    for part in ("b4.conv1", "b4.torgb", "b8.conv0", "b8.conv1", "b8.torgb"):
        names += [f"synthesis.{part}.{name}" for name in (rgb if "torgb" in part else conv)]
    state, k = generator.state_dict(), 1
    for name in names:
        values = 0.5 * torch.arange(k, k + state[name].numel(), dtype=torch.float64).sin()
        state[name].copy_(values.view_as(state[name]))
        k += state[name].numel()
    for name in names[:4]:
        state[name].mul_(100)
    assert k == 356 and set(state) - set(names) == {
        f"synthesis.{name}.resample_filter"
        for name in ("b4", "b4.conv1", "b8", "b8.conv0", "b8.conv1")
    }
    assert mapping.layers == 2 and len(synthesis.resolutions) == 2
    return generator


@pytest.mark.parametrize(
    ("psi", "cutoff", "single", "w0", "mean", "std", "pixels"),
    [
        (
            1.0, None, False, (-0.1341546, -0.0865818), 0.5947480, 0.2255006,
            {
                (0, 0): (0.6329276, 0.7050703, 0.1224206),
                (3, 5): (0.6959311, 0.8919776, 0.3218062),
                (7, 7): (0.5675235, 0.6886623, 0.2014811),
            },
        ),
        (
            0.5, 2, False, (0.0379645, 0.2043610), 0.5955212, 0.2400517,
            {(3, 5): (0.7113941, 0.8998621, 0.2997809)},
        ),
        (
            0.5, 2, True, (0.0379645, 0.2043610), 0.5955050, 0.2380280,
            {(3, 5): (0.7062892, 0.9038017, 0.3016069)},
        ),
    ],
)  # fmt: skip
def test_golden_images(
    psi: float,
    cutoff: int | None,
    single: bool,
    w0: tuple[float, float],
    mean: float,
    std: float,
    pixels: dict[tuple[int, int], tuple[float, float, float]],
) -> None:
    generator = filled()
    mapping = generator.mapping
    codes = mapping(torch.tensor([[1.0, -0.5]], dtype=torch.float64))
    styles = mapping.truncate(mapping.repeated(codes), psi, cutoff)
    if single:
        styles = mapping.repeated(styles[:, 0])
    image = generator.synthesis(styles)
    assert styles[0, 0].tolist() == pytest.approx(w0, abs=1e-6)
    assert image.mean().item() == pytest.approx(mean, abs=1e-6)
    assert image.std(unbiased=False).item() == pytest.approx(std, abs=1e-6)
    for (row, column), wanted in pixels.items():
        assert image[0, :, row, column].tolist() == pytest.approx(wanted, abs=1e-6)


# --- definitions --------------------------------------------------------------------------------


def literal(layer: StyledConv, x: Tensor, code: Tensor) -> Tensor:
    """The paper's form: the weights of every sample are scaled and normalised by themselves."""
    images = []
    for image, style in zip(x, layer.affine(code), strict=True):
        weight = layer.weight * style[None, :, None, None]
        weight = weight / (weight.square().sum(dim=(1, 2, 3), keepdim=True) + 1e-8).sqrt()
        if layer.up:  # zeros between pixels, the filter, then the flipped kernel
            sparse = image.new_zeros(1, len(image), 2 * image.shape[1], 2 * image.shape[2])
            sparse[:, :, ::2, ::2] = image
            smooth = filtered(F.pad(sparse, (3, 2, 3, 2)), layer.resample_filter, (0, 0), gain=4)
            made = F.conv2d(smooth, weight.flip(2, 3))
        else:
            made = F.conv2d(image[None], weight, padding=1)
        made = made + layer.noise_const * layer.noise_strength + layer.bias[:, None, None]
        images.append(F.leaky_relu(made, 0.2) * math.sqrt(2))
    return torch.cat(images)


@pytest.mark.parametrize("up", [True, False])
def test_scaled_activations_equal_weights_of_every_sample(up: bool) -> None:
    torch.manual_seed(0)
    layer = StyledConv(STYLE32, 6, 5, 8, up=up)
    layer.noise_strength.data.fill_(0.3)
    layer.bias.data.normal_()
    x, code = torch.randn(3, 6, 4 if up else 8, 4 if up else 8), torch.randn(3, 64)
    code.requires_grad_(True)
    found, wanted = layer(x, code, "const"), literal(layer, x, code)
    assert found.shape == (3, 5, 8, 8) and torch.allclose(found, wanted, atol=1e-5)
    (slope,) = torch.autograd.grad(found.square().sum(), code)
    (other,) = torch.autograd.grad(wanted.square().sum(), code)
    assert torch.allclose(slope, other, rtol=1e-3, atol=1e-4)


def test_a_block_paints_with_the_code_that_the_next_one_begins_with() -> None:
    synthesis = Generator(STYLE32).synthesis
    codes = torch.randn(1, 8, 64)
    other = codes.clone()
    other[:, 3] += 1
    first = [synthesis.block(0, None, c) for c in (codes, other)]
    second = [synthesis.block(1, state, c) for state, c in zip(first, (codes, other), strict=True)]
    third = [synthesis.block(2, state, c) for state, c in zip(second, (codes, other), strict=True)]
    assert torch.equal(first[0].maps, first[1].maps)
    assert torch.equal(second[0].maps, second[1].maps)
    assert second[0].painted is not None and second[1].painted is not None
    assert not torch.allclose(second[0].painted, second[1].painted)
    assert not torch.allclose(third[0].maps, third[1].maps)


def test_truncation() -> None:
    generator = Generator(STYLE32)
    mapping = generator.mapping
    mapping.w_avg.normal_()
    codes = mapping.repeated(mapping(torch.randn(3, 64)))
    same = generator.synthesis(mapping.truncate(codes, 0.0, None))
    assert torch.allclose(same[0], same[1], atol=1e-6)
    assert torch.allclose(mapping.truncate(codes, 1.0, None), codes, atol=1e-6)
    near = mapping.truncate(codes, 0.25, 3)
    assert torch.equal(near[:, 3:], codes[:, 3:])
    gap = (near[:, :3] - mapping.w_avg).norm(dim=2) / (codes[:, :3] - mapping.w_avg).norm(dim=2)
    assert torch.allclose(gap, torch.full((3, 3), 0.25), atol=1e-5)


def test_noise() -> None:
    generator, z = Generator(STYLE32), torch.randn(2, 64)
    for name, parameter in generator.named_parameters():
        if name.endswith("noise_strength"):
            parameter.data.fill_(0.5)
    const, again, none = (generator(z, noise) for noise in ("const", "const", "none"))
    assert torch.equal(const, again) and not torch.allclose(const, none)
    assert not torch.allclose(generator(z, "random"), generator(z, "random"))
    with pytest.raises(ValueError, match="noise: 'fresh' is not one of const, random, none"):
        generator(z, "fresh")


def test_a_clamp_bounds_what_layers_return() -> None:
    size = Size(image_size=8, z_dim=4, w_dim=4, base=64, most=8, layers=2, clamp=0.1)
    synthesis = Generator(size).synthesis
    with torch.no_grad():
        first = synthesis.block(0, None, torch.randn(5, size.num_styles, 4))
    assert first.maps.abs().max().item() == pytest.approx(0.1)
    assert first.painted is not None and first.painted.abs().max().item() == pytest.approx(0.1)


def test_the_mean_code_follows_the_batches() -> None:
    mapping = Generator(STYLE32).mapping
    codes = torch.randn(6, 64)
    mapping.follow(codes, decay=0.75)
    mapping.follow(codes, decay=0.75)
    wanted = codes.mean(dim=0) * (0.25 + 0.75 * 0.25)
    assert torch.allclose(mapping.w_avg, wanted, atol=1e-6)


def test_the_critic_sees_the_deviation_of_groups() -> None:
    """Image i is compared with those that are whole groups away, as in ProGAN's code."""
    critic = Critic(STYLE32, 2)
    x = uniform(4, 5, 4, 4)
    found = critic._deviation(x)
    for i in range(4):
        pair = torch.stack([x[i % 2], x[i % 2 + 2]])
        wanted = (pair.var(dim=0, unbiased=False) + 1e-8).sqrt().mean()
        assert torch.allclose(found[i], wanted.expand(1, 4, 4), atol=1e-6)
    critic.eval()
    alone, together = critic._deviation(x[:1]), critic._deviation(x)
    assert torch.equal(alone[0], together[0]) and (alone == critic.spread).all()


def active(x: Tensor) -> Tensor:
    return F.leaky_relu(x, 0.2) * math.sqrt(2)


def test_a_block_of_the_critic_is_a_residual_at_half_the_pixels() -> None:
    """Two convolutions beside a skip, both low-passed before every second pixel goes."""

    def blurred(y: Tensor, pad: int) -> Tensor:
        taps = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
        kernel = (taps[:, None] * taps).expand(y.shape[1], 1, 4, 4)
        return F.conv2d(F.pad(y, (pad,) * 4), kernel, groups=y.shape[1])

    block, x = DownBlock(3, 4), uniform(2, 3, 8, 8)
    for one in (block.conv0, block.conv1):
        assert one.bias is not None
        one.bias.data.normal_()
    first = active(F.conv2d(x, block.conv0.weight / 27**0.5, block.conv0.bias, padding=1))
    weight = block.conv1.weight / 27**0.5
    deep = active(F.conv2d(blurred(first, 2), weight, block.conv1.bias, stride=2))
    skip = F.conv2d(blurred(x, 1)[:, :, ::2, ::2], block.skip.weight / 3**0.5)
    assert block(x).shape == (2, 4, 4, 4) and block.skip.bias is None
    assert torch.allclose(block(x), (deep + skip) / 2**0.5, atol=1e-5)


def test_the_critic_ends_in_two_dense_layers() -> None:
    critic = Critic(STYLE32, 2).eval()
    critic.spread.fill_(0.3)
    with torch.no_grad():
        images = uniform(3, 3, 32, 32)
        x = active(critic.from_rgb(images))
        for block in critic.blocks:
            x = block(x)
        x = torch.cat([x, torch.full((3, 1, 4, 4), 0.3)], dim=1)
        x = active(critic.conv(x)).flatten(1)
        x = active(x @ critic.dense.weight.T / x.shape[1] ** 0.5 + critic.dense.bias)
        wanted = x @ critic.out.weight[0] / x.shape[1] ** 0.5 + critic.out.bias
        assert torch.allclose(critic(images), wanted, atol=1e-5)


def test_the_critic_remembers_the_deviation_that_it_met() -> None:
    critic, x = Critic(STYLE32, 2), uniform(4, 5, 4, 4)
    mean = critic._deviation(x).mean()
    critic._deviation(x)
    assert torch.allclose(critic.spread, mean * (1 - 0.99**2), rtol=1e-4)


def test_activations_keep_their_size() -> None:
    """He's initialisation at run time: a deep critic neither blows up nor fades."""
    torch.manual_seed(0)
    x = torch.randn(64, 32, 16, 16)
    for _ in range(4):
        x = activate(EqualConv(32, 32, 3)(x))
    assert 0.3 < x.std().item() < 3
