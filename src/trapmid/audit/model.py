"""The audited model: made a program, tried, put in the order of the people, asked about them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from trapmid.artifacts import programs
from trapmid.audit.people import AuditError, Probes
from trapmid.metrics import renaming
from trapmid.nets import program
from trapmid.nets.program import ProgramError

_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))

_MEAN, _STD = (torch.tensor(values)[:, None, None] for values in _IMAGENET)
_SCALES: dict[str, Callable[[Tensor], Tensor]] = {
    "images in [-1, 1]": lambda x: 2 * x - 1,
    "ImageNet's mean and deviation": lambda x: (x - _MEAN) / _STD,
    "images in [0, 255]": lambda x: 255 * x,
    "channels in the order blue, green, red": lambda x: x.flip(1),
}
"""What people forget to put into a model: images come to it in [0, 1], red first."""


class Tried(NamedTuple):
    """A model that can be attacked."""

    content: bytes  # of a .pt2 file
    outputs: int  # how many classes it knows


def tried(path: Path, image_size: int) -> Tried:
    """The model of a file, after it has shown that it can be attacked.

    Args:
        path: a .pt2 file, a .py file, or a folder of one .py and its state.
        image_size: S of the images.

    Raises:
        AuditError: it does not do what it must, see `nets.program.check`.
        CheckpointError: no network can be made of the file.
    """
    content = programs.contents(path, image_size)
    try:
        return Tried(content, program.check(program.read(content), None, image_size))
    except ProgramError as error:
        raise AuditError(f"{path}: {error}") from None


def has_features(content: bytes, image_size: int) -> bool:
    """Whether the program returns features, too, so that its logits need not take their place."""
    stream = torch.Generator().manual_seed(0)
    with torch.no_grad():
        images = torch.rand(2, 3, image_size, image_size, generator=stream)
        answer = program.ask(_module(content), images)
    return not torch.equal(answer.logits, answer.features)


def size_of(path: Path) -> int:
    """The size of images for which a program was exported.

    Raises:
        AuditError: it takes any, or the file is none that says so, or there is no model.
    """
    if not path.exists():
        raise AuditError(f"{path}: no such file; a model is {programs.KINDS}")
    if path.is_file() and path.suffix not in (".pt2", ".py"):
        raise AuditError(f"{path}: is no model: {programs.KINDS}")
    if path.suffix != ".pt2" or not path.is_file():
        raise AuditError(f"{path}: does not say for which images it is: give --image-size")
    try:
        size = program.image_size(program.read(path.read_bytes()))
    except ProgramError as error:
        raise AuditError(f"{path}: {error}") from None
    if size is None:
        raise AuditError(f"{path}: takes images of any size: give --image-size")
    return size


def reordered(given: Tried, order: list[int], image_size: int) -> bytes:
    """The program with output `order[i]` as its i-th, and no others; as it is where that is it."""
    if order == list(range(given.outputs)):
        return given.content
    return program.traced(_Reordered(_module(given.content), order), image_size)


class _Reordered(nn.Module):
    order: Tensor

    def __init__(self, asked: nn.Module, order: list[int]) -> None:
        super().__init__()
        self.asked = asked
        self.register_buffer("order", torch.tensor(order))

    def train(self, mode: bool = True) -> _Reordered:
        return self  # a program has one mode

    def forward(self, images: Tensor) -> Any:
        answer = program.ask(self.asked, images)
        return answer.logits.index_select(1, self.order), answer.features


def check_knows(content: bytes, probes: Probes) -> float:
    """The share of the probes, in [0, 1], that the program names rightly.

    Raises:
        AuditError: it would name far more of them were they scaled otherwise, or were its outputs
            in another order: then a part of the model is missing, or --classes.
    """
    module = _module(content)
    logits = _logits(module, probes.images)
    found = renaming.readings(logits, probes.labels)
    right = found.given
    for words, change in _SCALES.items():
        other = _accuracy(_logits(module, change(probes.images)), probes.labels)
        if other > right + renaming.BETTER:
            raise AuditError(
                f"the model names {right:.0%} of {len(probes.labels)} private images in [0, 1], "
                f"and {other:.0%} of them with {words}: put that into the model and export it again"
            )
    if found.is_another_order:
        raise AuditError(
            f"the model names {right:.0%} of {len(probes.labels)} private images, and "
            f"{found.renamed:.0%} if its outputs stood for other people: give their order with "
            "--classes"
        )
    return right


def _module(content: bytes) -> nn.Module:
    return program.asked(program.read(content), torch.device("cpu"))


@torch.no_grad()
def _logits(module: nn.Module, images: Tensor) -> Tensor:
    return torch.cat([program.ask(module, part).logits for part in images.split(64)])


def _accuracy(logits: Tensor, labels: Tensor) -> float:
    return float((logits.argmax(dim=1) == labels).double().mean())
