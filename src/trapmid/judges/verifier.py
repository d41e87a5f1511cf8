"""A verifier: who is on two images is told by how far their embeddings lie apart.

Trained by supervised contrastive learning (Khosla et al., NeurIPS 2020, eq. 2) on people who are in
no study, or on the public ones of a study. It has no classes, so it cannot be fooled into the
attacked one as a classifier can.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from trapmid.nets.face_trunk import FaceTrunk
from trapmid.types import FaceBatch, Learns, Verifier

_DIM = 128
_TEMPERATURE = 0.1


class Judge(Verifier, Learns):
    """Unit embeddings of faces, (N, 128)."""

    least_images = 2

    def __init__(self, image_size: int) -> None:
        super().__init__(image_size)
        self.trunk = FaceTrunk(image_size, _DIM)

    def forward(self, images: Tensor) -> Tensor:
        return F.normalize(self.trunk(images), dim=1)

    def loss(self, vectors: Tensor, batch: FaceBatch) -> Tensor:
        return contrastive_loss(vectors, batch.people)


def contrastive_loss(embeddings: Tensor, people: Tensor) -> Tensor:
    """Khosla et al. (2020), eq. 2: draws images of one person together, pushes all others away.

    Args:
        embeddings: (N, D), of length 1.
        people: (N,) int64; a negative number is nobody, whom everybody is pushed away from.

    Returns:
        The mean over images that have another image of their person.
    """
    alone = torch.eye(len(people), dtype=torch.bool, device=people.device)
    logits = (embeddings @ embeddings.T / _TEMPERATURE).masked_fill(alone, -torch.inf)
    log_share = logits - logits.logsumexp(dim=1, keepdim=True)
    same = (people[:, None] == people) & ~alone & (people[:, None] >= 0)
    several = same.any(dim=1)
    sums = log_share.masked_fill(~same, 0).sum(dim=1)[several]
    return -(sums / same.sum(dim=1)[several]).mean()
