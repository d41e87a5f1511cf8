"""dlib's face recogniser (King, JMLR 2009; the network is of 2017), for photographs.

Nobody here trained it. The extra `faces` installs dlib-bin and face-recognition-models, which has
the weights. That package cannot be imported beside today's setuptools, since it asks for
pkg_resources; so its folder is looked up.

No detector looks for the face: it would refuse reconstructions that the evaluator is asked about.
In CelebA's aligned images the eyes stand at fixed places. From there dlib's own chip is cut: 150
pixels, the eyes where `get_face_chip_details` puts them at a padding of 0.25.
"""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

DIM = 128
"""How many numbers an embedding has."""
_CHIP = 150
_CHIP_EYES = ((47.74, 47.14), (100.28, 47.12))  # (x, y) of the left and the right one in the image
_EYES = ((34.5, 56.3), (72.8, 56.2))  # likewise, in CelebA's centre crop of 108 pixels
_CROP = 108
_WEIGHTS = "dlib_face_recognition_resnet_model_v1.dat"


class Recogniser:
    """From aligned CelebA crops (N, 3, S, S) in [0, 1] of any size to embeddings (N, 128).

    It works on the CPU, has no gradient, and is no part of a module's state.

    Raises:
        ValueError: on construction, if the extra `faces` is not installed.
    """

    def __init__(self) -> None:
        self._network = _network()

    def __call__(self, images: Tensor) -> Tensor:
        """One embedding an image, on the images' device; nearly of length 1.4 (not normalised)."""
        pixels = (chips(images.cpu()) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
        found = self._network.compute_face_descriptor([np.ascontiguousarray(one) for one in pixels])
        return images.new_tensor(np.array(found)).reshape(-1, DIM)


def chips(images: Tensor) -> Tensor:
    """The squares (N, 3, 150, 150) in [0, 1] that dlib would cut: bilinear; outside, the border."""
    (left, top), (right, _) = _EYES
    (chip_left, chip_top), (chip_right, _) = _CHIP_EYES
    scale = (right - left) / (chip_right - chip_left)  # pixels of the crop per pixel of the chip
    axis = torch.arange(_CHIP, dtype=torch.float32)
    xs, ys = left + scale * (axis - chip_left), top + scale * (axis - chip_top)
    grid = torch.stack(torch.meshgrid(xs, ys, indexing="xy"), dim=-1)  # pixel centres, (H, W, 2)
    grid = ((2 * grid + 1) / _CROP - 1).expand(len(images), -1, -1, -1)
    cut = F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)
    return cut.clamp(0, 1)


def _network() -> Any:
    found = importlib.util.find_spec("face_recognition_models")  # finds, does not import
    if found is None or found.origin is None or importlib.util.find_spec("dlib") is None:
        raise ValueError("dlib: not installed; `pip install --editable '.[faces]'`")
    weights = Path(found.origin).parent / "models" / _WEIGHTS
    return importlib.import_module("dlib").face_recognition_model_v1(str(weights))
