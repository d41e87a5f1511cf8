"""Inception features as clean-fid takes them; the weights are a local file, never a download."""

from __future__ import annotations

import warnings
from pathlib import Path

import torch
from torch import Tensor

from trapmid.metrics.features import as_bytes, exact
from trapmid.runtime import Runtime, in_parts

WEIGHTS = "inception-2015-12-05.pt"
"""The TorchScript file that clean-fid and StyleGAN2-ADA use (TensorFlow's FID weights)."""


def inception_features(images: Tensor, *, weights: Path, batch_size: int, rt: Runtime) -> Tensor:
    """The 2048 pool features of every image, by clean-fid's network and resizer.

    Images are rounded to 8 bits first, as if they had been stored: clean-fid is defined on files.

    Args:
        images: (N, 3, S, S) uint8, or float in [0, 1] (what lies outside is clamped).
        weights: the file `inception-2015-12-05.pt`.
        batch_size: how many images at once.
        rt: where to compute.

    Returns:
        (N, 2048) float32 on the CPU.

    Raises:
        FileNotFoundError: the weights are not there.
        ValueError: the file is something else, e.g. a page that a download got instead.
    """
    _check_script(weights)
    # Imported here: clean-fid is needed with Inception features only, and its import is slow.
    from cleanfid.inception_torchscript import InceptionV3W
    from cleanfid.resize import build_resizer

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*torch.jit")  # the format of the file
        network = InceptionV3W(str(weights.parent), download=False).to(rt.device).eval()
    resize = build_resizer("clean")

    def features(rows: slice) -> Tensor:
        stored = as_bytes(images[rows]).cpu()
        large = [torch.from_numpy(resize(i.permute(1, 2, 0).numpy())) for i in stored]
        inputs = torch.stack(large).permute(0, 3, 1, 2).to(rt.device)  # [0, 255]
        pooled: Tensor = network(inputs)
        return pooled.float().cpu()

    with torch.no_grad(), exact():
        return torch.cat(in_parts(len(images), batch_size, features))


def _check_script(path: Path) -> None:
    """Refuses what is no TorchScript file, a zip archive, of the name that clean-fid opens."""
    if path.name != WEIGHTS or not path.is_file():
        raise FileNotFoundError(
            f"evaluation.inception_weights: no {path.with_name(WEIGHTS)}; put the file there, or "
            "set evaluation.frechet_features: evaluator"
        )
    with path.open("rb") as stream:
        first = stream.read(64)
    if not first.startswith(b"PK"):
        what = "a web page" if first.lstrip()[:1] == b"<" else "something else"
        raise ValueError(
            f"{path}: must be the TorchScript file of clean-fid, is {what}; fetch it again"
        )
