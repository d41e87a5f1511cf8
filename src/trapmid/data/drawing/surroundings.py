"""What is around the head: the background, the shoulders, the light and the sensor's noise."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from trapmid.data.drawing.colours import rgb, wheel
from trapmid.data.drawing.scene import Scene
from trapmid.data.drawing.shapes import Patch, box, ellipse


def background(scene: Scene) -> None:
    """Two colours that run into each other, and a round spot, over the whole canvas."""
    how = scene.how
    patch = Patch((slice(None),) * 3, scene.canvas, scene.u, scene.v, scene.pixel)
    saturation = how.between("background_saturation", 0.0, 0.6)
    one = wheel(how["background_hue_a"], how.between("background_light_a", 0.35, 0.95), saturation)
    two = wheel(how["background_hue_b"], how.between("background_light_b", 0.35, 0.95), saturation)
    x, y = scene.x.reshape(1, 1, -1), scene.y.reshape(1, -1, 1)
    angle = how["background_angle"] * 2 * math.pi
    slope = (torch.cos(angle) * x + torch.sin(angle) * y) / 160 + 0.5
    scene.canvas.copy_(one)
    patch.blend(two, slope.clamp_(0, 1))
    shape = ellipse(
        x - how.between("shape_x", -90, 90),
        y - how.between("shape_y", -110, 60),
        how.between("shape_size", 10, 45),
        how.between("shape_size", 10, 45),
    )
    patch.paint(shape, one, 0.6, soft=3)


def body(scene: Scene) -> None:
    """Neck, shoulders and collar."""
    how = scene.how
    patch = scene.patch(-90, 20, 90, 120)
    u, v = patch.u, patch.v
    neck = box(u, v - 70, 0.60 * scene.width, 50.0, 6.0)
    patch.paint(neck, torch.lerp(scene.shadow, scene.skin, 0.45))
    patch.paint(torch.maximum(neck, v - scene.chin - 10), scene.shadow, 0.6, soft=8)
    cloth = wheel(how["clothing_hue"], how.between("clothing_light", 0.15, 1.0), 0.7)
    shoulders = ellipse(u, v - 124, 84.0, 56.0)
    collar = ellipse(u, v - 66, 25.0, how.between("neckline", 8, 26))
    patch.paint(torch.maximum(shoulders, -collar), cloth)
    patch.paint((collar.abs() - 1.2).maximum(shoulders), cloth * 0.6)


def _grain(shape: torch.Size, seed: int) -> Tensor:
    """Noise of mean 0 and variance 1, nearly normal: the sum of four uniform 15-bit numbers.

    `torch.randn` would do, but for its logarithms: four numbers in ten differ between instruction
    sets. The generator's whole numbers do not.
    """
    bits = torch.empty(shape, dtype=torch.int64)
    bits.random_(generator=torch.Generator().manual_seed(seed))  # 63 of them
    total = torch.stack([(bits >> (15 * part)) & 0x7FFF for part in range(4)]).sum(dim=0)
    centre, deviation = 2 * 0x7FFF, math.sqrt((2**30 - 1) / 3)
    return (total - centre).to(torch.float64) / deviation


def light(scene: Scene) -> None:
    """Exposure, the light's fall-off, its colour, and the sensor's noise, in place."""
    how, canvas = scene.how, scene.canvas
    exposure = how.between("exposure", 0.74, 1.15).unsqueeze(1)
    warmth = how.bell("warmth", 0.13).unsqueeze(1)
    tint = exposure * (1 + warmth * rgb(1, 0, -1))
    x, y = scene.x.reshape(1, 1, -1), scene.y.reshape(1, -1, 1)
    strength = how.between("light_strength", 0.0, 0.32)
    fall = 1 + strength * (scene.lit * x + scene.lit_v * y) / 80
    canvas.mul_(fall.unsqueeze(1)).mul_(tint)
    amplitude = how.between("noise", 0.002, 0.016)
    for image, seed, sigma in zip(
        canvas, how["noise_seed"].flatten().tolist(), amplitude.flatten().tolist(), strict=True
    ):
        image.add_(_grain(canvas.shape[2:], int(seed * 2**24)), alpha=sigma)
    canvas.clamp_(0, 1)
