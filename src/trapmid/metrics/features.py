"""Images to a classifier's outputs, once, for every metric; and how images are read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from trapmid.runtime import Runtime, eval_mode, in_parts
from trapmid.types import Target, Trapdoor


class Description(NamedTuple):
    """What one classifier says about N images; on the CPU, float32."""

    logits: Tensor  # (N, C)
    features: Tensor  # (N, F)

    @property
    def predictions(self) -> Tensor:
        """The predicted classes (N,) int64."""
        return self.logits.argmax(dim=1)


def describe(
    model: Target, images: Tensor, *, batch_size: int, rt: Runtime, poison: Poison | None = None
) -> Description:
    """The model's outputs for `images`, in eval mode, fp32 and without gradients.

    An image's row depends on that image alone: eval mode fixes the batch statistics, so the batch
    size changes nothing but the order of floating-point sums (about 1e-6 of a logit).

    Args:
        model: on `rt.device`.
        images: (N, 3, S, S); uint8 is divided by 255, float is taken as it is, even outside [0, 1].
        batch_size: how many images at once.
        rt: where to compute; its precision is ignored, scores are fp32.
        poison: gives every image a trigger before it is described.

    Raises:
        ValueError: there are no images, or a logit or feature is not finite.
    """
    if not len(images):
        raise ValueError("describe: no images")

    def outputs(rows: slice) -> tuple[Tensor, Tensor]:
        batch = as_float(images[rows].to(rt.device))
        if poison is not None:
            batch = poison.apply(batch, rows)
        output = model(batch)
        return output.logits.float().cpu(), output.features.float().cpu()

    with eval_mode(model), torch.no_grad(), exact():
        parts = in_parts(len(images), batch_size, outputs)
    described = Description(*(torch.cat(part) for part in zip(*parts, strict=True)))
    for name, values in zip(Description._fields, described, strict=True):
        _check_finite(name, values)
    return described


def vectors(model: nn.Module, images: Tensor, *, batch_size: int, rt: Runtime) -> Tensor:
    """What a judge makes of `images`, one vector each: (N, D) float32 on the CPU; as `describe`.

    A judge sees images as files keep them: floats are clamped to [0, 1], batch by batch, because a
    copy of all may be 30 GB.

    Raises:
        ValueError: there are no images, or a vector is not finite.
    """
    if not len(images):
        raise ValueError("vectors: no images")

    def outputs(rows: slice) -> Tensor:
        # Before they move: CUDA divides by 255 through its reciprocal, which may round otherwise.
        vector: Tensor = model(as_float(images[rows]).clamp(0, 1).to(rt.device))
        return vector.float().cpu()

    with eval_mode(model), torch.no_grad(), exact():
        found = torch.cat(in_parts(len(images), batch_size, outputs))
    _check_finite("vectors", found)
    return found


def member_logits(model: Target, images: Tensor, *, batch_size: int, rt: Runtime) -> list[Tensor]:
    """The logits (N, C) of every member of an ensemble, or of the one network; as `describe`.

    Raises:
        ValueError: a logit is not finite.
    """

    def outputs(rows: slice) -> list[Tensor]:
        return list(model.member_logits(as_float(images[rows].to(rt.device))))

    with eval_mode(model), torch.no_grad(), exact():
        parts = in_parts(len(images), batch_size, outputs)
    members = [torch.cat(member).float().cpu() for member in zip(*parts, strict=True)]
    for number, logits in enumerate(members):
        _check_finite(f"logits (network {number})", logits)
    return members


def _check_finite(name: str, values: Tensor) -> None:
    broken = int((~values.isfinite().all(dim=1)).sum())
    if broken:
        raise ValueError(f"describe: {name} of {broken} of {len(values)} images are not finite")


class Poison(NamedTuple):
    """A trapdoor and the class (N,) whose trigger each image gets."""

    trapdoor: Trapdoor
    labels: Tensor

    def apply(self, images: Tensor, rows: slice) -> Tensor:
        """`images` (n, 3, S, S), the `rows` of all images, with their triggers."""
        home = self.trapdoor.triggers.device
        poisoned: Tensor = self.trapdoor(images.to(home), self.labels[rows].to(home))
        return poisoned.to(images.device)


def as_float(images: Tensor) -> Tensor:
    """uint8 images as float32 in [0, 1]; float images as they are."""
    return images.float().div(255) if images.dtype == torch.uint8 else images.float()


def as_bytes(images: Tensor) -> Tensor:
    """Images as 8-bit files keep them: clamped to [0, 1] and rounded to uint8."""
    if images.dtype == torch.uint8:
        return images
    return images.clamp(0, 1).mul(255).round().to(torch.uint8)


def stretch(images: Tensor) -> Tensor:
    """Images (N, 3, S, S) as the papers' scripts stored and re-read them; float32 in [0, 1].

    Bit-equal to torchvision's `save_image(image, normalize=True)` of one image, then PIL and
    `ToTensor`: a min-max stretch over all channels of the image, rounded to 8 bits.
    It makes the contrast of a reconstruction an artefact of its extremes.
    """
    pixels = as_float(images).cpu()
    flat = pixels.flatten(1).double()  # torchvision takes the extremes as Python floats
    low, high = flat.amin(1), flat.amax(1)
    width = (high - low).clamp(min=1e-5).float()[:, None, None, None]
    stretched = (pixels - low.float()[:, None, None, None]) / width
    return as_float((stretched * 255 + 0.5).clamp(0, 255).to(torch.uint8))


def low2high(images: Tensor, size: int) -> Tensor:
    """Images (N, 3, S, S) as GMI, KED-MI, LOMMA and BREP-MI show them to the evaluator.

    Truncated (not rounded) to 8 bits, resized by PIL's bilinear filter to `size`, and back: float32
    (N, 3, size, size) in [0, 1]. PLG-MI's scripts resize raw floats instead.
    """
    pixels = (as_float(images).clamp(0, 1) * 255).to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
    shape = (size, size)
    resized = [
        np.asarray(Image.fromarray(one).resize(shape, Image.Resampling.BILINEAR)) for one in pixels
    ]
    return as_float(torch.from_numpy(np.stack(resized)).permute(0, 3, 1, 2))


@contextmanager
def exact() -> Iterator[None]:
    """No TF32 convolutions and no autotuned kernels: a score must not depend on either."""
    with torch.backends.cudnn.flags(
        enabled=True, benchmark=False, deterministic=True, allow_tf32=False
    ):
        yield
