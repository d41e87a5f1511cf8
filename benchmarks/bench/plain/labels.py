"""BREP-MI as the released code has it: one person after the other, every answer read at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from trapmid.attacks.brepmi import Attack
from trapmid.runtime import counter_normal, stream_seed
from trapmid.types import Prior, Target


@dataclass
class Search:
    """Where the search for one person is."""

    label: int
    key: int  # of its random directions
    z: Tensor  # (1, Z)
    radius: float
    kept: Tensor  # (1, Z) of the last expansion
    moves: int = 0
    tried: int = 0
    expansions: int = 0


def starts(
    attack: Attack, target: Target, prior: Prior, labels: Sequence[int], seed: int
) -> dict[int, Tensor]:
    """Of each label the first latent (1, Z) that shows it, batch after batch, image after image."""
    found: dict[int, Tensor] = {}
    for batch in range(attack.init_batches):
        first = batch * attack.init_batch
        keys = torch.arange(first, first + attack.init_batch)
        keys = keys + stream_seed(seed, "initial latents", 0)
        z = counter_normal(keys, prior.latent_dim).to(torch.get_default_dtype())
        z = z.clamp(-attack.bound, attack.bound)
        for number, answer in enumerate(_answers(target, prior, z, 0)):
            found.setdefault(int(answer.item()), z[number : number + 1])
        if all(label in found for label in labels):
            break
    return found


@torch.no_grad()
def propose(
    attack: Attack, target: Target, prior: Prior, evaluator: Target, search: Search
) -> None:
    """One proposal. The moved image is made three times, and the evaluator sees each of them."""
    noise = counter_normal(
        torch.tensor([search.key + search.tried]), attack.points * prior.latent_dim
    )
    points = noise.to(search.z).view(attack.points, -1)
    directions = points / points.norm(dim=1, keepdim=True) * search.radius
    step = min(search.radius / 3, attack.max_step)
    answers = _answers(target, prior, search.z + directions, search.label)
    outside = torch.tensor([answer.item() != search.label for answer in answers])
    expanded = int((~outside).sum()) >= attack.inside
    if expanded:
        search.radius *= attack.expansion
    away = -(directions * outside[:, None]).mean(dim=0) / search.radius
    moved = (search.z + step * away).clamp(-attack.bound, attack.bound)
    search.tried += 1
    accepted = bool(_answers(target, prior, moved, search.label) == search.label)
    _logged(target, evaluator, prior, moved, search.label)
    if not accepted:
        return
    search.z = moved
    if expanded:
        search.kept = moved
        search.expansions += 1
    else:
        search.moves += 1


def _logged(target: Target, evaluator: Target, prior: Prior, z: Tensor, label: int) -> None:
    """What is written to the log after every proposal."""
    of = torch.tensor([label])
    F.cross_entropy(target(prior(z, of)).logits, of).item()
    evaluator(prior(z, of)).logits.argmax(dim=1).item()


@torch.no_grad()
def _answers(target: Target, prior: Prior, z: Tensor, label: int) -> Tensor:
    labels = torch.full((len(z),), label)
    return target(prior(z, labels)).logits.argmax(dim=1)
