"""An identity loss as its mean over neighbours of an image (AlignMI; Peng et al., NeurIPS 2025).

The slope of one image's loss points partly away from all faces; the mean of its neighbours' does so
less. Noise around the image is the paper's PAA, random views of it are its TAA.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from trapmid.augment import ResizedCrop, flip, rotate
from trapmid.config.bounds import Count, Degrees, NonNegative, Share
from trapmid.runtime import counter_normal, counter_uniform
from trapmid.search import latents

ImageLoss = Callable[[Tensor, Tensor], Tensor]
"""(images (M, 3, S, S), labels (M,)) -> losses (M,)."""


class Streams(NamedTuple):
    """What the neighbours of rows are drawn by, (N,) int64 keys each."""

    views: Tensor
    noise: Tensor

    @classmethod
    def of(cls, seed: int, *columns: Tensor) -> Streams:
        """One stream per row of `columns` (N,) int64, e.g. labels and draws."""
        scopes = ("neighbours", "noise of neighbours")
        return cls(*(latents.stream_keys(seed, scope, *columns) for scope in scopes))

    def at(self, step: int) -> Streams:
        """The same rows at one step of a search."""
        return Streams(self.views + step, self.noise + step)


@dataclass(frozen=True, kw_only=True)
class Averaging:
    """How many neighbours an image has, and where."""

    views: Count  # neighbours of every image; 50 in the paper, 20 give nearly as much
    noise: NonNegative  # deviation of Gaussian noise on their pixels; PAA: 0.003 to 0.1
    crop: ResizedCrop | None  # TAA: area 0.8 to 1, ratio 0.9 to 1.1
    mirror: Share  # of the neighbours; TAA: 0.5
    degrees: Degrees  # of a rotation, at most; TAA: 5

    def __post_init__(self) -> None:
        if self.noise == self.mirror == self.degrees == 0 and self.crop is None:
            raise ValueError("noise: 0 without crop, mirror and degrees: no neighbour is another")

    def neighbours(self, images: Tensor, streams: Streams) -> Tensor:
        """(views * N, 3, S, S): one neighbour of each of `images` (N, 3, S, S), then the next."""
        draws = ResizedCrop.DRAWS + 2
        u = counter_uniform(streams.views, self.views * draws).view(-1, self.views, draws)
        near = torch.cat([self._view(images, u[:, v]) for v in range(self.views)])
        if self.noise == 0:
            return near
        normal = counter_normal(streams.noise, self.views * images[0].numel())
        by_view = normal.view(len(images), self.views, *images.shape[1:]).transpose(0, 1)
        return near + self.noise * by_view.flatten(0, 1)

    def _view(self, images: Tensor, u: Tensor) -> Tensor:
        if self.crop is not None:
            images = self.crop(images, u[:, :-2])
        if self.mirror > 0:
            images = flip(images, u[:, -2] < self.mirror)
        if self.degrees > 0:
            images = rotate(images, self.degrees * (2 * u[:, -1] - 1))
        return images


def averaged(
    how: Averaging | None, images: Tensor, labels: Tensor, streams: Streams, loss: ImageLoss
) -> Tensor:
    """The losses (N,) of images (N, 3, S, S); where `how` says so, means over their neighbours."""
    if how is None:
        return loss(images, labels)
    near = loss(how.neighbours(images, streams), labels.repeat(how.views))
    return near.view(how.views, -1).mean(dim=0)


def rows_in_memory(how: Averaging | None) -> float:
    """How many images of each row pass the target at once."""
    return 1.0 if how is None else float(how.views)
