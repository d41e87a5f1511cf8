"""What PLG-MI+ and PLG-MI++ know of a trapdoored target's features (Trap-MID, sec. 4.2, App. E.7).

A trapdoor pulls images to its signature S, faces of a person lie near the auxiliary signature S':
an attacker who knows both leaves the one and seeks the other. The paper has no code for it and its
text lost the two weights, so they are parameters.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from trapmid.config.bounds import NonNegative
from trapmid.runtime import Runtime, eval_mode, in_parts
from trapmid.training.fit import to_float
from trapmid.training.pseudo_labels import top_n_selection
from trapmid.types import Output, SideInformation, Target


@dataclass(frozen=True, kw_only=True)
class Adaptive:
    """The two terms of eq. 7; without the first, those of eq. 12 (PLG-MI+)."""

    trapdoor_weight: NonNegative  # b1, away from the trapdoor's signature of the predicted class
    auxiliary_weight: NonNegative  # b2, towards the auxiliary signature of the attacked class

    def check(self, side_information: SideInformation) -> None:
        """Refuses a term whose signatures are not known.

        Raises:
            ValueError: `signatures` or `auxiliary` is missing where its weight is not 0.
        """
        side_information.need(
            *["signatures"] * (self.trapdoor_weight != 0),
            *["auxiliary"] * (self.auxiliary_weight != 0),
        )

    def __call__(self, output: Output, labels: Tensor, side_information: SideInformation) -> Tensor:
        """b1 cos(g(x), S_predicted) - b2 cos(g(x), S'_label), one number (N,) per image.

        No gradient goes through the prediction, nor into the signatures.

        Args:
            output: what the target makes of the views x, logits (N, C) and features g (N, F).
            labels: (N,) int64, the classes attacked.
            side_information: (C, F) `signatures` S and `auxiliary` S', where a weight needs them.
        """
        total = output.logits.new_zeros(len(labels), dtype=torch.float32)
        features = output.features.float()
        if self.trapdoor_weight != 0:
            assert side_information.signatures is not None
            predicted = output.logits.detach().argmax(dim=1)
            pull = F.cosine_similarity(
                features, side_information.signatures[predicted].detach(), dim=1
            )
            total = total + self.trapdoor_weight * pull
        if self.auxiliary_weight != 0:
            assert side_information.auxiliary is not None
            pull = F.cosine_similarity(features, side_information.auxiliary[labels].detach(), dim=1)
            total = total - self.auxiliary_weight * pull
        return total


def terms(
    how: Adaptive | None, side_information: SideInformation
) -> Callable[[Output, Tensor], Tensor | float]:
    """What `how` adds to the identity loss of a search, as `Adaptive.__call__`; None: nothing.

    Raises:
        ValueError: as `Adaptive.check`.
    """
    if how is None:
        return lambda output, labels: 0.0
    how.check(side_information)
    return partial(how, side_information=side_information)


@torch.no_grad()
def auxiliary_signatures(
    target: Target, public: Tensor, top_n: int, rt: Runtime, batch_size: int = 512
) -> Tensor:
    """S' of eq. 8: the mean feature of the public images that are likeliest for each class.

    Args:
        target: asked in eval mode, once about every image.
        public: (N, 3, S, S) uint8; not augmented.
        top_n: images per class, chosen as PLG-MI's pseudo-labels are.

    Returns:
        (C, F) float32 on the CPU.
    """

    def answers(rows: slice) -> tuple[Tensor, Tensor]:
        output = target(to_float(public[rows].to(rt.device)))
        return output.logits.softmax(dim=1).cpu(), output.features.cpu()

    with eval_mode(target), rt.seeded("auxiliary signatures"):
        parts = in_parts(len(public), batch_size, answers)
    probabilities, features = (torch.cat(part) for part in zip(*parts, strict=True))
    return of_answers(probabilities, features, top_n)


def of_answers(probabilities: Tensor, features: Tensor, top_n: int) -> Tensor:
    """As `auxiliary_signatures`, of answers that are there.

    Args:
        probabilities: (N, C) of public images, the target's.
        features: (N, F) of the same.
        top_n: images per class.
    """
    indices, _ = top_n_selection(probabilities, top_n)
    return features[indices].double().view(probabilities.shape[1], top_n, -1).mean(dim=1).float()
