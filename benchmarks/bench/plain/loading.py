"""Images as the released code loads them: PIL objects in memory, transformed one by one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path as File
from typing import NamedTuple

import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import functional

from trapmid.runtime import stream_seed

WIDTH, HEIGHT = 178, 218  # CelebA's
_BOX = (35, 55, 143, 163)


class Pictures(NamedTuple):
    """Pictures, decoded, and what a study keeps of them."""

    decoded: Sequence[Image.Image]
    prepared: Tensor  # (N, 3, S, S) uint8


def pictures(count: int, size: int) -> Pictures:
    """So many random ones, prepared at `size` pixels."""
    generator = torch.Generator().manual_seed(stream_seed(0, "pictures"))
    shape = (count, HEIGHT, WIDTH, 3)
    raw = torch.randint(256, shape, dtype=torch.uint8, generator=generator)
    decoded = [Image.fromarray(one) for one in raw.numpy()]
    scaled = [one.crop(_BOX).resize((size, size), Image.Resampling.BILINEAR) for one in decoded]
    return Pictures(decoded, torch.stack([functional.pil_to_tensor(one) for one in scaled]))


def load(picture: Image.Image, size: int) -> Tensor:
    """(3, size, size) float: by way of a tensor, a cut, a picture and a tensor again."""
    left, top, right, bottom = _BOX
    cut = functional.to_tensor(picture)[:, top:bottom, left:right]
    scaled = functional.to_pil_image(cut).resize((size, size), Image.Resampling.BILINEAR)
    return functional.to_tensor(scaled)


def prepared(files: Sequence[File], size: int) -> Tensor:
    """(N, 3, size, size) float: file after file, as the released data set reads them."""
    found = []
    for file in files:
        with Image.open(file) as picture:
            found.append(load(picture.convert("RGB"), size))
    return torch.stack(found)


def batch(chosen: Pictures, index: Tensor) -> Tensor:
    """(B, 3, S, S) in torch's default precision."""
    size = chosen.prepared.shape[-1]
    images = torch.stack([load(chosen.decoded[i], size) for i in index.tolist()])
    return images.to(torch.get_default_dtype())
