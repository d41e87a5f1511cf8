"""Drawn images: the same bytes everywhere, and the same in memory as in files."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

from trapmid.data import celeba
from trapmid.data.drawing import images

pytestmark = pytest.mark.usefixtures("one_thread")


DIGESTS = """
import hashlib
import torch
from trapmid.data.drawing import images
torch.set_num_threads(1)
pairs = [(identity, image) for identity in range(1, 9) for image in range(2)]
for domain, size in (("celeba", (218, 178)), ("ffhq", (128, 128))):
    pixels = images.draw(pairs, seed=0, domain=domain, size=size)
    print(domain, hashlib.sha256(pixels.numpy().tobytes()).hexdigest())
"""
"""Prints a digest of sixteen images of either kind: 1.9 and 0.8 million intensities."""

COMMITTED = """\
celeba d1b7db4e55f9d366d49a433d0043aa0318b26f10c2751ad30c2def7ced559ed5
ffhq 33c3cf92daa75afe9ba2491af4c00a1cb02812caa6de44619d6dd1ff527fa68d
"""


@pytest.mark.slow
@pytest.mark.parametrize("instructions", [None, "avx2", "default"])
def test_every_processor_draws_the_same_bytes(instructions: str | None) -> None:
    """torch takes the instruction set from the environment, once, as it is imported."""
    environment = dict(os.environ)
    if instructions is not None:
        environment |= {"ATEN_CPU_CAPABILITY": instructions, "ONEDNN_MAX_CPU_ISA": "AVX2"}
    command = [sys.executable, "-c", DIGESTS]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == COMMITTED


def test_portraits_are_what_a_study_reads_but_for_the_loss_of_jpeg(tmp_path: Path) -> None:
    pairs = [(1, 0), (2, 3), (5, 1)] * 4  # more than one chunk
    found = images.portraits(pairs, seed=1, size=32)
    drawn = images.draw(pairs[:3], seed=1, domain="celeba", size=(218, 178))
    for image, pixels in zip(found, drawn, strict=False):
        Image.fromarray(pixels.numpy()).save(file := tmp_path / "lossless.png")
        assert torch.equal(image, celeba.Reader().load(file, 32))
    assert torch.equal(found[3:6], found[:3])
    assert found.shape == (12, 3, 32, 32)
