"""At which sizes paths are measured: the paper's, a laptop's, and a test's."""

from __future__ import annotations

from pathlib import Path

import torch
from gpu.results import PREPARED, Book, code_digest
from gpu.study import Sizes, World

PAPER = Sizes("paper_attacks", 1000, 64, 27000, 512, 16, 1, 0.0, {"batch_size": 16}, {})
"""VGG16, which learns from four times as many images at once, and the paper's priors. These and
searches work on 16 images, where the paper has 64 to 250: a processor is as busy with them, and a
step takes seconds instead of a minute."""
LIGHT = PAPER._replace(reconstructed=4, small={"batch_size": 4})
"""For a machine that is busy with other things."""
LAPTOP = Sizes("attacks", 24, 32, 1536, 1024, 60, 4, 0.0, {}, {})
QUICK = Sizes("attacks", 6, 32, 48, 48, 12, 2, 0.0, {"batch_size": 6}, {})


def world(name: str, *, quick: bool, light: bool = False, scratch: Path | None = None) -> World:
    """The world `paper` or `laptop`; quick: a toy with the laptop's networks under both names."""
    sizes = {"paper": LIGHT if light else PAPER, "laptop": LAPTOP}[name]
    toy = Book(
        out=scratch or PREPARED / "bench",
        toy=quick,
        device=torch.device("cpu"),
        code=code_digest(),
    )
    return World(toy, QUICK if quick else sizes)
