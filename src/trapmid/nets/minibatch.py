"""KED-MI's discriminator of classes, with minibatch discrimination (Chen et al., ICCV 2021).

At size 64, width 64 and 1,000 classes it has the official 18,888,936 parameters.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn

from trapmid.nets.snresnet import resolution_plan

KERNEL = 50
"""Numbers in which minibatch discrimination compares two images, per output."""


class ClassDiscriminator(nn.Module):
    """(N, 3, S, S) -> logits (N, C); how real an image is says their log-sum-exp."""

    def __init__(self, num_classes: int, image_size: int, width: int) -> None:
        super().__init__()
        base, doublings = resolution_plan(image_size)
        widths = [3, *(width * 2**i for i in range(doublings - 1))]
        layers: list[nn.Module] = []
        for inside, outside in itertools.pairwise(widths):
            layers += _down(nn.Conv2d(inside, outside, 5, stride=2, padding=2))
        layers += _down(nn.Conv2d(widths[-1], widths[-1], 3, stride=2, padding=1))
        flat = widths[-1] * base**2
        self.body = nn.Sequential(*layers, nn.Flatten())
        self.closeness = Closeness(flat, width)
        self.head = nn.Linear(flat + width, num_classes)

    def features(self, images: Tensor) -> Tensor:
        """(N, F): the last layer before minibatch discrimination, which feature matching uses."""
        flat: Tensor = self.body(images)
        return flat

    def classify(self, features: Tensor) -> Tensor:
        """Logits (N, C) of images with these `features` (N, F)."""
        logits: Tensor = self.head(torch.cat([features, self.closeness(features)], dim=1))
        return logits

    def forward(self, images: Tensor) -> Tensor:
        return self.classify(self.features(images))


class Closeness(nn.Module):
    """Minibatch discrimination (Salimans et al., NeurIPS 2016, sec. 3.2): (N, F) -> (N, outputs).

    o_ib = sum over j != i of exp(-|M_ib - M_jb|_1) with M = f T. T starts at N(0, 1), as in the
    official code, so the distances of different images are in the thousands and the sum underflows
    to exactly 0, with no gradient: only near-duplicates wake it. It is computed all the same: one
    number a pair and kernel is kept, not a vector.

    In eval mode every image is alone and the sum is empty: a search's rows must not see each other.
    """

    def __init__(self, features: int, outputs: int) -> None:
        super().__init__()
        self.kernels = nn.Parameter(torch.randn(features, outputs, KERNEL))

    def forward(self, features: Tensor) -> Tensor:
        n, (_, outputs, _) = len(features), self.kernels.shape
        if not self.training:
            return features.new_zeros(n, outputs)
        matrices = (features @ self.kernels.flatten(1)).view(n, outputs, KERNEL).transpose(0, 1)
        distances = torch.cdist(matrices.float(), matrices.float(), p=1.0)  # (outputs, N, N)
        others = 1 - torch.eye(n, device=features.device)
        close: Tensor = (torch.exp(-distances) * others).sum(dim=2).T
        return close.to(features.dtype)


def _down(conv: nn.Conv2d) -> list[nn.Module]:
    return [conv, nn.InstanceNorm2d(conv.out_channels, affine=True), nn.LeakyReLU(0.2)]
