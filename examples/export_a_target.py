"""A target of the study as a program of torch.export, on which to try `trapmid audit`.

    python examples/export_a_target.py models/targets/none-0/model.pt

Writes none-0.pt2 into this folder; docs/own-model.md goes on from there. A network of your own
is exported likewise.
"""

import sys
import warnings
from pathlib import Path

from trapmid.artifacts import classifiers
from trapmid.runtime import Runtime

import torch
from torch import Tensor, nn


class Plain(nn.Module):
    """Returns a tuple: torch.export writes no named ones."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        answer = self.network(images)
        return answer.logits, answer.features


file = Path(sys.argv[1])
found = classifiers.load(file, Runtime(device=torch.device("cpu"), seed=0, precision="fp32"))
images = torch.rand(2, 3, found.image_size, found.image_size)  # two: one takes batches of one only
warnings.simplefilter("ignore")  # of torch's own code, while it traces
program = torch.export.export(
    Plain(found.model).eval(), (images,), dynamic_shapes=({0: torch.export.Dim("batch")},)
)
torch.export.save(program, f"{file.parent.name}.pt2")
