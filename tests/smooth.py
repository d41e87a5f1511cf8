"""Pictures that are made up, for tests of what reads pictures."""

from __future__ import annotations

import torch
from PIL import Image


def picture(width: int, height: int, seed: int) -> Image.Image:
    """A smooth random RGB picture, so that resizing and JPEG matter but nothing saturates."""
    coarse = torch.rand(8, 8, 3, generator=torch.Generator().manual_seed(seed))
    small = Image.fromarray((coarse * 255).to(torch.uint8).numpy())
    return small.resize((width, height), Image.Resampling.BICUBIC)
