"""Models of somebody else's, and how that somebody exports them."""

from __future__ import annotations

import io
import re
import warnings
import zipfile
from collections.abc import Callable
from unittest import mock

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CLASSES, SIZE = 3, 8


class Small(nn.Module):
    """Two layers; `after` is what becomes of its logits."""

    def __init__(self, after: Callable[[Tensor], Tensor] = lambda logits: logits) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.conv, self.norm = nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4)
            self.head = nn.Linear(4, CLASSES)
        self.after = after

    def body(self, images: Tensor) -> Tensor:
        return F.relu(self.norm(self.conv(images))).mean(dim=(2, 3))

    def forward(self, images: Tensor) -> object:
        return self.after(self.head(self.body(images)))


class Two(Small):
    def forward(self, images: Tensor) -> object:
        features = self.body(images)
        return self.head(features), features


def exported(model: nn.Module, *examples: Tensor, batch: bool = True) -> bytes:
    """The bytes of a .pt2 file, as somebody else would make it."""
    examples = examples or (torch.rand(2, 3, SIZE, SIZE),)
    sizes = tuple({0: torch.export.Dim("n")} for _ in examples) if batch else None
    stream = io.BytesIO()
    with warnings.catch_warnings(action="ignore"):
        made = torch.export.export(model, examples, dynamic_shapes=sizes)
        torch.export.save(made, stream)
    return stream.getvalue()


def on_a_gpu(model: nn.Module, *examples: Tensor) -> bytes:
    """The bytes of a .pt2 file, as they are of a model and an example on a GPU.

    Such a file says of every tensor, and of every node that makes one, that it is on `cuda`; its
    weights are the same bytes. (torch 2.14 writes a model of fake tensors on `cuda` so.)
    """
    with mock.patch("torch.serialization.location_tag", return_value="cuda:0"):
        content = exported(model, *examples)
    here, there = b'{"type": "cpu", "index": null}', b'{"type": "cuda", "index": 0}'
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(stream, "w") as new:
        for name in old.namelist():
            text = old.read(name)
            if name.endswith(".json"):
                text = re.sub(re.escape(here), there, text)
            new.writestr(name, text)
    return stream.getvalue()
